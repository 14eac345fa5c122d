"""`limbeck export`: files for other runtimes, the loss of accuracy in int8, and its repair."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import Trust, command_of
from limbeck.cli.names import formats as names
from limbeck.errors import UserError, visible


def export(
    run: Annotated[Path, typer.Argument(help="run folder, or a folder with student.json")],
    out: Annotated[
        Path | None, typer.Option(help="output file, for a single format; default: student.EXTENSION in the folder")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help=f"one or several, separated by commas: {','.join(names())}")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="also write int8, calibrated on training samples")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="if int8 loses too much: fine-tune with simulated int8 and the teacher")
    ] = False,
    most_lost: Annotated[float, typer.Option(help="drop of the validation score that int8 may cost, as a share")] = 0.01,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    trust: Trust = False,
) -> None:
    """Export a student for other runtimes, reload each file there and compare its predictions with PyTorch's."""
    from limbeck.cli.progress import Display
    from limbeck.cli.tables import show_exports
    from limbeck.face.export import export as exported

    with Display(quiet=json_) as display:
        found = exported(
            run, format_, int8=int8, repair=repair, most_lost=most_lost, out=out, trust=trust, listen=display.on_event
        )
    show_exports(found.rows, json_)
    for sentence in found.advice:
        words = visible(sentence) + "; add --repair to fine-tune it with simulated int8 and its teacher, or ship the float file"
        print(words, file=sys.stderr if json_ else sys.stdout)
    failed = [row["error"] for row in found.rows if "error" in row]
    if failed:
        raise UserError(failed[0])


app = command_of(export)
