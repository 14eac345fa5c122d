"""`limbeck web`: try a student in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import Trust, command_of


def web(
    run: Annotated[Path, typer.Argument(help="folder of a finished run on images")],
    out: Annotated[Path | None, typer.Option(help="output folder; default: web in the run folder")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port on this machine; 0 picks a free one")] = 8766,
    runtime: Annotated[Path | None, typer.Option(help="folder with onnxruntime-web; default: downloaded once with npm")] = None,
    trust: Trust = False,
    serve: Annotated[bool, typer.Option(help="--no-serve: only build the folder")] = True,
) -> None:
    """Build a page that runs student and teacher on drawings in the browser, and serve it on this machine."""
    from limbeck import web as page

    typer.echo(str(folder := page.build(run, out or run / "web", runtime, trust)))
    if serve:
        page.serve(folder, port, typer.echo)


app = command_of(web)
