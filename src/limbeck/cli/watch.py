"""`limbeck watch`: a page that follows a run, or a list of runs."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of


def watch(
    run: Annotated[Path, typer.Argument(help="folder of a run or of a comparison, or one that holds several")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="port on this machine; 0 picks a free one")] = 8765,
) -> None:
    """Serve the live page of a run, a comparison or a folder of runs on this machine; control-C ends it."""
    from limbeck.web.watch import watch as serve

    serve(run, port, typer.echo)


app = command_of(watch)
