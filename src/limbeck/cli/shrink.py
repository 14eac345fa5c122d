"""`limbeck shrink`: the words of the command line as a search, and its answer on the screen."""

from pathlib import Path

from limbeck.cli.progress import Display
from limbeck.data import Data
from limbeck.deploy.device import Place
from limbeck.deploy.formats import NAMES, parse_formats
from limbeck.errors import UserError
from limbeck.runs.settings import Recipe
from limbeck.shrink.candidates import Candidate, parse_candidates, usual
from limbeck.shrink.limits import Limits, parse_seconds, parse_share, parse_size
from limbeck.shrink.search import Search


def shrink(
    recipe: Recipe,
    *,
    max_latency: str | None,
    max_size: str | None,
    min_accuracy: str | None,
    time: str | None,
    trials: int,
    candidates: str | None,
    format_: str,
    int8: bool,
    threads: int,
    on: str | None,
    python: str | None,
    storage: str | None,
    guided: bool,
    out: Path | None,
    quiet: bool,
) -> None:
    """Check the options, search, print the answer and the page's path."""
    limits = Limits(
        None if max_latency is None else parse_seconds("--max-latency", max_latency),
        None if max_size is None else parse_size("--max-size", max_size),
        None if min_accuracy is None else parse_share("--min-accuracy", min_accuracy),
    )
    seconds = None if time is None else parse_seconds("--time", time)
    format_, *more = parse_formats(format_)
    if more or format_ == "rules":
        raise UserError(f"--format names one runtime for a search: {', '.join(n for n in NAMES if n != 'rules')}")
    if trials < 1 or threads < 1:
        raise UserError("--trials and --threads must be at least 1")

    def considered(data: Data) -> list[Candidate]:
        return parse_candidates(candidates, data) if candidates is not None else usual(data, recipe.teacher)

    fresh = (Path("runs") / f"shrink-{n}" for n in range(1, 10**6))
    folder = out if out is not None else next(path for path in fresh if not path.exists())
    place = Place.at(on, python)
    with Display(quiet=quiet) as display:
        search = Search(
            recipe, considered, limits, folder, seconds, trials, storage, format_, int8, place, threads, display.hear, guided
        )
        state = search.go()
    for sentence in state["verdict"]["words"]:
        print(sentence)
    print(folder / "shrink.html")
