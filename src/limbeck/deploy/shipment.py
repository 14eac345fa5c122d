"""A student as files for other runtimes, each reloaded there and compared on real data; what a folder has of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

import limbeck
from limbeck.data import Batches, Data, Partition
from limbeck.deploy import formats
from limbeck.deploy.formats import Format, Written, asking
from limbeck.deploy.student_file import StudentFile
from limbeck.errors import UserError, reason
from limbeck.files import read_json, write_json
from limbeck.tasks.figure import finite
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.task import Task

CALIBRATE, COMPARE = 256, 2000  # samples, at most
MANIFEST, VERSION = "exports.json", 1
Tell = Callable[[str], None]


class PartScore(TypedDict):
    """Samples asked, the file's score on them, and that of the PyTorch student."""

    samples: int
    score: float | None
    student: float | None


class ExportRow(TypedDict, total=False):
    """One export: its format and files, and how near it is to the PyTorch student; or why it could not be had."""

    format: str
    precision: str
    file: str
    bytes: int
    sha256: dict[str, str]
    largest_batch: int | None
    largest_difference: float
    same_predictions: float
    validation: PartScore
    test: PartScore
    note: str
    error: str


class ExportsFile(TypedDict):
    """What exports.json holds."""

    version: int
    data: str
    rows: list[ExportRow]


@dataclass
class Shipment:
    """What is exported, from where to where, and the rows that came of it.

    student: the module from inputs to logits. stem: the files' name without ending. facts: travel inside every file.
    """

    student: nn.Module
    data: Data
    folder: Path
    stem: str
    facts: Mapping[str, object]
    say: Tell = print
    rows: list[ExportRow] = field(default_factory=list)

    def go(self, wanted: Sequence[Format], int8: bool, out: Path | None = None) -> list[ExportRow]:
        """Write every wanted format, and its int8 form where it has one; then ask and compare all. A failure is a row."""
        self.rows = []
        calibration = some(self.data["train"], self.data, CALIBRATE) if int8 else None
        written = [self._write(each, None, out) for each in wanted]
        written += [self._write(each, calibration, None) for each in wanted if int8 and each.int8]
        self._compare([w for w in written if w is not None])
        return self.rows

    def begun(self, wanted: Sequence[Format], int8: bool, out: Path | None = None) -> list[ExportRow]:
        """The rows while `go` is at work: kept before it begins, they say what a kill left."""
        files = [(each.name, "float32", out or self._path(each, False)) for each in wanted]
        files += [(each.name, "int8", self._path(each, True)) for each in wanted if int8 and each.int8]
        why = "its export was interrupted; export it again"
        return [{"format": name, "precision": precision, "file": path.name, "error": why} for name, precision, path in files]

    def _path(self, kind: Format, int8: bool) -> Path:
        return self.folder / f"{self.stem}{'.int8' if int8 else ''}{kind.endings[0]}"

    def _write(self, kind: Format, calibration: Tensor | None, out: Path | None) -> Written | None:
        precision = "float32" if calibration is None else "int8"
        path = out or self._path(kind, calibration is not None)
        self.say(f"writing {path.name} ({kind.name}, {precision})")
        row: ExportRow = {"format": kind.name, "precision": precision, "file": path.name}
        self.rows.append(row)
        try:
            example = some(self.data["train"], self.data, 2)
            written = formats.write(kind, self.student, example, path, metadata=self.facts, calibration=calibration)
        except Exception as error:  # an exporter's, or code of the user's
            row["error"] = str(error) if isinstance(error, UserError) else f"cannot export to {kind.name}: {reason(error)}"
            return None
        row["bytes"], row["sha256"] = file_facts(written.files)
        row["largest_batch"] = written.most
        return written

    def _compare(self, written: list[Written]) -> None:
        task, count = self.data.task, min(COMPARE, 8 * self.data.task.at_once(self.data.shape))
        parts = [p for p in ("validation", "test") if p in self.data.partitions]
        samples = {p: some(self.data[p], self.data, count) for p in parts}
        many = sum(map(len, samples.values()))
        self.say(f"asking {len(written)} file{'' if len(written) == 1 else 's'} and PyTorch about {many:,} samples")
        ours = asking.module_answers(self.student, torch.cat(list(samples.values())))
        rows = {row["file"]: row for row in self.rows}
        theirs: list[np.ndarray | str] = asking.file_answers(written, torch.cat(list(samples.values()))) if written else []
        for file, said in zip(written, theirs, strict=True):
            row = rows[file.path.name]
            if isinstance(said, str) or said.shape != ours.shape:
                why = said if isinstance(said, str) else f"answers {said.shape} where PyTorch answers {ours.shape}"
                row["error"] = f"{file.path.name} was written, but {why}"
                continue
            largest = asking.largest_difference(ours, said)
            if not isfinite(largest):
                row["error"] = f"{file.path.name} was written, but its answers or PyTorch's are not finite"
                continue
            row["largest_difference"] = largest
            at = 0
            for part in parts:
                cut = slice(at, at := at + len(samples[part]))
                labels = some_labels(self.data[part], count)
                own, its = (seen(task, logits[cut], labels) for logits in (ours, said))
                row["same_predictions"] = min(row.get("same_predictions", 1.0), task.agreement(own, its))
                scores = PartScore(samples=len(labels), score=finite(task.score(its)), student=finite(task.score(own)))
                row |= {"validation": scores} if part == "validation" else {"test": scores}


