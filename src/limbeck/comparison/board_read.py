"""A comparison folder as its page needs it, finished or still growing."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from limbeck.cards.schema import Card
from limbeck.comparison.leaderboard import leaderboard, run_folder
from limbeck.comparison.schema import COMPARISON, Board, Done, EntryFile, Failed, RunResult, read_comparison
from limbeck.comparison.verdict import baselines
from limbeck.comparison.work import failure_in
from limbeck.errors import UserError
from limbeck.report.charts import DASH
from limbeck.report.marks import COLOURS
from limbeck.report.read import RunView, read_run
from limbeck.runs.recipes import make
from limbeck.tasks.keeping import BASELINES


@dataclass
class BoardView:
    """What a comparison folder holds.

    Attributes:
        board: the leaderboard of what is done. names: the baseline and the entries, in the order given.
        runs: entry -> seed -> its folder as read. results: entry, seed, and card or error. missing: (entry, seed).
    """

    folder: Path
    board: Board
    names: list[str]
    seeds: list[int]
    recipe: str
    entries: list[EntryFile]
    runs: dict[str, dict[int, RunView]]
    results: list[RunResult]
    missing: list[tuple[str, int]]

    @property
    def errors(self) -> list[Failed]:
        return [r for r in self.results if "error" in r]

    def css(self, name: str) -> str:
        """The classes that colour a method: the baseline's own, else by its place; rings once colours come again."""
        if name in BASELINES:
            return name
        turn, colour = divmod(self.names.index(name) - 1, COLOURS)
        return f"m-{colour} ring" if turn % 2 else f"m-{colour}"

    def dash(self, name: str) -> str:
        """The dashes of a method's line: the baseline's own; another pattern for every five methods."""
        return DASH[name] if name in BASELINES else ("", "7 4", "9 3 2 3", "4 2")[(self.names.index(name) - 1) // 5 % 4]


def read_board(folder: Path) -> BoardView:
    """Read a comparison folder; what is not there yet is missing, not an error.

    Raises:
        UserError: its comparison.json cannot be used.
    """
    try:
        facts = read_comparison(folder)
        recipe = make(tomllib.loads(facts["recipe"]), f"{folder / COMPARISON}")
    except (UserError, tomllib.TOMLDecodeError) as error:
        why = error if isinstance(error, UserError) else f"{folder / COMPARISON}: its recipe cannot be read: {error}"
        raise UserError(f"{why}; give the folder that `limbeck compare` made") from None
    names, seeds = [*baselines(recipe), *(entry["name"] for entry in facts["entries"])], facts["seeds"]
    runs: dict[str, dict[int, RunView]] = {name: {} for name in names}
    results: list[RunResult] = []
    missing: list[tuple[str, int]] = []
    for name in names:
        for seed in seeds:
            place = run_folder(folder, name, seed)
            view = _view_of(place)
            if view is not None:
                runs[name][seed] = view
            result = _result(name, seed, place, view)
            results += [] if result is None else [result]
            missing += [(name, seed)] if result is None else []
    board = leaderboard(results, recipe, names, seeds)
    return BoardView(folder, board, names, seeds, facts["recipe"], facts["entries"], runs, results, missing)


def _view_of(folder: Path) -> RunView | None:
    """A run's folder as far as it is there."""
    begun = folder.is_dir() and any((folder / piece).exists() for piece in ("card.json", "metrics.jsonl", "recipe.toml"))
    return read_run(folder, predictions=False) if begun else None


def _result(name: str, seed: int, folder: Path, view: RunView | None) -> RunResult | None:
    """What came of a run; None while it is missing."""
    if view is not None and _whole(view.card):
        return Done(entry=name, seed=seed, card=view.card)
    failed = failure_in(folder)
    if failed is not None:
        return Failed(entry=name, seed=seed, error=failed.error)
    return Failed(entry=name, seed=seed, error="its card.json cannot be used") if (folder / "card.json").exists() else None


def _whole(card: Card) -> bool:
    return {"score", "figures", "worst"} <= set(card.get("models", {}).get("student", ()))
