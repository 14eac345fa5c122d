"""`limbeck report`: write the report page of a folder again."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of


def report(run: Annotated[Path, typer.Argument(help="folder of a run or of a comparison")]) -> None:
    """Write the report page of a run or a comparison again, from its folder."""
    from limbeck.comparison.pages import write_page
    from limbeck.face.run import glanced

    for folder in (run, *run.glob("runs/*")):  # of a comparison
        glanced(folder)
    typer.echo(str(write_page(run)))


app = command_of(report)
