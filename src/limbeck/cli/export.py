"""`limbeck export`: files for other runtimes, what int8 loses in them, and what is done about it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cards.model_card import write_model_card
from limbeck.cli.command import command_of
from limbeck.cli.evaluate import data_of
from limbeck.cli.tables import show_exports
from limbeck.deploy.formats import NAMES, format_of, parse_formats
from limbeck.deploy.shipment import Shipment, judge, keep, loss, travelling
from limbeck.deploy.student import load_student
from limbeck.errors import UserError
from limbeck.runs.repair import repaired


def export(
    run: Annotated[Path, typer.Argument(help="run folder, or a folder with student.json")],
    out: Annotated[Path | None, typer.Option(help="the file, for one format; default: student.ENDING in the folder")] = None,
    format_: Annotated[str, typer.Option("--format", help="onnx,torch,executorch,rules: one or several")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="also in int8, calibrated on training samples")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="train on as int8 with the teacher where int8 loses too much")] = False,
    most_lost: Annotated[float, typer.Option(help="share of validation answers that int8 may lose")] = 0.01,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Write a student for other runtimes, reload each file there and compare it on real data."""
    names = parse_formats(format_)
    if out is not None and len(names) > 1:
        raise UserError(f"--out names one file, but {len(names)} formats were asked for; leave it out, or name one format")
    if out is not None and format_of(out) != names[0]:
        raise UserError(f"--out {out} does not end as the format {names[0]} does; expected a name like student{NAMES[names[0]]}")
    if repair and not int8:
        raise UserError("--repair mends what int8 loses; add --int8")
    student, info = load_student(run)
    data = data_of(run)
    shipment = Shipment(student, data, run, "student", travelling(info, data))
    rows = shipment.go(names, int8, out)
    lost = {row["file"]: loss(row) for row in rows if row["precision"] == "int8" and "error" not in row}
    advice = [
        f"{name} loses {100 * value:.1f} points on {judge(data)}, more than {100 * most_lost:g}"
        for name, value in lost.items()
        if value > most_lost
    ]
    if advice and repair:
        rows = repaired(run, rows, data)
    keep(run if out is None else out.parent, rows, data)
    show_exports(rows, json_)
    for sentence in advice if not repair else []:
        words = f"{sentence}; add --repair to train it on as int8 with its teacher, or ship the float file"
        print(words, file=sys.stderr if json_ else sys.stdout)
    if out is None:
        write_model_card(run)
    failed = [row["error"] for row in rows if "error" in row]
    if failed:
        raise UserError(failed[0])


app = command_of(export)
