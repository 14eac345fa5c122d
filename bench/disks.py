"""Commands on disks that are full or read-only: one sentence and exit code 2, or a run that goes on; nothing half-written.

    sudo python -m bench.disks

Needs Linux, and to be allowed to mount small file systems in memory. Each case runs a command whose folder or whose store lies on
a disk of so many kilobytes, or on one that is remounted read-only. Afterwards no file of the folder may be half-written, and with
room again the same command must end well. Prints the cases that went wrong and their number; the exit code is 1 where one did.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.kills import RUN, SMALL

DISTILL = ["distill", *RUN, *SMALL, "--no-onnx", "--quiet", "--out"]
SIZES = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 160, 200)  # kilobytes
COMMANDS = (["export", "RUN"], ["explain", "RUN", "--seeds", "0"], ["report", "RUN"], ["evaluate", "RUN"], ["measure", "RUN"])


@contextlib.contextmanager
def disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """A small file system in memory."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def said(words: list[str], store: Path) -> tuple[int, str]:
    """What a command ends with and complains of."""
    env = {**os.environ, "LIMBECK_STORE": str(store), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "limbeck", *words], env=env, capture_output=True, text=True)
    return done.returncode, done.stderr


def judged(code: int, complaint: str) -> str:
    """What is wrong with how a command ended; "" if nothing is."""
    if code == 0:
        return ""
    lines = complaint.strip().splitlines()
    if code != 2 or len(lines) != 1 or "Traceback" in complaint:
        return f"ended with {code}: {complaint.strip()[-200:]}"
    return "" if len(lines[0]) <= 400 else f"says {len(lines[0])} characters"


def whole(folder: Path) -> str:
    """Which file of a folder is half-written; "" if none is."""
    for path in folder.rglob("*"):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.name.endswith(".part"):
                return f"{path.name} is left"
        except ValueError:
            return f"{path.name} is half-written"
    return ""


Said = Callable[[list[str], Path], tuple[int, str]]


def cases(place: Path, few: bool, said: Said) -> Iterator[tuple[str, str]]:
    """Each case by name, and what went wrong; said: runs a command with a store."""
    run = place / "run"
    assert said([*DISTILL, str(run)], place / "store")[0] == 0
    for size in SIZES[5:6] if few else SIZES:
        with disk(place / "full", size) as full:
            why = judged(*said([*DISTILL, str(full / "run")], place / "store")) or whole(full)
            remount(full, "size=20m")
            again = said([*DISTILL, str(full / "run"), "--resume"], place / "store")
            yield f"the run's disk has {size} kB", why or ("" if not again[0] else f"with room again: {again[1][-200:]}")
        with disk(place / "small", size) as small:
            code, complaint = said([*DISTILL, str(place / f"by-{size}")], small / "store")
            yield f"the store's disk has {size} kB", "" if not code else f"ended with {code}: {complaint[-200:]}"
    for words in COMMANDS[:1] if few else COMMANDS:
        with disk(place / "copy", 4096) as copy:
            subprocess.run(["cp", "-r", str(run), str(copy / "run")], check=True)
            there = [str(copy / "run") if word == "RUN" else word for word in words]
            room = copy / "room"
            with contextlib.suppress(OSError), room.open("wb") as file:
                while True:
                    file.write(bytes(4096))
                    file.flush()
            yield f"{words[0]} on a full disk", judged(*said(there, place / "store")) or whole(copy)
            room.unlink()
            remount(copy, "ro")
            yield f"{words[0]} on a read-only disk", judged(*said(there, place / "store")) or whole(copy)
            remount(copy, "rw")
            yield f"{words[0]} with room again", judged(*said(there, place / "store"))
    with disk(place / "shelves", 4096) as shelves:
        said([*DISTILL, str(place / "filling")], shelves)
        remount(shelves, "ro")
        code, complaint = said([*DISTILL, str(place / "reading")], shelves)
        yield "a read-only store that is filled", "" if not code else complaint[-200:]
        code, complaint = said(["store", "prune", "--path", str(shelves)], shelves)
        yield "prune on a read-only disk", "" if code == 2 and "cannot remove" in complaint else f"{code} {complaint[-200:]}"


def tried(few: bool = False, said: Said = said) -> tuple[int, list[str]]:
    """How many cases were tried, and what went wrong; said: `said` in processes of their own, or what does the same."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, why in cases(Path(folder), few, said):
            print(f"{name}: {why or 'held'}", flush=True)
            found.append((name, why))
    return len(found), [f"{name}: {why}" for name, why in found if why]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    count, wrong = tried()
    print(*wrong, sep="\n")
    print(f"{count} cases, {len(wrong)} went wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
