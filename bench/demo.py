"""The embedded default over several seeds: the card's figures with their spread.

python -m bench.demo [--seeds 5]
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from limbeck.face.run import run
from limbeck.runs.recipes import make

RESULTS = Path(__file__).parent / "results" / "demo.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(parser.parse_args().seeds):
            card = run(make({"seed": seed, "onnx": False, "store": {"path": f"{folder}/store"}}), Path(folder) / str(seed))
            found = card["models"]
            row = {who: 100 * found[who]["score"] for who in found} | {
                f"{who} worst": 100 * found[who]["worst"]["value"] for who in found
            }
            row |= {k: card[k] for k in ("drop_percent", "gain_percent", "size_cut_percent", "distillation_score")}
            row |= {
                "train_seconds": sum(m["train_seconds"] for m in found.values()),
                "agreement": 100 * found["student"]["figures"]["agreement_with_teacher"],
            }
            rows.append(row)
            print(seed, {k: round(v, 3) for k, v in row.items()}, flush=True)
    for key in rows[0]:
        values = [row[key] for row in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{key:<20}{statistics.mean(values):>10.3f} +- {spread:.3f} (sd)")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
