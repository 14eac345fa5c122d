"""Compare methods from Python in one call."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from limbeck.comparison.asked import asked
from limbeck.comparison.comparison import stem_of
from limbeck.comparison.schema import Board
from limbeck.files.locks import taken
from limbeck.runs.events import Listener, silent
from limbeck.runs.recipes import make
from limbeck.runs.settings import Recipe


def compare(
    methods: str | Sequence[str],
    recipe: Recipe | Mapping[str, object] | None = None,
    *,
    seeds: int = 5,
    jobs: int = 1,
    on: Literal["here", "together", "processes", "ray"] | None = None,
    search: int = 0,
    out: str | Path | None = None,
    listen: Listener = silent,
) -> Board:
    """Train several methods and the baseline on equal terms, with several seeds, and return the leaderboard.

    Args:
        methods: names of the catalogue, with settings where wanted: "kd,dkd,kd:temperature=2", or a list of such words.
        recipe: data, teacher, student and budget as `limbeck distill` takes them; nested settings or a `Recipe`.
        seeds: how many, at least 1, counted from the recipe's. jobs: runs at a time, at least 1.
        on: "together" (one pass for all methods of a seed), "processes", "ray" or "here" (one after another).
        search: trials of settings for each method, chosen on validation; 0 takes them as given.
        out: the folder, a new one by default; an existing one is continued. listen: called with each event.

    Raises `UserError` if something given cannot be used. A run that fails is a row of the table that says why.
    """
    settings = recipe if isinstance(recipe, Recipe) else make(recipe or {}, "compare(...)")
    wanted = asked({}, methods, seeds, jobs, on, search)
    with taken(None if out is None else Path(out), stem_of(settings)) as folder:
        return wanted.over(settings, folder, listen).go()
