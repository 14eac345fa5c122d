"""What exported files cost, here or on a target, each in a fresh process."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from limbeck.cards.schema import FILE as CARD
from limbeck.deploy import formats
from limbeck.deploy.device import ProbeJob, ProbeResult, Target, ask
from limbeck.deploy.formats import Format
from limbeck.deploy.measured import Measurement, write_measured
from limbeck.deploy.shipment import checksums, exports, file_facts
from limbeck.deploy.student_file import FILE as STUDENT
from limbeck.deploy.student_file import read_student_file
from limbeck.errors import UserError
from limbeck.report.page import write_report
from limbeck.runs.events import Listener, Message, silent
from limbeck.tasks.next_token import NextToken


def measure(
    target: str | Path,
    *,
    batches: Sequence[int] = (1, 16),
    threads: int = 1,
    repeats: int = 200,
    warm_up: int = 10,
    seconds: float = 2.0,
    on: str | None = None,
    python: str | None = None,
    trust: bool = False,
    listen: Listener = silent,
) -> list[Measurement]:
    """Latency (median, quartiles, 95 %), peak memory and size of a file, or of every export of a run's folder.

    Args:
        batches: sizes that are timed, at least 1. threads: of the runtime. repeats: most inference calls to time; warm_up:
            before the clock runs; seconds: for each size of batch.
        on: words in front of the command on the target ("ssh pi"), None for this machine. python: the interpreter there.
        trust: open also .pte files, which are machine-near code. listen: hears a sentence before each file is timed.

    Raises `UserError` if nothing was exported, a file must not be opened, or the target cannot be reached.
    """
    if any(batch < 1 for batch in batches) or threads < 1 or repeats < 1 or warm_up < 0:
        raise UserError("batches, threads and repeats must be at least 1, warm-up at least 0")
    folder, place = Path(target), Target.at(on, python)
    jobs, rows = [], list[Measurement]()
    for path in _files(folder):
        kind = formats.careful(path, checksums(path.parent), trust)
        most = next((row.get("largest_batch") for row in exports(path.parent) if row["file"] == path.name), None)
        own = tuple(batch for batch in batches if most is None or batch <= most)
        how = {"batches": own, "threads": threads, "repeats": repeats, "warm_up": warm_up, "seconds": seconds}
        jobs.append(kind.job(path, _example(path, kind), batch=1, **how))
        size = file_facts(kind.files(path))[0]
        rows.append(
            {"file": path.name, "format": kind.name, "bytes": size, "threads": threads, "on": str(place), **_tokens(path)}
        )
    found: list[Measurement] = []
    for row, seen in zip(rows, _asked(jobs, rows, place, listen), strict=True):
        found.append({**row, "error": seen.error} if seen.error else {**row, **seen.figures})
    if folder.is_dir():
        write_measured(folder, found)
        if (folder / CARD).exists():
            write_report(folder)  # the files stand in its picture
    return found


def _asked(jobs: Sequence[ProbeJob], rows: Sequence[Measurement], place: Target, listen: Listener) -> Iterator[ProbeResult]:
    """The results; here one file after another, elsewhere all over one connection."""
    for many in [jobs] if place.prefix else [[job] for job in jobs]:
        names = [row["file"] for row, job in zip(rows, jobs, strict=True) if any(job is each for each in many)]
        batches = dict.fromkeys(size for job in many for size in job.batches)
        listen(Message(f"timing {', '.join(names)} on {place}, batch {', '.join(map(str, batches))}"))
        yield from ask(many, place)


def _files(target: Path) -> list[Path]:
    if not target.is_dir():
        return [target]
    found = [target / row["file"] for row in exports(target) if "sha256" in row and (target / row["file"]).exists()]
    if not found and (target / "student.onnx").exists():
        found = [target / "student.onnx"]
    if not found:
        raise UserError(f"{target} has no exports; run limbeck export {target} first, or name a file")
    return found


def _tokens(path: Path) -> Measurement:
    """How many tokens a row of a language model has; nothing for other models."""
    if not (path.parent / STUDENT).exists():
        return {}
    facts = read_student_file(path.parent)
    return {"tokens": facts["shape"][0]} if facts["task"]["name"] == NextToken.name else {}


def _example(path: Path, kind: Format) -> np.ndarray:
    """One input of the right shape and type: what the file itself says, else the run's student."""
    own = kind.example(path)
    if own is not None:
        return own
    if not (path.parent / STUDENT).exists():
        raise UserError(f"{path} is not beside the student.json of its run, which describes its inputs; give the run folder")
    facts = read_student_file(path.parent)
    return np.zeros((1, *facts["shape"]), np.int64 if facts["kind"] == "text" else np.float32)
