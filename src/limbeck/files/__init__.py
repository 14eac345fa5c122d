"""Files that are either the old ones or the new ones, never halves: written aside, then moved into place."""

import contextlib
import errno
import json
import math
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TypeVar

from limbeck.errors import UserError

ASIDE = re.compile(r"\..+\.(\d+)\.[0-9a-f]+\.part(\..+)?")  # names that `aside` gives: of which process
Shape = TypeVar("Shape")
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, text: bool = False) -> Iterator[IO]:
    """Open a file that appears at `path` only when the block ends well.

    The bytes go to a hidden file beside `path`, are flushed to the disk and moved into place
    (`os.replace`), so that a reader, a crash or `kill -9` sees the old file or the whole new one.
    Missing parent folders are made. An exception in the block removes the hidden file and leaves
    `path` as it was.

    Args:
        path: where the file shall be.
        text: True for a text file (UTF-8, newlines as given; what is no text, as names of files can be, as its codes), False for
            bytes.

    Raises:
        CannotWrite: the folder cannot be written to, or the disk is full (a `UserError`).

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "deep" / "note.txt"
    >>> with atomic_write(target, text=True) as file:
    ...     _ = file.write("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    hidden = aside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = hidden.open("x", encoding="utf-8", errors="backslashreplace", newline="") if text else hidden.open("xb")
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        yield file
        _seal(file, hidden, target)
    except OSError as error:
        if error.errno in DISK:
            raise cannot_write(target, error) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            file.close()
        hidden.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON that strict readers take: numbers that JSON has not, NaN and the infinities, become null."""
    with atomic_write(path, text=True) as file:
        file.write(json_text(value, indent=1))


def json_text(value: object, indent: int | None = None) -> str:
    """A value as JSON that strict readers take: NaN and the infinities become null.

    >>> json_text({"score": float("nan"), "all": (1, float("inf"))})
    '{"score": null, "all": [1, null]}'
    """
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def read_json(path: Path, shape: type[Shape], version: int) -> Shape:
    """A JSON file of ours, checked: a mapping of this shape (a TypedDict) whose `version` is the one that is known.

    Raises:
        UserError: it is not there, no JSON, of another version, or of another shape.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror or error if isinstance(error, OSError) else error
        raise UserError(f"cannot read {path}: {str(why).lower()}; give the folder of a finished run") from None
    if not isinstance(found, dict) or found.get("version") != version:
        other = found.get("version") if isinstance(found, dict) else None
        said = f"has version {str(other)[:40]!r}" if other is not None else "names no version"
        raise UserError(f"{path} {said}, and this limbeck reads version {version}; open it with the limbeck that wrote it")
    try:
        TypeAdapter(shape).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][:6]))
        raise UserError(
            f"{path} is damaged: {where}: {first['msg'].lower()}; take it from a copy, or make the run again"
        ) from None
    return found  # type: ignore[return-value]


class CannotWrite(UserError):
    """A disk that is full or must not be written to; the error of the system is its cause."""


def add_line(path: Path, line: str) -> None:
    """Add a line to a file of lines; half a line, which a kill may have left, is ended first.

    Raises `CannotWrite`.
    """
    try:
        with path.open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(f"{line}\n".encode())
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """The one sentence for a file that cannot be written: which, why, and what to do."""
    reason = (error.strerror or str(error)).lower()
    advice = "free some space" if error.errno in DISK else "check that the folder is writable"
    return CannotWrite(f"cannot write {path}: {reason}; {advice} or give another folder")


def aside(path: Path, ending: str = "") -> Path:
    """A hidden name beside a path that no other process uses, and that `locks.sweep` knows once this one is no more."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part{ending}")


def _seal(file: IO, hidden: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    try:
        hidden.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    with contextlib.suppress(OSError):  # the name itself: not every file system lets a folder be synced
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
