"""The demos over several seeds: the card's figures with their spread.

python -m bench.demo [--seeds 5]            kd on the digits
python -m bench.demo --photos [--seeds 5]   what `make demo-photos` runs
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from limbeck.cards.schema import Card
from limbeck.face.run import run
from limbeck.runs import auto
from limbeck.runs.events import silent
from limbeck.runs.recipes import make
from limbeck.runs.settings import Recipe

RESULTS = Path(__file__).parent / "results"
PHOTOS = {
    "data": {"name": "photographs"},
    "teacher": {"model": "cnn", "arguments": {"width": 32}, "epochs": 30},
    "student": {"model": "cnn", "arguments": {"width": 8}},
    "train": {"epochs": 10},
    "method": {"name": "auto"},
}


def row(card: Card) -> dict[str, float]:
    """The figures of a run that are kept."""
    found = card["models"]
    kept = {who: 100 * found[who]["score"] for who in found}
    kept |= {f"{who} worst": 100 * found[who]["worst"]["value"] for who in found}
    kept |= {k: card[k] for k in ("drop_percent", "gain_percent", "size_cut_percent", "distillation_score")}
    return kept | {
        "train_seconds": sum(m["train_seconds"] for m in found.values()),
        "agreement": 100 * found["student"]["figures"]["agreement_with_teacher"],
    }


def settings(seed: int, photos: bool, store: str) -> Recipe:
    own = {"seed": seed, "onnx": False, "store": {"path": store}} | (PHOTOS if photos else {})
    return auto.settled(make(own), silent, None)[0] if photos else make(own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--photos", action="store_true")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(given.seeds):
            rows.append(row(run(settings(seed, given.photos, f"{folder}/store"), Path(folder) / str(seed))))
            print(seed, {k: round(v, 3) for k, v in rows[-1].items()}, flush=True)
    for key in rows[0]:
        values = [each[key] for each in rows]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{key:<20}{statistics.mean(values):>10.3f} +- {spread:.3f} (sd)")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / ("photographs.json" if given.photos else "demo.json")).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
