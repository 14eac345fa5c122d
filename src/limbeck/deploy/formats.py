"""The file formats of a student: how each is written, opened with care, and asked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.deploy.device import Job, ask
from limbeck.deploy.executorch_file import MOST, write_pte
from limbeck.deploy.export import export_onnx
from limbeck.deploy.int8 import quantise_onnx
from limbeck.deploy.measure import answering
from limbeck.deploy.rules import write_rules
from limbeck.deploy.torch_file import check_pt2, write_pt2
from limbeck.errors import UserError, unknown

SUFFIXES = {".onnx": "onnx", ".pt2": "torch", ".pte": "executorch", ".json": "rules"}
NAMES = {"onnx": ".onnx", "torch": ".pt2", "executorch": ".pte", "rules": ".rules.json"}
INT8 = ("onnx", "executorch")  # formats whose runtime computes in int8


@dataclass(frozen=True)
class Written:
    """A file that was written: its format, whether it computes in int8, and the largest batch it takes (None: any)."""

    format: str
    int8: bool
    path: Path
    most: int | None


def parse_formats(text: str) -> tuple[str, ...]:
    """Names of formats out of `onnx,torch,executorch`.

    >>> parse_formats("onnx, torch")
    ('onnx', 'torch')
    """
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for name in found:
        if name not in NAMES:
            raise unknown("format", name, NAMES)
    if not found:
        raise UserError(f"--format is empty; name one or several of {', '.join(NAMES)}, with commas")
    return found


def write(
    format: str,  # noqa: A002
    module: nn.Module,
    example: Tensor,
    path: Path,
    *,
    metadata: Mapping[str, Any],
    calibration: Tensor | None = None,
) -> Written:
    """Write a module in a format; with calibration samples (n, ...) as int8.

    Raises `UserError` if it has no such form.
    """
    whole, most = {**metadata, "precision": "float32" if calibration is None else "int8"}, None
    if calibration is not None and format not in INT8:
        raise UserError(f"the format {format} has no int8 form; use {' or '.join(INT8)}")
    if format == "executorch":
        most = write_pte(module, example, path, metadata=whole, calibration=calibration)
    elif format == "torch":
        write_pt2(module, example, path, metadata=whole)
    elif format == "rules":
        write_rules(module, path, metadata=whole)
    elif calibration is None:
        export_onnx(module, example, path, metadata=whole)
    else:
        aside = path.with_name(f".{path.name}.float")
        try:
            export_onnx(module, example, aside, metadata=whole)
            quantise_onnx(aside, path, calibration.numpy())
        finally:
            aside.unlink(missing_ok=True)
    return Written(format, calibration is not None, path, most)


def format_of(path: Path) -> str:
    """The format that a file's name says; an unknown one is refused."""
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise UserError(f"{path} is no exported model; expected a name that ends in {', '.join(NAMES.values())}")
    return found


def careful(path: Path, known: Mapping[str, str] | None = None) -> str:
    """The format of a file, after the checks without which it must not be opened.

    known: SHA-256 by file name, of what was exported into that folder. An ExecuTorch program is machine-near and is
    opened only if it is one of these, unchanged; a torch.export program only if its inside is plain. ONNX files and
    rules are data.

    Raises `UserError` saying what is wrong.
    """
    kind = format_of(path)
    if not path.is_file():
        raise UserError(f"no file at {path}; export the model first")
    expected = (known or {}).get(path.name)
    if expected is not None and sha256(path) != expected:
        raise UserError(f"{path} is not the file that was exported here: its checksum differs; export it again")
    if kind == "executorch":
        with path.open("rb") as file:
            if file.read(8)[4:6] != b"ET":
                raise UserError(f"{path} is no ExecuTorch program; export the model again")
        if expected is None:
            raise UserError(f"{path} is not among the exports of its folder (exports.json); only our own .pte files are opened")
    if kind == "torch":
        check_pt2(path)
    return kind


def sha256(path: Path) -> str:
    """The checksum of a file's bytes as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def module_answers(module: nn.Module, inputs: Tensor, batch: int = 256) -> np.ndarray:
    """What the PyTorch module answers to inputs (n, ...), as float32 (n, C)."""
    with answering(module), torch.no_grad():
        return np.concatenate([module(part).float().cpu().numpy() for part in inputs.split(batch)])


def file_answers(written: Sequence[Written], inputs: Tensor) -> list[np.ndarray | str]:
    """What each file answers to inputs (n, ...) in its own runtime and a fresh process, the first sample also alone
    and the two compared; or why it does not.
    """
    rows = inputs.detach().cpu().numpy()
    jobs = [Job(w.format, w.path, rows, answers=True, batch=min(w.most or MOST, MOST)) for w in written]
    found: list[np.ndarray | str] = []
    for file, seen in zip(written, ask(jobs), strict=True):
        if seen.error or seen.answers is None or seen.alone is None:
            found.append(seen.error or "it gave no answer")
        elif not file.int8 and not np.allclose(seen.alone, seen.answers[:1], rtol=1e-3, atol=1e-3):  # int8 rounds in steps
            found.append("its answer to one sample alone differs from that within a batch")
        else:
            found.append(seen.answers)
    return found


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of any logit; infinite where shapes differ or one is not a number."""
    if ours.shape != theirs.shape:
        return float("inf")
    difference = float(np.abs(ours - theirs).max(initial=0.0))
    return difference if difference == difference else float("inf")
