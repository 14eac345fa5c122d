"""`limbeck survey`: the 27 systems of a survey, as published and as measured here."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of


def survey(
    alpha: Annotated[float, typer.Option(min=0, max=1, help="weight of size against accuracy in the distillation score")] = 0.5,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    figure: Annotated[Path | None, typer.Option(help="write a chart of scores against alpha to this SVG file")] = None,
) -> None:
    """Show the 27 systems of the survey: as published, as declared here, and as measured here."""
    from limbeck.catalogue import survey as systems

    if figure is not None:
        from limbeck.files import atomic_write
        from limbeck.report.survey import svg

        with atomic_write(figure, text=True) as file:
            file.write(svg(alpha))
    typer.echo(systems.as_json(alpha)) if json_ else systems.show(alpha)


app = command_of(survey)
