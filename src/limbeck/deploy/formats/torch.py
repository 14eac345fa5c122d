"""`.pt2`: a program of torch.export, written without anybody's paths and opened only after a look inside.

torch's own reader unpickles what an archive calls example inputs, weights or constants, looks operators up by any
name below `torch`, and evaluates the expressions of its shapes as Python. `check_pt2` refuses a file in which any
of these is more than plain tensors, `aten` operators and integer arithmetic.
"""

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.deploy.formats.format import Format, Opened
from limbeck.deploy.measure import answering
from limbeck.deploy.tracing import Answers, cannot_export, rows_of, traced
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.files.still import still
from limbeck.plan.roles import Adapter

OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims)\.[a-z]\w*(\.\w+)?|_operator\.(add|sub|mul|floordiv|mod|neg|getitem|eq|ne|lt|le|gt|ge)|math\.(ceil|floor|trunc)"
)
WORDS = {"Symbol", "Integer", "Max", "Min", "Mod", "FloorDiv", "PythonMod", "True", "False", "positive", "integer", "nonnegative"}
WORD = re.compile(r"[^\W\d]\w*")
PLAIN = re.compile(r"[\w\s+\-*/(),.='<>&|]*")


class Torch(Format):
    """A program of torch.export."""

    name = "torch"
    endings = (".pt2",)
    runtime = "torch"

    def write(
        self, module: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, object], calibration: Tensor | None
    ) -> int | None:
        write_pt2(module, example, path, metadata=metadata)
        return None

    @staticmethod
    def opened(path: str, threads: int, memory: Callable[[], int]) -> Opened:
        import torch

        torch.set_num_threads(threads)
        before = memory()
        module = torch.export.load(path).module()

        def answer(x: Any) -> Any:
            with torch.no_grad():
                return module(torch.from_numpy(x)).numpy()

        return answer, torch.__version__, before

    def check(self, path: Path, trust: bool) -> None:
        check_pt2(path)


def write_pt2(module: nn.Module, example: Tensor, path: str | os.PathLike[str], *, metadata: Mapping[str, object]) -> None:
    """Write a module as a torch.export program that takes (any batch, ...) and returns logits.

    Raises `UserError` if the model's code cannot be traced.
    """
    whole = Answers(module, Adapter())
    with answering(whole), still(), torch.no_grad():
        try:
            program = traced(whole, rows_of(module, example))
            for node in program.graph.nodes:
                node.meta.pop("stack_trace", None)  # paths of this machine
            program._example_inputs = None  # one sample of somebody's data, and a pickle
            buffer = io.BytesIO()
            torch.export.save(program, buffer, extra_files={"limbeck.json": json.dumps(dict(metadata), default=str)})
        except Exception as error:  # the tracers raise many kinds
            raise cannot_export(error, "torch.export") from error
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def check_pt2(path: Path) -> None:
    """Refuse a `.pt2` whose opening could run code that is not a tensor operation.

    Raises `UserError` saying what was found.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            why = _suspicious(names) or next(_inside(archive, names), "")
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, RecursionError) as error:
        raise UserError(f"{path} is not a whole .pt2 file ({error}); export the model again") from None
    if why:
        raise UserError(f"{path} is not opened: {why}, which could run code; export the model again with limbeck export")


def _suspicious(names: list[str]) -> str:
    if len(set(names)) != len(names):
        return "it names a part twice"
    inner = [name.partition("/")[2] for name in names]
    if len({name.partition("/")[0] for name in names}) != 1 or "models/model.json" not in inner:
        return "it is no archive of one exported model"
    for name in inner:
        plain = re.fullmatch(r"data/(weights/weight_\d+|constants/tensor_\d+)", name)
        known = name in {"archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id"}
        known |= name in {"models/model.json", "data/sample_inputs/model.pt", "extra/limbeck.json"}
        known |= name in {f"data/{kind}/model_{kind}_config.json" for kind in ("weights", "constants")}
        if not (plain or known):
            return f"it holds {name!r}"
    return ""


def _inside(archive: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    for name in names:
        if name.endswith("_config.json"):
            entries = json.loads(archive.read(name))["config"].values()
            yield from ("it holds a pickled tensor" for entry in entries if entry.get("use_pickle") is not False)
        elif name.endswith("sample_inputs/model.pt") and not _plain_tensors(archive.read(name)):
            yield "its example inputs are no plain tensors"
        elif name.endswith("models/model.json"):
            yield from _graph(json.loads(archive.read(name)))


def _plain_tensors(content: bytes) -> bool:
    try:
        return not content or torch.load(io.BytesIO(content), weights_only=True) is not None
    except Exception:  # not only unpickling errors: anything that is not plainly tensors
        return False


def _graph(value: Any) -> Iterator[str]:
    """What in a serialised graph is more than operators and integer arithmetic."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "target" and isinstance(inner, str) and "inputs" in value and not OPERATOR.fullmatch(inner):
                yield f"it calls {inner!r}"
            elif key == "expr_str" and not _arithmetic(str(inner)):
                yield f"it has the expression {str(inner)[:60]!r}"
            elif key == "as_custom_obj" or (key == "class_fqn" and inner):
                yield "it holds an object of a class"
            yield from _graph(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _graph(inner)


def _arithmetic(text: str) -> bool:
    words = set(WORD.findall(text))
    return bool(PLAIN.fullmatch(text)) and all(word in WORDS or re.fullmatch(r"[su]\d+", word) for word in words)
