"""Where the files of a published data set are: at a path, in the cache folder, or on the network.

Cache folder: `$LIMBECK_DATA`, else the user's cache folder of the system, `limbeck/data`.
"""

import hashlib
import os
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from limbeck.errors import UserError
from limbeck.files import atomic_write

OnProgress = Callable[[str, int, int | None], None]
"""Called with (file name, bytes so far, bytes in all or None)."""


@dataclass(frozen=True)
class Remote:
    """A file to download: address and published MD5."""

    url: str
    md5: str

    @property
    def file(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


class DataFiles:
    """The files of a data set, in a folder or inside a .tar.gz, read by name."""

    def __init__(self, path: Path):
        self.path = path
        self.files: dict[str, Path | None] = {}
        try:
            if path.is_dir():
                self.files = {p.name: p for p in sorted(path.iterdir()) if p.is_file()}
            elif path.name.endswith((".tar.gz", ".tgz")):
                with tarfile.open(path) as tar:
                    self.files = {m.name.rpartition("/")[2]: None for m in tar.getmembers() if m.isfile()}
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{path} cannot be read: {_reason(error)}; replace it") from error

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def read(self, name: str) -> bytes:
        """Return the content of the file `name`."""
        file = self.files[name]
        try:
            if file is not None:
                return file.read_bytes()
            with tarfile.open(self.path) as tar:
                member = next(m for m in tar.getmembers() if m.isfile() and m.name.rpartition("/")[2] == name)
                opened = tar.extractfile(member)
                assert opened is not None
                return opened.read()
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{self.path}: {name} cannot be read: {_reason(error)}; replace it") from error


def cache_folder(cache: str | os.PathLike[str] | None = None) -> Path:
    """Return the cache folder: `cache`, else `$LIMBECK_DATA`, else the system's place for caches."""
    given = cache or os.environ.get("LIMBECK_DATA")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("limbeck")) / "data"


def locate(
    name: str,
    has: Callable[[DataFiles], bool],
    *,
    path: Path | None,
    cache: Path,
    below: Sequence[str],
    remotes: Sequence[Remote],
    download: bool,
    on_progress: OnProgress | None,
) -> DataFiles:
    """Return the first place that `has` the data; download into the cache folder where there is none.

    Args:
        below: folders that are looked into under each candidate.
        remotes: what to download.

    Raises:
        UserError: not at `path`, or nowhere and not to be had: says which files to put where.
    """
    if path is not None and not path.exists():
        raise UserError(f"{name}: {path} does not exist; give the folder that holds its files, or leave the path out")
    roots = [path] if path is not None else [cache / name, cache]
    for root in roots:
        if place := _first(root, has, below, remotes):
            return place
    wanted = " and ".join(r.file for r in remotes)
    if path is not None:
        raise UserError(f"{name}: {path} holds none of its known layouts; expected {wanted}, as they are or unpacked")
    if not download:
        raise UserError(f"{name} is not in {cache / name}; put {wanted} there, or allow the download")
    for remote in remotes:
        fetch(name, remote, cache / name, on_progress)
    if place := _first(cache / name, has, below, remotes):
        return place
    raise UserError(f"{name}: what was downloaded into {cache / name} is not what was expected; remove it and try again")


def _first(root: Path, has: Callable[[DataFiles], bool], below: Sequence[str], remotes: Sequence[Remote]) -> DataFiles | None:
    archives = [root / r.file for r in remotes] if root.is_dir() else []
    for candidate in [root, *(root / b for b in below), *archives]:
        if candidate.exists() and has(place := DataFiles(candidate)):
            return place
    return None


def fetch(name: str, remote: Remote, folder: Path, on_progress: OnProgress | None = None) -> Path:
    """Download a file into `folder`, checked against its MD5; it appears whole or not at all.

    Raises:
        UserError: no network, or another content than published.
    """
    target = folder / remote.file
    digest, done = hashlib.md5(usedforsecurity=False), 0
    if target.exists():
        digest.update(target.read_bytes())
        if digest.hexdigest() == remote.md5:
            return target
        digest = hashlib.md5(usedforsecurity=False)
    try:
        with urllib.request.urlopen(remote.url, timeout=30) as response, atomic_write(target) as out:
            length = response.headers.get("Content-Length")
            while block := response.read(1 << 18):
                out.write(block)
                digest.update(block)
                done += len(block)
                if on_progress is not None:
                    on_progress(remote.file, done, int(length) if length else None)
            if digest.hexdigest() != remote.md5:
                raise UserError(
                    f"{name}: {remote.url} gave another file than published (MD5 {digest.hexdigest()}, expected "
                    f"{remote.md5}); try again, or put {remote.file} into {folder} yourself"
                )
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f"{name} is not in {folder} and could not be downloaded ({_reason(error)}); "
            f"put {remote.file} (from {remote.url}) into {folder}"
        ) from error
    return target


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(getattr(reason, "strerror", None) or reason).split())[:150] or type(error).__name__
