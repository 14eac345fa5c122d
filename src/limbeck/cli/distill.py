"""`limbeck distill`: one run, from settings to a card and a page."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of
from limbeck.cli.options import takes_settings
from limbeck.runs.settings import Recipe


@takes_settings()
def distill(
    recipe: Recipe,
    out: Annotated[Path | None, typer.Option(help="output folder; default: a new one under runs/", rich_help_panel="Run")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue the unfinished run in --out", rich_help_panel="Run")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the result", rich_help_panel="Run")] = False,
    brief: Annotated[
        bool, typer.Option("--brief", help="of the result only the sentence and the three numbers", rich_help_panel="Run")
    ] = False,
) -> None:
    """Train the teacher (if it has no weights), a baseline and a student; measure, export and report them."""
    from limbeck.cli.progress import Display
    from limbeck.engine.turns import last
    from limbeck.face.run import done, running
    from limbeck.processes import agreed, first
    from limbeck.runs import auto
    from limbeck.runs.folder import open_folder

    with Display(quiet=quiet or not first(), brief=brief) as display:
        recipe, data = auto.settled(recipe, display.on_event, out if resume else None)
        with open_folder(out, recipe, resume) as folder:
            known = agreed(lambda: done(folder), cpu=recipe.device == "cpu")
            card = known or last(running(recipe, folder, display.on_event, data=data))
    if first():
        display.show(card, folder)


app = command_of(distill)
