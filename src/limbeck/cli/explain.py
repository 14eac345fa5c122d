"""`limbeck explain`: why a student improved on its baseline."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import Trust, command_of
from limbeck.errors import visible
from limbeck.files import json_text


def explain(
    run: Annotated[Path, typer.Argument(help="folder of a finished run that had a teacher")],
    seeds: Annotated[int, typer.Option(min=0, help="students to train for each of the five ablations; 0 trains none")] = 3,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    trust: Trust = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the verdict")] = False,
) -> None:
    """Explain a gain: where the models differ, which part of the soft labels helped, what the layers represent."""
    from limbeck.cli.progress import Display
    from limbeck.explanation import explain as explained

    with Display(quiet=quiet or json_) as display:
        found = explained(run, seeds=seeds, trust=trust, listen=display.on_event)
    typer.echo(json_text(found, indent=1) if json_ else visible("\n".join([*found["verdict"], str(run / "explain.html")])))


app = command_of(explain)
