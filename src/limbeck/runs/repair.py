"""Where int8 loses too much: the student is trained on as it will compute, with its teacher still teaching, and exported
again. Which file stays is decided on validation."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from limbeck import engine, losses
from limbeck.connectors.int8 import AsInt8, as_float
from limbeck.connectors.quantise import quantisers
from limbeck.data import Data
from limbeck.deploy import formats
from limbeck.deploy.shipment import ExportRow, PartScore, Shipment, travelling
from limbeck.deploy.student import Deployed, load_student, save_student
from limbeck.deploy.student_file import StudentFile, read_student_file
from limbeck.engine import Fit
from limbeck.errors import UserError
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Field, Tap
from limbeck.runs.sources import reopened

PART, SLOWER = 0.2, 0.1  # of the run's epochs, and of its learning rate


def method(guided: bool, temperature: float = 4.0) -> Method:
    """Labels and, with a teacher, its soft labels, for a student that computes as in int8."""
    task = Term("task", losses.cross_entropy, weight=0.5, student=Tap("student"), labels=Field("labels"))
    by = partial(losses.soft_target, temperature=temperature)
    soft = Term("soft", by, weight=0.5, student=Tap("student"), teacher=Tap("teacher").detach())
    update = Update(("student",), (task, soft) if guided else (task,))
    return Method((Stage("int8", (update,), before=(AsInt8("student"),)),))


def repaired(folder: Path, rows: list[ExportRow], data: Data, trust: bool, say: Callable[[str], None] = print) -> list[ExportRow]:
    """Train the run's student on in int8, export it again, and keep for each int8 file the better one on validation.

    Raises `UserError` if its student is not a role of its own, or is quantised already.
    """
    student, info, steps = trained_on(folder, trust)
    aside = folder / "repaired"
    save_student(aside, student, info)
    student, _ = load_student(aside, trust)  # as anybody would: not in the memory layout that it was trained in
    names = dict.fromkeys(row["format"] for row in rows if row["precision"] == "int8")
    wanted = [formats.find(name) for name in names]
    again = Shipment(student, data, aside, "student", travelling(info, data), say).go(wanted, int8=True)
    better = {row["format"]: row for row in again if row["precision"] == "int8"}
    return [_better(folder, aside, row, better.get(row["format"]), steps) if row["precision"] == "int8" else row for row in rows]


def trained_on(folder: Path, trust: bool = False) -> tuple[Deployed, StudentFile, int]:
    """A run's student after some more training as int8, as an ordinary float network; its facts; the steps taken."""
    sources = reopened(folder, trust)
    recipe, data, cast = sources.recipe, sources.data, sources.cast
    info = read_student_file(folder)
    if list(info["roles"]) != ["student"] or data.task.name != "classify" or any(True for _ in quantisers(cast["student"])):
        raise UserError("--repair works for a classifier that is a single role; this student is not, so ship the float file")
    guided = "teacher" in cast
    names = ("student", "teacher") if guided else ("student",)
    mine = Cast({name: cast[name] for name in names}, {name: cast.adapter_of(name) for name in names})
    plan = method(guided)
    streams = sources.streams(plan)
    settings = recipe.train
    steps = max(1, round(max(1.0, PART * settings.epochs) * streams.steps_per_epoch))
    kept = settings.model_dump(include={"optimizer", "momentum", "weight_decay", "schedule", "clip", "accumulate"})
    fit = Fit(steps=steps, steps_per_epoch=streams.steps_per_epoch, lr=SLOWER * settings.lr, **kept)
    engine.train(plan, mine, streams, fit, seed=recipe.seed)
    as_float(mine["student"])
    info["repaired"] = {"steps": steps, "guided": guided}
    return Deployed(mine, Tap("student")).eval().cpu(), info, steps


def _better(folder: Path, aside: Path, old: ExportRow, new: ExportRow | None, steps: int) -> ExportRow:
    before = _judged(old)
    if new is None or "error" in old or before is None:
        return old
    after = _judged(new)
    if "error" in new or after is None:
        return old | {
            "note": f"after {steps} steps of fine-tuning with simulated int8 it could not be exported again: {new.get('error')}"
        }
    said = f"{steps} steps of fine-tuning with simulated int8 and the teacher: {_percent(before)} to {_percent(after)}"
    said += f" on {'validation' if 'validation' in old else 'test'}"
    if (after["score"] or 0.0) <= (before["score"] or 0.0):
        return old | {"note": f"{said}; the previous file is kept"}
    kind = formats.find(old["format"])
    for mine, theirs in zip(kind.files(aside / new["file"]), kind.files(folder / old["file"]), strict=True):
        shutil.copyfile(mine, theirs)
    better: ExportRow = new | {"file": old["file"], "note": said}
    if "validation" in new and "validation" in old:
        better["validation"] = new["validation"] | {"student": old["validation"]["student"]}
    if "test" in new and "test" in old:
        better["test"] = new["test"] | {"student": old["test"]["student"]}
    return better


def _judged(row: ExportRow) -> PartScore | None:
    return row.get("validation") or row.get("test")


def _percent(part: PartScore) -> str:
    return f"{100 * (part['score'] or 0.0):.2f} %"
