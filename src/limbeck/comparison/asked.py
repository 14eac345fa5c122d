"""What a comparison shall be: a recipe's `[compare]` table and the options of the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from limbeck.comparison.comparison import WAYS, Comparison
from limbeck.comparison.entries import Entry, parse_entries
from limbeck.errors import UserError, unknown
from limbeck.runs.events import Listener
from limbeck.runs.settings import Recipe


class CompareTable(TypedDict, total=False):
    """The `[compare]` table of a recipe file."""

    methods: list[str]
    seeds: int
    jobs: int
    on: str
    search: int


@dataclass(frozen=True)
class Asked:
    """What a comparison shall be: which methods, how many seeds, how many runs at a time, where."""

    entries: Sequence[Entry]
    seeds: int = 5
    jobs: int = 1
    on: str = "here"
    search: int = 0

    def over(self, recipe: Recipe, folder: Path, listen: Listener) -> Comparison:
        """The comparison of it with a recipe; seeds count from the recipe's, and rates are probed unless the recipe or a search
        says otherwise."""
        if recipe.train.probe is None and not self.search:
            recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"probe": True})})
        seeds = range(recipe.seed, recipe.seed + self.seeds)
        return Comparison(recipe, self.entries, seeds, folder, listen, self.jobs, self.on, self.search)


def asked(
    table: CompareTable,
    methods: str | Sequence[str] | None,
    seeds: int | None,
    jobs: int | None,
    on: str | None,
    search: int | None = None,
) -> Asked:
    """A recipe's `[compare]` table (see `table_of`) and the options of the command line, which win."""
    words = table.get("methods") if methods is None else methods
    if words is None:
        raise UserError("no methods to compare; give --methods kd,dkd or a recipe with [compare] methods = [...]")
    entries = parse_entries(words)
    count, at_once = table.get("seeds", 5) if seeds is None else seeds, table.get("jobs", 1) if jobs is None else jobs
    for option, value in (("--seeds", count), ("--jobs", at_once)):
        if value < 1:
            hint = "; 3 or more are needed for an interval worth reading" if option == "--seeds" else ""
            raise UserError(f"{option} must be at least 1, got {value}{hint}")
    place = on or table.get("on") or ("processes" if at_once > 1 else "here")
    if place not in WAYS:
        raise unknown("way of working", place, WAYS)
    trials = table.get("search", 0) if search is None else search
    if trials < 0 or trials == 1:
        raise UserError(f"--search must be 0 (settings as given) or at least 2 trials for each method, got {trials}")
    return Asked(entries, count, at_once, place if at_once == 1 or place != "here" else "processes", trials)


def table_of(table: object) -> CompareTable:
    """The `[compare]` table of a recipe file, checked: methods, seeds, jobs, on, search.

    >>> table_of({"methods": ["kd", "dkd"], "seeds": 3})
    {'methods': ['kd', 'dkd'], 'seeds': 3}
    """
    kinds = {"methods": list, "seeds": int, "jobs": int, "on": str, "search": int}
    if not isinstance(table, Mapping):
        raise UserError(f"compare = {table!r} in the recipe: write a table, [compare] with methods = [...] and seeds = N")
    for key, value in table.items():
        if key not in kinds:
            raise unknown("setting in the recipe:", f"compare.{key}", [f"compare.{k}" for k in kinds])
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise UserError(f"compare.{key} = {value!r} in the recipe cannot be used: write a {kinds[key].__name__}")
    names = table.get("methods", [])
    if not all(isinstance(name, str) for name in names):
        raise UserError(f"compare.methods = {names!r} in the recipe cannot be used: write a list of names, as ['kd', 'dkd']")
    return TypeAdapter(CompareTable).validate_python(dict(table))
