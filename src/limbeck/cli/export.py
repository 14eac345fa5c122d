"""`limbeck export`: files for other runtimes, what int8 loses in them, and what is done about it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.command import command_of
from limbeck.cli.names import formats as names
from limbeck.errors import UserError


def export(
    run: Annotated[Path, typer.Argument(help="run folder, or a folder with student.json")],
    out: Annotated[Path | None, typer.Option(help="the file, for one format; default: student.ENDING in the folder")] = None,
    format_: Annotated[str, typer.Option("--format", help=f"one or several, with commas: {','.join(names())}")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="also in int8, calibrated on training samples")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="train on as int8 with the teacher where int8 loses too much")] = False,
    most_lost: Annotated[float, typer.Option(help="share of validation answers that int8 may lose")] = 0.01,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Write a student for other runtimes, reload each file there and compare it on real data."""
    from limbeck.cli.tables import show_exports
    from limbeck.face.export import export as exported

    found = exported(run, format_, int8=int8, repair=repair, most_lost=most_lost, out=out)
    show_exports(found.rows, json_)
    for sentence in found.advice:
        words = f"{sentence}; add --repair to train it on as int8 with its teacher, or ship the float file"
        print(words, file=sys.stderr if json_ else sys.stdout)
    failed = [row["error"] for row in found.rows if "error" in row]
    if failed:
        raise UserError(failed[0])


app = command_of(export)
