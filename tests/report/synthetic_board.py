"""A synthetic comparison folder: run folders with made-up figures, a failure, and what is left out on purpose."""

import json
from pathlib import Path

from synthetic_run import make_run

from limbeck.comparison.leaderboard import run_folder
from limbeck.runs.recipes import dump, make

NAMES = ("baseline", "kd", "kd:temperature=2", "dkd")


def make_board(
    folder: Path, seeds: int = 3, fail: tuple[str, ...] = ("dkd",), missing: int = 0, names: tuple[str, ...] = NAMES
) -> Path:
    """Method i has the score 80 + 2 i + seed / 2 and a bit; the last `missing` runs are not there; seed 1 of `fail` failed."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [{"name": n, "method": n.partition(":")[0], "arguments": {}} for n in names if n != "baseline"]
    facts = {"version": 1, "recipe": dump(make({"student": {"model": "cnn"}})), "entries": entries, "seeds": list(range(seeds))}
    (folder / "comparison.json").write_text(json.dumps(facts), encoding="utf-8")
    runs = [(seed, place, name) for seed in range(seeds) for place, name in enumerate(names)]
    for seed, place, name in runs[: len(runs) - missing]:
        at = run_folder(folder, name, seed)
        if name in fail and seed == 1:
            at.mkdir(parents=True)
            (at / "failed.json").write_text(
                json.dumps({"entry": name, "seed": seed, "error": "term <b>soft</b> is nan", "again": False})
            )
        else:
            change_card(make_run(at, n=60, pictures=False), 0.80 + 0.02 * place + 0.005 * seed + 0.001 * (seed * place % 3), name)
    return folder


def change_card(run: Path, score: float, name: str) -> None:
    """Give a run a set score and method, and no baseline: its own comes with the comparison."""
    card = json.loads((run / "card.json").read_text())
    del card["models"]["baseline"]
    card["models"]["student"]["score"] = score
    card["method"]["name"] = name
    (run / "card.json").write_text(json.dumps(card), encoding="utf-8")