def file_facts(files: Sequence[Path]) -> tuple[int, dict[str, str]]:
    """Bytes of all files of an export together, and the SHA-256 of each by its name."""
    return sum(file.stat().st_size for file in files), {file.name: formats.sha256(file) for file in files}


def seen(task: Task, logits: np.ndarray, labels: Tensor) -> Predictions:
    """Logits as what the task scores."""
    kept, goals = task.keep(torch.from_numpy(logits), labels)
    return Predictions(kept, goals, torch.arange(len(labels)))


def some(part: Partition, data: Data, count: int) -> Tensor:
    """Up to `count` inputs of a part, spread over all of it, as models are fed with them (images on 0..1)."""
    rows = spread(len(part), count)
    inputs = [batch["inputs"] for batch in Batches(part.select(rows), data, size=256, seed=0).ordered()]
    if not isinstance(inputs[0], Tensor):
        raise UserError(f"{data.name} has inputs of several parts; only students that take one tensor can be exported")
    return torch.cat(inputs)


def some_labels(part: Partition, count: int) -> Tensor:
    """The labels of the samples that `some` gives."""
    assert part.labels is not None
    return part.labels[spread(len(part), count)]


def spread(length: int, count: int) -> Tensor:
    """`count` row numbers at equal distances, or all where there are no more."""
    return torch.linspace(0, length - 1, min(length, count)).long() if length > count else torch.arange(length)


def judge(data: Data) -> str:
    """The part on which int8 is accepted or not: validation, so that the test part decides nothing."""
    return "validation" if "validation" in data.partitions else "test"


def loss(row: ExportRow) -> float:
    """The score that a file loses against its PyTorch student, where that is judged; 0 where it has none."""
    part = row.get("validation") or row["test"]
    return 0.0 if part["student"] is None or part["score"] is None else part["student"] - part["score"]


def travelling(info: StudentFile, data: Data) -> dict[str, object]:
    """What goes into every file of a student, so that nobody feeds it wrongly."""
    first = next(iter(info["roles"].values()))
    own = {"inputs": info["inputs"], "made_by": f"limbeck {info['limbeck']}", **raw_facts(info)}
    return facts_inside(data, first["mean"], first["std"]) | own


def raw_facts(info: StudentFile) -> dict[str, object]:
    """What of a student.json turns raw files into inputs, and outputs into words."""
    return {key: info[key] for key in ("kind", "shape", "classes", "task", "columns", "words", "tile") if key in info}  # type: ignore[literal-required]


def facts_inside(data: Data, mean: list[float], std: list[float]) -> dict[str, object]:
    """What a file says of the data that it was made for."""
    image = data.kind == "image"
    return {
        "classes": list(data.classes),
        "shape": list(data.shape),
        "kind": data.kind,
        "inputs": input_words(data),
        "scale": "pixel / 255" if image else "as in the data",
        "normalisation": {"where": "inside the file", "mean": mean, "std": std},
        "data": data.name,
        "made_by": f"limbeck {limbeck.__version__}",
    }


def input_words(data: Data) -> str:
    """How a model of this data is fed, in words."""
    image = "images as float32 on 0..1, channels first; normalisation is inside"
    if data.tokens is not None:
        return "texts as numbers: 0 where nothing stands, else 1 + token (+ size of the vocabulary in the second of a pair)"
    return image if data.kind == "image" else "as in the data"


def keep(folder: Path, rows: Sequence[ExportRow], data: Data) -> None:
    """Add the rows to the folder's `exports.json`, in place of older ones of the same files."""
    names = {row["file"] for row in rows}
    kept = [*(row for row in exports(folder) if row["file"] not in names), *rows]
    write_json(folder / MANIFEST, ExportsFile(version=VERSION, data=data.name, rows=kept))


def exports(folder: Path) -> list[ExportRow]:
    """The rows of a folder's `exports.json`; none where there is no such file."""
    if not (folder / MANIFEST).exists():
        return []
    return [row for row in read_json(folder / MANIFEST, ExportsFile, VERSION)["rows"] if _plain(row.get("file"))]


def _plain(name: object) -> bool:
    """Whether it is the name of a file in the folder itself."""
    return isinstance(name, str) and Path(name).name == name


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 by file name of what was exported into a folder."""
    return {name: str(digest) for row in exports(folder) for name, digest in row.get("sha256", {}).items()}
