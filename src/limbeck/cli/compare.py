"""`limbeck compare`: several methods and the baseline on equal terms, with several seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of
from limbeck.cli.options import takes_settings
from limbeck.runs.settings import Recipe


@takes_settings(leave=("method.name", "baseline", "equal_time", "tensorboard", "onnx"), table="compare")
def compare(
    recipe: Recipe,
    compare: Mapping[str, object],
    methods: Annotated[
        str | None, typer.Option(help="kd,dkd,...; with settings: kd:temperature=2:alpha=0.5", rich_help_panel="Comparison")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="number of seeds, counted from --seed (at least 1; default 5)", rich_help_panel="Comparison"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="runs in parallel, each in its own process (at least 1; default 1)", rich_help_panel="Comparison"),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="together: the methods of a seed share batches and teacher passes; ray: on Ray", rich_help_panel="Comparison"
        ),
    ] = None,
    search: Annotated[
        int | None,
        typer.Option(
            help="tuning trials per method, scored on validation (0 or at least 2; default 0)", rich_help_panel="Comparison"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="output folder; default: a new one; an existing one is continued", rich_help_panel="Run")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the table", rich_help_panel="Run")] = False,
) -> None:
    """Train several methods and the baseline on equal terms, with several seeds; table, intervals, verdict."""
    from limbeck.cli.progress import Display
    from limbeck.comparison.asked import asked, table_of
    from limbeck.comparison.comparison import stem_of
    from limbeck.files.locks import taken

    wanted = asked(table_of(compare), methods, seeds, jobs, on, search)
    with taken(out, stem_of(recipe)) as folder, Display(quiet=quiet) as display:
        board = wanted.over(recipe, folder, display.on_event).go()
    display.show_board(board, folder)


app = command_of(compare)
