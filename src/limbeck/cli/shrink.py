"""`limbeck shrink`: search for the best student under limits."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of
from limbeck.cli.names import formats as names
from limbeck.cli.options import takes_settings
from limbeck.runs.settings import Recipe

SEARCH = "Search"


@takes_settings(leave=("student.model", "student.weights", "baseline", "equal_time", "tensorboard", "onnx"))
def shrink(
    recipe: Recipe,
    max_latency: Annotated[
        str | None, typer.Option(help="median latency at batch size 1: 5ms, 800us", rich_help_panel=SEARCH)
    ] = None,
    max_size: Annotated[str | None, typer.Option(help="size of the exported file: 1MB, 200kB", rich_help_panel=SEARCH)] = None,
    min_score: Annotated[str | None, typer.Option(help="lowest score of the task: 0.9 or 90%", rich_help_panel=SEARCH)] = None,
    time: Annotated[str | None, typer.Option(help="longest time of the whole search: 30m, 2h", rich_help_panel=SEARCH)] = None,
    trials: Annotated[int, typer.Option(help="most students to train", rich_help_panel=SEARCH)] = 30,
    candidates: Annotated[
        str | None, typer.Option(help="cnn:width=4|8:size=14,my_models:small; default: the zoo", rich_help_panel=SEARCH)
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help=f"export format: {', '.join(names())}", rich_help_panel=SEARCH)
    ] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="export and measure students in int8", rich_help_panel=SEARCH)] = False,
    threads: Annotated[int, typer.Option(help="threads of the runtime", rich_help_panel=SEARCH)] = 1,
    on: Annotated[
        str | None, typer.Option(help='command prefix that runs a command on the target: "ssh pi"', rich_help_panel=SEARCH)
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="Python interpreter on the target; default python3", rich_help_panel=SEARCH)
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage, for several machines; default: SQLite", rich_help_panel=SEARCH)
    ] = None,
    guided: Annotated[bool, typer.Option(help="--no-guided: search without a teacher", rich_help_panel=SEARCH)] = True,
    out: Annotated[
        Path | None, typer.Option(help="output folder; default: a new one; an existing one is continued", rich_help_panel="Run")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the result", rich_help_panel="Run")] = False,
) -> None:
    """Find the best student within limits of latency, size and score, or say why none fits."""
    from limbeck.cli.console import tell
    from limbeck.cli.progress import Display
    from limbeck.shrinking.call import folder_of
    from limbeck.shrinking.call import shrink as search
    from limbeck.shrinking.limits import parse_seconds, parse_share, parse_size

    with folder_of(out) as folder, Display(quiet=quiet) as display:
        state = search(
            recipe,
            max_latency=None if max_latency is None else parse_seconds("--max-latency", max_latency),
            max_size=None if max_size is None else parse_size("--max-size", max_size),
            min_score=None if min_score is None else parse_share("--min-score", min_score),
            seconds=None if time is None else parse_seconds("--time", time),
            trials=trials,
            candidates=candidates,
            format=format_,
            int8=int8,
            threads=threads,
            on=on,
            python=python,
            storage=storage,
            guided=guided,
            out=folder,
            listen=display.on_event,
        )
    for sentence in state["verdict"]["words"]:
        tell(sentence)
    print(folder / "shrink.html")


app = command_of(shrink)
