"""What a format of exported students is: how it is written, which files it is, and how its runtime opens it anywhere."""

import hashlib
import inspect
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from limbeck.deploy.device import ProbeJob
from limbeck.errors import UserError

MOST = 32  # samples that are asked at once, and the largest batch of runtimes that plan their memory ahead
Opened = tuple[Callable[[Any], Any], str, int]
"""What predicts for inputs (n, ...), the runtime's version, and the memory held before the file was opened."""


class Format(ABC):
    """One format, in one file of this folder (or in a package of yours that names it in the entry points `limbeck.formats`).

    name: as --format spells it. endings: of its files; the first is the one that is named, the others lie beside it with the same
    stem. runtime: the package that opens it, as pip names it. extra: of limbeck's extras, the one that brings what writing needs.
    int8: whether its runtime computes in int8. searched: whether a search under a device's limits may use it.
    """

    name: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]
    runtime: ClassVar[str]
    extra: ClassVar[str] = ""
    int8: ClassVar[bool] = False
    searched: ClassVar[bool] = True

    @abstractmethod
    def write(
        self, module: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, object], calibration: Tensor | None
    ) -> int | None:
        """Write a module from inputs to predictions; every file appears whole, the one that is named last.

        Args:
            example: (n, ...) inputs; shape and type matter. metadata: travels inside the file. calibration: (n, ...) inputs,
                with which the file computes in int8.

        Returns the largest batch that the file takes, None for any.

        Raises `UserError` if the module has no such form, or a package is missing.
        """

    @staticmethod
    @abstractmethod
    def opened(path: str, threads: int, memory: Callable[[], int]) -> Opened:
        """Open a file. Its source is sent to the machine that runs the file: it imports what it needs inside, needs Python 3.8,
        numpy and the runtime, and calls `memory` once the runtime is imported and before the file is opened."""

    def check(self, path: Path, trust: bool) -> None:  # noqa: B027  (most formats are data and need none)
        """Refuse a file that must not be opened; trust: the user asks for it although opening it may run code."""

    def example(self, path: Path) -> np.ndarray | None:
        """One input of the shape and type that the file itself asks for, None where it does not say."""
        return None

    def files(self, path: Path) -> list[Path]:
        """All files of one export; path: the one that is named."""
        stem = path.name.removesuffix(self.endings[0])
        return [path, *(path.with_name(stem + ending) for ending in self.endings[1:])]

    def job(self, path: Path, inputs: np.ndarray, **how: Any) -> ProbeJob:
        """The file as something to be asked or timed in a process of its own; how: see `ProbeJob`."""
        source = textwrap.dedent(inspect.getsource(self.opened)).replace("@staticmethod\n", "", 1)
        return ProbeJob(self.name, source, self.runtime, tuple(self.files(path)), inputs, **how)


@dataclass(frozen=True)
class Written:
    """An export that was written: its format, whether it computes in int8, and the largest batch it takes (None: any)."""

    format: Format
    int8: bool
    path: Path
    most: int | None

    @property
    def files(self) -> list[Path]:
        return self.format.files(self.path)


def sha256(path: Path) -> str:
    """The checksum of a file's bytes as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def need_whole(format: Format, path: Path) -> None:  # noqa: A002
    """Refuse an export of which a file is missing."""
    for file in format.files(path):
        if not file.is_file():
            raise UserError(f"no file at {file}; export the model first")
