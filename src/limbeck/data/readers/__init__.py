"""Readers of data: a file of this folder for each layout, found by looking."""

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from limbeck.data.reader import How, Reader


@cache
def readers() -> tuple[Reader, ...]:
    """Every reader, the most specific first: ours, and those of installed packages (entry points `limbeck.readers`)."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    kinds = [kind for module in modules for kind in vars(module).values() if _is_reader(kind, module.__name__)]
    kinds += [point.load() for point in entry_points(group="limbeck.readers")]
    return tuple(sorted((kind() for kind in kinds), key=lambda reader: (reader.order, reader.name)))


def _is_reader(kind: object, module: str) -> bool:
    return isinstance(kind, type) and issubclass(kind, Reader) and kind.__module__ == module


def named(name: str, path: Path) -> Reader | None:
    """The reader of that name: of several the first that recognises the files, else the last; None where there is none."""
    found = [reader for reader in readers() if reader.name == name]
    return next((reader for reader in found if path.exists() and reader.recognises(path)), found[-1] if found else None)


def recognised(path: Path, how: How = How()) -> Reader | None:  # noqa: B008  it is frozen
    """The reader of what lies at a path."""
    return next((reader for reader in readers() if reader.serves(how) and reader.recognises(path)), None)
