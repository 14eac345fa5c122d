"""`limbeck measure`: what exported files cost, here or on a target, each in a fresh process."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from limbeck.cli.command import command_of
from limbeck.deploy import formats
from limbeck.deploy.device import Job, Place, ask
from limbeck.deploy.shipment import checksums, exports
from limbeck.errors import UserError
from limbeck.files import write_json

MEASURED = "measured.json"
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


def measure(
    target: Annotated[Path, typer.Argument(help="run folder (every export in it), or an exported file")],
    batch: Annotated[str, typer.Option(help="sizes of the batches that are timed, with commas")] = "1,16",
    threads: Annotated[int, typer.Option(help="threads of the runtime")] = 1,
    repeats: Annotated[int, typer.Option(help="answers that are timed, at most")] = 200,
    warm_up: Annotated[int, typer.Option(help="answers before the clock runs")] = 10,
    seconds: Annotated[float, typer.Option(help="time for each size of batch")] = 2.0,
    on: Annotated[str | None, typer.Option(help='words that run a command on the target: "ssh pi"')] = None,
    python: Annotated[str | None, typer.Option(help="the interpreter there; default python3")] = None,
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Latency, peak memory and size of exported files, here or on a target, each in a fresh process."""
    from limbeck.cli.tables import show_measured

    show_measured(measured(target, parse_batches(batch), threads, repeats, warm_up, seconds, on, python), json_)


def measured(
    target: Path,
    batches: tuple[int, ...],
    threads: int = 1,
    repeats: int = 200,
    warm_up: int = 10,
    seconds: float = 2.0,
    on: str | None = None,
    python: str | None = None,
) -> list[dict[str, Any]]:
    """Latency (median, quartiles, 95 %), peak memory and size of a file, or of every export of a run's folder.

    Args:
        batches: sizes that are timed. threads: of the runtime. repeats, warm_up, seconds: as for `latency`.
        on: words in front of the command on the target, None for this machine. python: the interpreter there.
    """
    if any(batch < 1 for batch in batches) or threads < 1 or repeats < 1 or warm_up < 0:
        raise UserError("batches, threads and repeats must be at least 1 and warm-up at least 0")
    place, files = Place.at(on, python), _files(target)
    jobs, rows = [], []
    for path in files:
        kind = formats.careful(path, checksums(path.parent))
        example = _example(path, kind)
        most = next((row.get("largest_batch") for row in exports(path.parent) if row["file"] == path.name), None)
        own = tuple(batch for batch in batches if most is None or batch <= most)
        jobs.append(Job(kind, path, example, False, 1, own, threads, warm_up, repeats, seconds))
        rows.append({"file": path.name, "format": kind, "bytes": path.stat().st_size, "threads": threads, "on": str(place)})
    for row, seen in zip(rows, ask(jobs, place), strict=True):
        row |= {"error": seen.error} if seen.error else seen.figures
    if target.is_dir():
        write_json(target / MEASURED, {"rows": rows})
    return rows


def _files(target: Path) -> list[Path]:
    if not target.is_dir():
        return [target]
    found = [target / row["file"] for row in exports(target) if "sha256" in row and (target / row["file"]).exists()]
    if not found and (target / "student.onnx").exists():
        found = [target / "student.onnx"]
    if not found:
        raise UserError(f"{target} holds no exports; run limbeck export {target} first, or name a file")
    return found


def _example(path: Path, kind: str) -> np.ndarray:
    """One input of the right shape and type: what the file itself says, else the run's student."""
    import json

    if kind == "onnx":
        return onnx_example(path)
    if kind == "rules":
        return np.zeros((1, *json.loads(path.read_text(encoding="utf-8"))["limbeck"]["shape"]), np.float32)
    info = path.parent / "student.json"
    if not info.exists():
        raise UserError(f"{path} does not lie beside the student.json of its run, which says what it takes; name the run folder")
    facts = json.loads(info.read_text(encoding="utf-8"))
    return np.zeros((1, *facts["shape"]), np.int64 if facts["kind"] == "text" else np.float32)


def onnx_example(path: Path) -> np.ndarray:
    """Zeros as an ONNX file's first input wants them; free sizes are 1."""
    from limbeck.deploy.measure import open_session

    first = open_session(path).get_inputs()[0]
    kind = TYPES.get(first.type)
    if kind is None:
        raise UserError(f"{path} takes {first.type}; only float and whole-number inputs can be measured")
    return np.zeros([size if isinstance(size, int) else 1 for size in first.shape], kind)


def parse_batches(text: str) -> tuple[int, ...]:
    """Sizes out of `1,16`.

    >>> parse_batches("1,16")
    (1, 16)
    """
    try:
        return tuple(dict.fromkeys(int(word) for word in text.split(",")))
    except ValueError:
        raise UserError(f"--batch {text!r}: write whole numbers with commas, for example 1,16") from None


app = command_of(measure)
