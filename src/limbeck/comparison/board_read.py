"""A comparison folder as its page needs it, finished or still growing."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck.errors import UserError
from limbeck.report.read import RunView, read_run


@dataclass
class BoardView:
    """What a comparison folder holds.

    Attributes:
        board: the leaderboard of what is done. names: the baseline and the entries, in the order given.
        runs: entry -> seed -> its folder as read. results: entry, seed, and card or error. missing: (entry, seed).
    """

    folder: Path
    board: dict[str, Any]
    names: list[str]
    seeds: list[int]
    recipe: str
    entries: list[dict[str, Any]]
    runs: dict[str, dict[int, RunView]] = field(default_factory=dict)
    results: list[dict[str, Any]] = field(default_factory=list)
    missing: list[tuple[str, int]] = field(default_factory=list)

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [r for r in self.results if "error" in r]

    def css(self, name: str) -> str:
        """The classes that colour a method: the baseline's own, else by its place; rings once colours come again."""
        if name == "baseline":
            return name
        turn, colour = divmod(self.names.index(name) - 1, 8)
        return f"m-{colour} ring" if turn % 2 else f"m-{colour}"

    def dash(self, name: str) -> str:
        """The dashes of a method's line: the baseline's own; another pattern for every eight methods."""
        return "2 3" if name == "baseline" else ("", "7 4", "9 3 2 3", "4 2")[(self.names.index(name) - 1) // 8 % 4]


def read_board(folder: Path) -> BoardView:
    """Read a comparison folder; what is not there yet is missing, not an error.

    Raises:
        UserError: its comparison.json cannot be used.
    """
    from limbeck.comparison.leaderboard import BASELINE, leaderboard, run_folder
    from limbeck.runs.settings import make

    try:
        facts = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
        names = [BASELINE, *(str(entry["name"]) for entry in facts["entries"])]
        seeds = [int(seed) for seed in facts["seeds"]]
        recipe = make(tomllib.loads(facts["recipe"]), f"{folder / 'comparison.json'}")
    except (OSError, KeyError, TypeError, ValueError) as error:
        why = error if isinstance(error, UserError) else f"{folder / 'comparison.json'} cannot be read: {error}"
        raise UserError(f"{why}; give the folder that `limbeck compare` made") from None
    view = BoardView(folder, {}, names, seeds, facts["recipe"], facts["entries"], {name: {} for name in names})
    for name in names:
        for seed in seeds:
            _take(view, name, seed, run_folder(folder, name, seed))
    view.board = leaderboard(view.results, recipe, names, seeds)
    return view


def _take(view: BoardView, name: str, seed: int, folder: Path) -> None:
    """One run: its folder as far as it is there, and its result, if it has one."""
    if folder.is_dir() and any((folder / piece).exists() for piece in ("card.json", "metrics.jsonl", "recipe.toml")):
        view.runs[name][seed] = read_run(folder, predictions=False)
    card = view.runs[name][seed].card if seed in view.runs[name] else {}
    if _whole(card):
        view.results.append({"entry": name, "seed": seed, "card": card})
    elif (folder / "failed.json").exists():
        view.results.append({"entry": name, "seed": seed, "error": _reason(folder / "failed.json")})
    elif (folder / "card.json").exists():
        view.results.append({"entry": name, "seed": seed, "error": "its card.json cannot be used"})
    else:
        view.missing.append((name, seed))


def _whole(card: Mapping[str, Any]) -> bool:
    models = card.get("models")
    student = models.get("student") if isinstance(models, Mapping) else None
    return isinstance(student, Mapping) and {"score", "figures", "worst"} <= set(student)


def _reason(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return "failed, and its failed.json cannot be read"
