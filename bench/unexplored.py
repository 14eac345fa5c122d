"""Is any combination of fields that nobody published worth something? Those one field away from a published method.

    python -m bench.unexplored [--seeds 10] [--out runs/unexplored]

On the digits of scikit-learn, as in `bench.catalogue`: the teacher has seen all training pictures, the students see 300.
Screening: every combination of `limbeck methods --unexplored` that differs in one field, with the pictures as they are (no
unlabelled ones; without augmentation two views are one), with two weights and two seeds, on 300 validation pictures; the test
part is not read. The four best then meet the baseline, `kd` and `attention` in a comparison with seeds that screening has not
seen, and there the test part is read.
Results: bench/results/unexplored.jsonl, which `make docs` shows with `compose`.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from bench.catalogue import network, settings, taught
from bench.lines import show, write
from limbeck.catalogue.unexplored import strategies
from limbeck.comparison.comparison import Comparison
from limbeck.comparison.entries import Entry, parse_entries
from limbeck.engine.step import NonFinite
from limbeck.engine.turns import last
from limbeck.files import write_json
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources

EPOCHS, WEIGHTS, SCREENING, CHOSEN = 20, (1.0, 10.0), (0, 1), 4
DATA = {"limit": 600, "validation": 0.5}  # 300 to learn from, 300 to choose on


def validated(recipe: dict[str, Any], folder: Path) -> float:
    """The student's accuracy on validation after the last epoch, in percent; kept in the folder."""
    kept = folder / "validated.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            trained = last(Session(open_sources(make(recipe)), folder).learning())
            write_json(kept, {"accuracy": 100 * trained.history[-1]["validation"]["score"]})
        except NonFinite:  # with a weight that is too large for it: a combination that answers nothing
            write_json(kept, {"accuracy": 0.0})
    return json.loads(kept.read_text(encoding="utf-8"))["accuracy"]


def screened(common: dict[str, Any], out: Path) -> list[tuple[float, dict[str, Any]]]:
    """(gain over no teacher on validation, fields and weight), the best first."""
    alone = {s: validated(common | {"method": {"name": "alone"}, "seed": s}, out / f"alone-{s}") for s in SCREENING}
    found = []
    for number, strategy in enumerate(s for s in strategies() if len(s.differs) == 1 and s.fields["data"] == "same"):
        for weight in WEIGHTS:
            fields = strategy.fields | {"weight": weight}
            recipe = common | {"method": {"name": "compose", "arguments": fields}}
            gains = [validated(recipe | {"seed": s}, out / f"{number}-{weight:g}-{s}") - alone[s] for s in SCREENING]
            found.append((fmean(gains), fields))
            print(f"{fmean(gains):+.2f} {fields}", flush=True)
    return sorted(found, key=lambda pair: -pair[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/unexplored"))
    chosen = parser.parse_args()
    common = settings(network(4), EPOCHS, **DATA) | {"teacher": taught(chosen.out / "teachers")["teacher"]}
    common["roles"] = {"peer": network(4)}
    best = screened(common, chosen.out / "screening")[:CHOSEN]
    entries = [Entry(f"compose {k}", "compose", fields) for k, (_, fields) in enumerate(best, start=1)]
    recipe, seeds = make(common), range(SCREENING[-1] + 1, SCREENING[-1] + 1 + chosen.seeds)
    board = Comparison(recipe, [*entries, *parse_entries("kd,attention")], seeds, chosen.out / "compared").go()
    write("unexplored", board, EPOCHS, {entry.name: entry for entry in entries})
    for entry, (gain, fields) in zip(entries, best, strict=True):
        print(f"{entry.name}: {fields}; {gain:+.2f} points on validation")
    show(board)


if __name__ == "__main__":
    main()
