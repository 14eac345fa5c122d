"""Folders that one process works in at a time, and what a killed one left in them.

A lock is the system's own (`flock`), on the file `.lock`: it ends with the process that holds it, however that ends. Where the
system or a network folder knows no locks, nothing is checked.
"""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from limbeck.errors import UserError
from limbeck.files import ASIDE, cannot_write

LOCK = ".lock"
_held: dict[Path, tuple[int, int]] = {}  # by this process: the thread, and how often it went in


@contextlib.contextmanager
def alone_in(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Within, no other process (and no other thread) works in this folder; leftovers of killed ones are removed first.

    The folder is made, and removed again if nothing is in it at the end. wait: seconds to try for.

    Raises:
        UserError: another process has it, or it cannot be made.
    """
    place, me = Path(folder).absolute(), threading.get_ident()
    owner, depth = _held.get(place, (me, 0))
    if owner != me:
        raise _in_use(folder)
    if depth:
        _held[place] = (me, depth + 1)
        try:
            yield
        finally:
            _held[place] = (me, depth)
        return
    made = _make(place)
    try:
        with _locked(place, wait):
            _held[place] = (me, 1)
            try:
                sweep(place)
                yield
            finally:
                del _held[place]
    finally:
        with contextlib.suppress(OSError):
            for one in made:
                one.rmdir()


def fresh(stem: str) -> Path:
    """A new folder `runs/STEM-N`; two who ask at once get two. `alone_in` removes it again if it stays empty."""
    for number in range(1, 10**6):
        path = Path("runs") / f"{stem}-{number}"
        try:
            path.parent.mkdir(exist_ok=True)
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(path, error) from error
        return path
    raise UserError(f"runs/{stem}-1 and all after it exist; give a folder with --out")


@contextlib.contextmanager
def taken(folder: Path | None, stem: str) -> Iterator[Path]:
    """The folder that is given, or a new one `runs/STEM-N`, and nobody else in it until the block ends.

    Raises `UserError` if another process has it, or it cannot be made.
    """
    chosen = fresh(stem) if folder is None else folder
    try:
        with alone_in(chosen):
            yield chosen
    finally:
        if folder is None:
            with contextlib.suppress(OSError):
                chosen.rmdir()


def contents(folder: Path) -> list[Path]:
    """What lies in a folder, if there is one, besides locks and leftovers."""
    return [path for path in (folder.iterdir() if folder.exists() else ()) if path.name != LOCK and not _left(path)]


def sweep(folder: Path) -> None:
    """Remove what killed processes left aside."""
    for path in [path for path in folder.rglob(".*") if _left(path)]:
        with contextlib.suppress(OSError):
            path.unlink()


def _left(path: Path) -> bool:
    """Whether it is a file that was being written by a process which is no more; see `aside`."""
    found = ASIDE.fullmatch(path.name)
    return found is not None and (int(found[1]) == os.getpid() or not alive(int(found[1])))


def alive(pid: int) -> bool:
    """Whether a process of this machine still runs."""
    if os.name == "nt":
        return True  # a signal would end it there
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


class Use:
    """A folder that several may use, and that nobody removes meanwhile; let go of with the object or the process."""

    def __init__(self, file: IO | None, mine: bool):
        self.file, self.mine = file, mine
        if file is not None:
            weakref.finalize(self, file.close)

    def __enter__(self) -> bool:
        return self.mine

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


def used_by(folder: Path, alone: bool = False) -> Use:
    """Use a folder together with others, or alone to remove it; `mine` is False where others use it, or one is removing it.

    On a disk that is full or read-only nothing is held. Raises nothing.
    """
    for _ in range(100):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / LOCK).open("ab")
        except OSError:
            return Use(None, True)
        mine = _lock(file, shared=not alone)
        if mine and _same(file, folder / LOCK):
            return Use(file, True)
        file.close()
        if not mine and alone:
            break
        time.sleep(0.02)
    return Use(None, False)


def _make(place: Path) -> list[Path]:
    """Make a folder; returns what had to be made, the innermost first."""
    made = [one for one in (place, *place.parents) if not one.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(place, error) from error
    return made


@contextlib.contextmanager
def _locked(place: Path, wait: float) -> Iterator[None]:
    path, end = place / LOCK, time.monotonic() + wait
    while True:
        try:
            file = path.open("a")
        except FileNotFoundError:  # who had the folder removed it meanwhile
            _make(place)
            continue
        except OSError as error:
            raise cannot_write(path, error) from error
        if _lock(file) and (os.name == "nt" or _same(file, path)):
            break
        gone = not _same(file, path)
        file.close()
        if not gone and time.monotonic() >= end:
            raise _in_use(place)
        time.sleep(0 if gone else 0.05)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while it is held: who waits for it looks whether it is still there
        file.close()


def _lock(file: IO, shared: bool = False) -> bool:
    try:
        import fcntl
    except ImportError:
        return shared or _lock_windows(file)
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network folder without locks
        pass
    return True


def _lock_windows(file: IO) -> bool:
    try:
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    except ImportError:
        return True
    except OSError:
        return False
    return True


def _same(file: IO, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _in_use(folder: Path) -> UserError:
    return UserError(f"{folder} is in use by another process; wait for it, or give another folder")
