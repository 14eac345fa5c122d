"""Search a student under a device's limits from Python in one call."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from limbeck.data import Data
from limbeck.deploy import formats
from limbeck.deploy.device import Target
from limbeck.errors import UserError
from limbeck.files.locks import taken
from limbeck.runs.events import Listener, silent
from limbeck.runs.recipes import make
from limbeck.runs.settings import Recipe
from limbeck.shrinking.candidates import Candidate, parse_candidates, usual
from limbeck.shrinking.limits import Limits
from limbeck.shrinking.schema import Shrunk
from limbeck.shrinking.search import Search


def shrink(
    recipe: Recipe | Mapping[str, object] | None = None,
    *,
    max_latency: float | None = None,
    max_size: int | None = None,
    min_score: float | None = None,
    seconds: float | None = None,
    trials: int = 30,
    candidates: str | None = None,
    format: str = "onnx",  # noqa: A002
    int8: bool = False,
    threads: int = 1,
    on: str | None = None,
    python: str | None = None,
    storage: str | None = None,
    guided: bool = True,
    out: str | Path | None = None,
    listen: Listener = silent,
) -> Shrunk:
    """Find the best student within limits of latency, size and score, or say why none fits.

    Args:
        recipe: data, teacher, method and the budget of one training; nested settings or a `Recipe`. Default: its own.
        max_latency: of one answer, median, in seconds, above 0. max_size: of the exported file, in bytes.
        min_score: of the task's score, 0 .. 1. seconds: for the whole search, None for no limit. trials: trainings, at most.
        candidates: `cnn:width=4|8,my_models:small`, the zoo by default. format, int8, threads: the runtime and how it is run.
        on: words that run a command on the target ("ssh pi"), None for this machine. python: the interpreter there.
        storage: any of Optuna's, for several machines. guided: False for the same search without the teacher.
        out: the folder, a new one by default; an existing one is continued. listen: called with each event.

    Returns what `shrink.json` holds. Raises `UserError` if something given cannot be used.
    """
    runtime, *more = formats.parse_formats(format)
    if more or not runtime.searched:
        able = ", ".join(name for name, found in formats.formats().items() if found.searched)
        raise UserError(f"--format names one runtime for a search: {able}")
    if trials < 1 or threads < 1:
        raise UserError("--trials and --threads must be at least 1")
    settings = recipe if isinstance(recipe, Recipe) else make(recipe or {}, "shrink(...)")
    considered = partial(_considered, candidates, settings)
    limits, place = Limits(max_latency, max_size, min_score), Target.at(on, python)
    how = (seconds, trials, storage, runtime.name, int8, place, threads, listen, guided)
    with folder_of(None if out is None else Path(out)) as folder:
        return Search(settings, considered, limits, folder, *how).go()


def folder_of(out: Path | None) -> AbstractContextManager[Path]:
    """The folder of a search: the one given, which the search takes for itself, or a new one."""
    return taken(None, "shrink") if out is None else nullcontext(out)


def _considered(candidates: str | None, recipe: Recipe, data: Data) -> list[Candidate]:
    return parse_candidates(candidates, data) if candidates is not None else usual(data, recipe.teacher)
