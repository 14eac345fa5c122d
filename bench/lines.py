"""A comparison's figures as lines of a results file, which `make docs` shows with each method."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.comparison.entries import Entry, parse_entries
from limbeck.files import atomic_write

RESULTS = Path(__file__).parent / "results"


def write(name: str, board: dict[str, Any], epochs: float, known: Mapping[str, Entry] | None = None) -> None:
    """bench/results/NAME.jsonl: a line for each method and seed, `alone` for the baseline; known: entries by a name of their own."""
    with atomic_write(RESULTS / f"{name}.jsonl", text=True) as file:
        for row in board["rows"]:
            entry = None if row["name"] == "baseline" else (known or {}).get(row["name"]) or parse_entries(row["name"])[0]
            named = {"method": entry.method, "arguments": entry.arguments} if entry else {"method": "alone", "arguments": {}}
            for seed, score in row["scores"].items():
                file.write(json.dumps(named | {"seed": int(seed), "epochs": epochs, "score": score / 100}) + "\n")


def keep(name: str, line: dict[str, Any]) -> None:
    """Add one line to bench/results/NAME.jsonl in place of an older one of the same method and seed."""
    path = RESULTS / f"{name}.jsonl"
    old = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    kept = [other for other in old if (other["method"], other["seed"]) != (line["method"], line["seed"])] + [line]
    with atomic_write(path, text=True) as file:
        file.write("".join(json.dumps(other) + "\n" for other in sorted(kept, key=lambda x: (x["seed"], x["method"]))))


def show(board: dict[str, Any]) -> None:
    """The rows in brief, and the verdict."""
    for row in board["rows"]:
        print(row["name"], row["errors"] or {seed: round(value, 2) for seed, value in row["accuracies"].items()})
    print(*board["verdict"], sep="\n")
