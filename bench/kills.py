"""Commands that are killed at random moments, and what they come to when they are given again.

    python -m bench.kills [--kills 150] [--only distill,compare,shrink,export,explain] [--seed 0]

Each command is run once without a kill. Then, again and again: it is begun in a new folder, killed (`kill -9`) at a random moment,
given again and killed again until it has been killed three times, and then left to its end. What it leaves must be what the
uninterrupted one left: weights to the bit, curves, recipe, drawing; cards but for times; the same names of files, none left over.
Prints what differs, and the number of kills; the exit code is 1 where anything did.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

RUN = ["--data", "digits", "--set", "data.limit=200", "--epochs", "3", "--batch", "32", "--teacher", "mlp", "--set", "teacher.width=16",
       "--set", "checkpoint_seconds=0"]  # fmt: skip
SMALL = ["--student", "mlp", "--set", "student.width=4"]
WORDS = {
    "distill": ["distill", *RUN, *SMALL, "--quiet", "--out", "F", "--method", "kd"],
    "compare": ["compare", *RUN, *SMALL, "--quiet", "--out", "F", "--methods", "kd", "--seeds", "1"],
    "shrink": ["shrink", *RUN, "--set", "data.limit=1200", "--set", "data.validation=0.4", "--epochs", "5", "--quiet", "--out", "F",
               "--candidates", "mlp:width=4|8", "--trials", "3"],  # enough to choose on that no two are equal
    "export": ["export", "F", "--format", "onnx,torch", "--json"],
    "explain": ["explain", "F", "--seeds", "1", "--quiet"],
}  # fmt: skip
TIMES = {"train_seconds", "latency_ms", "seconds", "spent", "floor_ms", "measured", "bytes", "command", "distillation_score", "budget_seconds",
         "words", "verdict", "chosen", "candidates", "largest_difference", "folder", "sha256", "data", "hyperparameters",
         "answered", "teacher_samples"}  # the last two: what was stored before a kill is not asked again  # fmt: skip
EXACT = (".safetensors", ".toml", ".svg", "metrics.jsonl", "environment.json", "inputs.json")
SKIP = ("predictions.safetensors",)  # of headers in another order; compared by their cards


@dataclass
class Campaign:
    """A command, where it works, and how often it was killed."""

    name: str
    place: Path
    random: random.Random
    kills: int = 0
    rounds: int = 0  # each has a store of its own
    found: list[str] = field(default_factory=list)

    def command(self, folder: Path, again: bool = False) -> list[str]:
        words = [str(folder) if word == "F" else word for word in WORDS[self.name]]
        return [*words, *(["--resume"] if again and self.name == "distill" else [])]

    def begun(self, folder: Path) -> None:
        """What the command needs is there: export and explain work on a run."""
        if self.name in ("export", "explain"):
            shutil.copytree(self.place / "run", folder)

    def whole(self) -> float:
        """Run it without a kill; returns its seconds."""
        if self.name in ("export", "explain"):
            words = [str(self.place / "run") if word == "F" else word for word in WORDS["distill"]]
            assert not self.done(words)
        folder = self.place / "whole"
        self.begun(folder)
        started = time.monotonic()
        assert not (said := self.done(self.command(folder))), said
        return time.monotonic() - started

    def done(self, words: list[str], seconds: float = float("inf")) -> str | None:
        """Run a command in a process of its own: "" where it ended well, what it said where not, None where it was killed."""
        log = self.place / "said"
        process = os.fork()
        if not process:
            _become(words, log, self.place / f"store-{self.rounds}")
        end = time.monotonic() + seconds
        while not (ended := os.waitpid(process, os.WNOHANG))[0]:
            if time.monotonic() >= end:
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
                self.kills += 1
                return None
            time.sleep(0.01)
        return "" if ended[1] == 0 else f"ended with {ended[1]}: {log.read_text()[-300:]}"

    def round(self, seconds: float, number: int, kills: int = 3) -> None:
        """One folder: kills at random moments, then the end, then the comparison."""
        folder, again = self.place / f"cut-{number}", False
        self.rounds = number + 1
        self.begun(folder)
        for _ in range(kills):
            said = self.done(self.command(folder, again), self.random.uniform(0, seconds))
            again = True
            if said is not None:
                break
        said = said if said is not None else self.done(self.command(folder, again))
        if said:
            self.found.append(f"{self.name} {number}: {said}")
            return
        self.found += [f"{self.name} {number}: {why}" for why in differing(self.place / "whole", folder)]
        shutil.rmtree(folder)


def _become(words: list[str], log: Path, store: Path) -> None:
    """Be the command, in a process that was just forked: what it needs is imported already, so that more can be killed."""
    from limbeck.__main__ import run

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ["LIMBECK_STORE"] = str(store)
    code = 1
    try:
        code = run(words)
    except BaseException:  # noqa: BLE001  (it is what the command ends with)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def differing(whole: Path, cut: Path) -> list[str]:
    """What of a folder is not as in the other one."""
    found = []
    names, others = ({str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} for place in (whole, cut))
    found += [f"{name} is missing" for name in sorted(names - others)] + [
        f"{name} is left over" for name in sorted(others - names)
    ]
    for name in sorted(names & others):
        first, second = whole / name, cut / name
        if Path(name).name in SKIP or name.endswith((".db", ".onnx", ".pt2", ".html", ".md")):
            continue
        if name.endswith(EXACT):
            if _moved(first.read_bytes(), whole) != _moved(second.read_bytes(), cut):
                found.append(f"{name} differs")
        elif name.endswith(".json"):
            one, other = (_timeless(json.loads(path.read_text())) for path in (first, second))
            if one != other:
                found.append(f"{name} differs")
    return found


def _moved(content: bytes, place: Path) -> bytes:
    return content.replace(str(place).encode(), b"F")


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [_timeless(inner) for inner in value]
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=150)
    parser.add_argument("--only", default=",".join(WORDS))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    sys.exit(bool(campaign(chosen.only.split(","), chosen.kills, chosen.seed)))


def campaign(names: list[str], kills: int, seed: int = 0) -> list[str]:
    """All of it; returns what differs."""
    import limbeck.cli.app  # noqa: F401  (before the forks)
    import limbeck.comparison.comparison
    import limbeck.explanation
    import limbeck.shrinking.search  # noqa: F401

    total, found = 0, list[str]()
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            each = Campaign(name, Path(folder) / name, random.Random(f"{name} {seed}"))
            each.place.mkdir()
            seconds, number = each.whole(), 0
            while each.kills < kills / len(names) and number < kills:
                each.round(seconds, number)
                number += 1
            total += each.kills
            found += each.found
            print(f"{name}: {each.kills} kills in {number} folders, {len(each.found)} differences", flush=True)
    print(*found, sep="\n")
    print(f"{total} kills, {len(found)} differences")
    return found


if __name__ == "__main__":
    main()
