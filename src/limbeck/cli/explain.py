"""`limbeck explain`: why a student gained."""

import json
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of


def explain(
    run: Annotated[Path, typer.Argument(help="folder of a finished run that had a teacher")],
    seeds: Annotated[int, typer.Option(min=0, help="students of each of five kinds to train; 0 trains nothing")] = 3,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the verdict")] = False,
) -> None:
    """Why the student gained: where the models differ, which part of the teacher's labels did it, what the layers hold."""
    from limbeck.cli.progress import Display
    from limbeck.explanation import explain as explained

    with Display(quiet=quiet or json_) as display:
        found = explained(run, seeds=seeds, listen=display.hear)
    typer.echo(json.dumps(found, indent=1) if json_ else "\n".join([*found["verdict"], str(run / "explain.html")]))


app = command_of(explain)
