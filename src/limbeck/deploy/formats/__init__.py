"""The formats of exported students: a file of this folder each, found by looking."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from torch import Tensor, nn

from limbeck.deploy.formats.format import Format, Written, need_whole, sha256
from limbeck.errors import UserError, unknown

APART = ("format", "asking")  # files of this folder that hold no format


@cache
def formats() -> dict[str, Format]:
    """Every format by name: ours, and those of installed packages (entry points of the group `limbeck.formats`)."""
    files = [module.name for module in pkgutil.iter_modules(__path__) if module.name not in APART]
    modules = [importlib.import_module(f"{__name__}.{file}") for file in files]
    kinds = [kind for module in modules for kind in vars(module).values() if _is_format(kind, module.__name__)]
    kinds += [point.load() for point in entry_points(group="limbeck.formats")]
    return {kind.name: kind() for kind in kinds}


def _is_format(kind: object, module: str) -> bool:
    return isinstance(kind, type) and issubclass(kind, Format) and kind is not Format and kind.__module__ == module


def find(name: str) -> Format:
    """The format of that name; an unknown one offers the closest."""
    if name not in formats():
        raise unknown("format", name, formats())
    return formats()[name]


def parse_formats(text: str) -> tuple[Format, ...]:
    """Formats out of `onnx,torch,executorch`.

    >>> [format.name for format in parse_formats("onnx, torch")]
    ['onnx', 'torch']
    """
    found = tuple(dict.fromkeys(find(word.strip()) for word in text.split(",") if word.strip()))
    if not found:
        raise UserError(f"--format is empty; name one or several of {', '.join(formats())}, with commas")
    return found


def write(
    format: Format,  # noqa: A002
    module: nn.Module,
    example: Tensor,
    path: Path,
    *,
    metadata: Mapping[str, object],
    calibration: Tensor | None = None,
) -> Written:
    """Write a module in a format; with calibration samples (n, ...) as int8.

    Raises `UserError` if it has no such form.
    """
    if calibration is not None and not format.int8:
        able = " or ".join(other.name for other in formats().values() if other.int8)
        raise UserError(f"the format {format.name} has no int8 form; use {able}")
    whole = {**metadata, "precision": "float32" if calibration is None else "int8"}
    most = format.write(module, example, path, metadata=whole, calibration=calibration)
    return Written(format, calibration is not None, path, most)


def format_of(path: Path) -> Format:
    """The format that a file's name says; an unknown one is refused."""
    found = next((format for format in formats().values() if path.name.lower().endswith(format.endings[0])), None)
    if found is None:
        endings = ", ".join(format.endings[0] for format in formats().values())
        raise UserError(f"{path} is not an exported model; expected a name that ends in {endings}")
    return found


def careful(path: Path, known: Mapping[str, str] | None = None, trust: bool = False) -> Format:
    """The format of a file, after the checks without which it must not be opened.

    known: SHA-256 by file name, of what was exported into that folder: a file that is there must be unchanged.
    trust: open also what may run code.

    Raises `UserError` saying what is wrong.
    """
    found = format_of(path)
    need_whole(found, path)
    for file in found.files(path):
        expected = (known or {}).get(file.name)
        if expected is not None and sha256(file) != expected:
            raise UserError(f"{file} has changed since its export (its checksum differs); export it again")
    found.check(path, trust)
    return found


__all__ = ["Format", "Written", "careful", "find", "format_of", "formats", "parse_formats", "sha256", "write"]
