"""A student as files for other runtimes, each reloaded there and compared on real data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limbeck.cards.model_card import write_model_card
from limbeck.cards.schema import FILE as CARD
from limbeck.deploy import formats
from limbeck.deploy.alone import write_script
from limbeck.deploy.shipment import ExportRow, Shipment, judge, keep, loss, travelling
from limbeck.deploy.student import load_student
from limbeck.errors import UserError
from limbeck.face.data import data_of
from limbeck.face.run import mended
from limbeck.files.locks import alone_in
from limbeck.report.page import write_report
from limbeck.runs.events import Listener, Message, silent
from limbeck.runs.repair import repaired


@dataclass(frozen=True)
class Exports:
    """What came of an export: a row for each file, and what to know of those whose int8 loses much."""

    rows: list[ExportRow]
    advice: list[str]


def export(
    run: str | Path,
    formats: str | Sequence[str] = "onnx",
    *,
    int8: bool = False,
    repair: bool = False,
    most_lost: float = 0.01,
    out: str | Path | None = None,
    trust: bool = False,
    listen: Listener = silent,
) -> Exports:
    """Export a student for other runtimes, reload each file there and compare its predictions with PyTorch's.

    Args:
        run: a run's folder, or any folder with student.json. formats: "onnx,torch", or a list of names.
        int8: also write int8, calibrated on training samples. repair: fine-tune with simulated int8
            and the teacher if int8 loses too much.
        most_lost: drop of the validation score that int8 may cost, as a share, 0 .. 1. out: output file, for a single format.
        trust: let models that the folder names run their code. listen: hears a sentence before each piece of work.

    Returns a row for each file; a failed one has the reason in `error`. Raises `UserError` if nothing can be exported.
    """
    folder, target = Path(run), None if out is None else Path(out)
    wanted = _wanted(formats, target)
    if repair and not int8:
        raise UserError("--repair works on int8 exports; add --int8")
    if not folder.is_dir():
        raise UserError(f"there is no run folder at {folder}; give the folder of a finished run")
    with alone_in(folder):
        mended(folder)
        return _exported(folder, wanted, int8, repair, most_lost, target, trust, lambda text: listen(Message(text)))


def _exported(
    folder: Path,
    wanted: tuple[formats.Format, ...],
    int8: bool,
    repair: bool,
    most_lost: float,
    target: Path | None,
    trust: bool,
    say: Callable[[str], None],
) -> Exports:
    student, info = load_student(folder, trust)
    say(f"reading the data of {folder}")
    data = data_of(folder, trust=trust)
    shipment, place = Shipment(student, data, folder, "student", travelling(info, data), say), target.parent if target else folder
    keep(place, shipment.begun(wanted, int8, target), data)
    rows = shipment.go(wanted, int8, target)
    if any(row["format"] == "onnx" and "error" not in row for row in rows):
        write_script(place, data.task.name)
    lost = {row["file"]: loss(row) for row in rows if row["precision"] == "int8" and "error" not in row}
    advice = [
        f"{name} loses {100 * value:.1f} points on {judge(data)}, more than {100 * most_lost:g}"
        for name, value in lost.items()
        if value > most_lost
    ]
    if advice and repair:
        say("int8 loses too much: the student is fine-tuned with simulated int8 and its teacher")
        rows, advice = repaired(folder, rows, data, trust, say), []
    keep(place, rows, data)
    if target is None:
        write_model_card(folder)
        if (folder / CARD).exists():
            write_report(folder)  # the files stand in its picture
    return Exports(rows, advice)


def _wanted(names: str | Sequence[str], out: Path | None) -> tuple[formats.Format, ...]:
    found = formats.parse_formats(names if isinstance(names, str) else ",".join(names))
    if out is not None and len(found) > 1:
        raise UserError(f"--out names one file, but --format names {len(found)} formats; leave --out away or name one format")
    if out is not None and formats.format_of(out) is not found[0]:
        ending = found[0].endings[0]
        raise UserError(f"--out {out} does not have the extension of format {found[0].name}; give a name like student{ending}")
    return found
