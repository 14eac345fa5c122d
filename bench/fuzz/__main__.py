"""Damaged files, settings, folders and command lines, by the thousand: each must end in one sentence, soon.

    python -m bench.fuzz [--cases 3000] [--first 0] [--workers 2] [--seconds 20] [--show 20]

A case is a function of its number; from 3,000 on methods and models get odd arguments. It passes if the command ends by itself in time with exit code 0, 2 or 1 and, where it refuses,
says one line of at most 300 characters without a traceback. Each runs in a process of its own, forked from one that has loaded
everything; the counts and every failure (with the command, and what was damaged) are printed, failures first by place.
"""

import argparse
import collections
import io
import os
import pickle
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from bench.fuzz import damage, seeds  # noqa: E402

LONGEST = 300
KINDS = {"data": 10, "settings": 8, "recipe": 3, "folder": 7, "weights": 2, "words": 4}
ARGUMENTS = 3000  # the first case with odd arguments of a method or model


@dataclass
class Outcome:
    """What a case did: its number, kind, what was damaged, the words, exit code, seconds and what it complained."""

    number: int
    kind: str
    how: str
    words: list[str]
    code: int | None
    seconds: float
    complaint: str

    @property
    def fault(self) -> str:
        """What is wrong with how it ended, or nothing."""
        if self.code is None:
            return "does not end"
        if "Traceback" in self.complaint or "unexpected error" in self.complaint or self.code not in (0, 1, 2):
            lines = [line for line in self.complaint.splitlines() if line.strip()]
            return f"traceback: {lines[-1][:160] if lines else self.code}"
        said = [line for line in self.complaint.splitlines() if line.startswith("limbeck: ")]
        if self.code == 2 and "Usage: " in self.complaint:  # no command was given: the list of commands
            return ""
        if self.code == 2 and (len(said) != 1 or not self.complaint.rstrip().endswith(said[-1])):
            return "not one line"
        if self.code == 2 and len(said[0]) > LONGEST + len("limbeck: "):
            return "too long"
        return ""


def case(number: int, home: Path) -> tuple[str, str, list[str]]:
    """Make one case in `home`: its kind, what was damaged, and the command."""
    rng = random.Random(number)
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0] if number < ARGUMENTS else "arguments"
    return kind, *globals()[f"_{kind}"](rng, home)


def _copy(home: Path, name: str) -> Path:
    source = MADE[name]
    target = home / source.name
    shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copy(source, target)
    return target


def _data(rng: random.Random, home: Path) -> tuple[str, list[str]]:
    name = rng.choice(sorted(n for n in MADE if n not in ("run", "compared")))
    path = _copy(home, name)
    how = [damage.data(rng, path) for _ in range(rng.choice((1, 1, 2)))]
    student = {"masks": "fcn", "boxes": "detector", "pairs": "seq2seq"}.get(name, "mlp")
    words = ["distill", *seeds.TINY, "--data", str(path), "--quiet", "--out", str(home / "out")]
    if student != "mlp":
        words = [student if word == "mlp" else word for word in words if word not in ("--set", "student.width=4")]
        words = [w for w in words if w != "onnx=false"] + ["--set", "onnx=false"]
    if rng.random() < 0.7:
        words[0] = "plan"
        words = words[: words.index("--quiet")]
    return f"{name}: {', '.join(how)}", words


def _fields() -> list[str]:
    from limbeck.runs.settings import Recipe

    found = []
    for name, info in Recipe.model_fields.items():
        inner = getattr(info.annotation, "model_fields", None)
        found += [f"{name}.{key}" for key in inner] if inner else [name]
    return found


def _settings(rng: random.Random, home: Path) -> tuple[str, list[str]]:
    words = [rng.choice(("distill", "plan", "plan")), *seeds.TINY, "--set", "data.limit=100"]
    how = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        field, value = rng.choice(_fields()), rng.choice(damage.ODD if rng.random() < 0.5 else damage.NUMBERS)
        how.append(f"{field}={value[:30]!r}")
        words += ["--set", f"{field}={value}"]
    if rng.random() < 0.3:
        words += ["--method", rng.choice(("kd", "attention", "fitnets", "dkd", "mutual", "rkd", "", "kd kd", "\x00"[:0] + "KD"))]
    return ", ".join(how), words + (["--quiet", "--out", str(home / "out")] if words[0] == "distill" else [])


def _arguments(rng: random.Random, home: Path) -> tuple[str, list[str]]:
    import inspect

    from limbeck import methods
    from limbeck.models import zoo

    words = ["plan", *seeds.TINY, "--set", "data.limit=100"]
    if rng.random() < 0.7:
        name = rng.choice(sorted(methods.CATALOGUE))
        given = list(inspect.signature(methods.find(name)).parameters)
        words, group = [*words, "--method", name], "method"
    else:
        name = rng.choice(sorted(zoo.ZOO))
        given = [key for key in inspect.signature(zoo.ZOO[name]).parameters if key not in ("classes", "shape")]
        words = [name if word == "mlp" and words[k - 1] == "--student" else word for k, word in enumerate(words)]
        words, group = [word for word in words if word != "student.width=4"], "student"
        words.remove("--set")
    how = []
    for key in rng.sample(given, min(len(given), rng.choice((1, 1, 2)))):
        value = rng.choice(damage.ODD if rng.random() < 0.4 else damage.NUMBERS)
        how.append(f"{name} {key}={value[:30]!r}")
        words += ["--set", f"{group}.{key}={value}"]
    return ", ".join(how), words


def _recipe(rng: random.Random, home: Path) -> tuple[str, list[str]]:
    path = home / "recipe.toml"
    shutil.copy(MADE["run"] / "recipe.toml", path)
    how = [damage.file(rng, path) for _ in range(rng.choice((1, 2)))]
    few = ["--epochs", "1", "--set", "data.limit=100", "--set", "onnx=false"]  # an empty recipe is a long run, not a fault
    return f"recipe: {how}", ["distill", "--recipe", str(path), *few, "--quiet", "--out", str(home / "out")]


def _folder(rng: random.Random, home: Path) -> tuple[str, list[str]]:
    name = rng.choice(("run", "run", "compared"))
    folder = _copy(home, name)
    files = sorted(
        one for one in folder.rglob("*") if one.is_file() and one.suffix in (".json", ".toml", ".jsonl", ".svg", ".md", ".npz")
    )
    near = [one for one in files if "explain" not in one.relative_to(folder).parts]
    one = rng.choice(near if rng.random() < 0.8 else files)
    how = f"{name}/{one.relative_to(folder)}: {damage.file(rng, one) if rng.random() < 0.9 else one.unlink() or 'gone'}"
    if name == "compared":
        words = [
            ["report", str(folder)],
            ["compare", "--resume", "--out", str(folder)],
            ["compare", *COMPARED, "--out", str(folder)],
        ]
        return how, rng.choice(words)
    commands = [
        ["report", str(folder)],
        ["evaluate", str(folder)],
        ["export", str(folder), "--format", "onnx"],
        ["measure", str(folder)],
        ["distill", *RUN, "--resume", "--quiet", "--out", str(folder)],
    ]
    return how, rng.choice(commands)


def _weights(rng: random.Random, home: Path) -> tuple[str, list[str]]:
    folder = _copy(home, "run")
    files = sorted(one for one in folder.rglob("*") if one.suffix in (".safetensors", ".onnx", ".npz", ".pt", ".bin"))
    one = rng.choice(files)
    how = f"{one.relative_to(folder)}: {damage.file(rng, one)}"
    taught = [
        "distill",
        *RUN,
        "--quiet",
        "--out",
        str(home / "out"),
        "--teacher-weights",
        str(folder / "weights" / "teacher.safetensors"),
    ]
    commands = [
        ["evaluate", str(folder)],
        ["measure", str(folder)],
        ["export", str(folder), "--format", "onnx"],
        taught,
    ]
    return how, rng.choice(commands)


def _words(rng: random.Random, home: Path) -> tuple[str, list[str]]:
    commands = ["distill", "plan", "compare", "methods", "survey", "evaluate", "export", "shrink", "measure", "report", "explain"]
    commands += ["models", "store", "store list", "store prune", "store verify", "", "--help", "distil"]
    options = [
        "--epochs",
        "--out",
        "--data",
        "--teacher",
        "--student",
        "--method",
        "--methods",
        "--seeds",
        "--set",
        "--recipe",
        "--resume",
    ]
    options += [
        "--to",
        "--on",
        "--json",
        "--max-latency",
        "--max-size",
        "--trials",
        "--limit-gb",
        "--batch",
        "--lr",
        "--alpha",
        "--seed",
    ]
    options += [
        "--teacher-weights",
        "--student-weights",
        "--data-path",
        "--augment",
        "--quiet",
        "--part",
        "--store-limit",
        "--jobs",
        "--top",
    ]
    words = rng.choice(commands).split()
    for _ in range(rng.choice((0, 1, 2, 3))):
        words.append(rng.choice(options))
        if rng.random() < 0.8:
            words.append(rng.choice([*damage.ODD, str(MADE["run"]), str(MADE["table.csv"]), str(home / "out")]))
    if words and words[0] in ("distill", "compare", "shrink") and "--epochs" not in words:
        words += [*seeds.TINY, "--set", "data.limit=60"]
    if words and words[0] in ("distill", "compare", "shrink", "explain") and "--out" not in words:
        words += ["--out", str(home / "out")]
    return "command line", words


MADE: dict[str, Path] = {}
RUN = [*seeds.TINY[:-2], "--set", "data.limit=120"]
COMPARED = ["--methods", "kd", *seeds.TINY, "--set", "data.limit=120", "--seeds", "2", "--quiet"]


def run_case(number: int, place: Path, seconds: float) -> Outcome:
    """Make a case, run it in a fork, and see how it ends."""
    home = Path(tempfile.mkdtemp(prefix=f"case{number}-", dir=place))
    try:
        kind, how, words = case(number, home)
        start = time.monotonic()
        code = forked(words, home, seconds)
        complaint = (home / "said.err").read_text(encoding="utf-8", errors="replace") if (home / "said.err").exists() else ""
        return Outcome(number, kind, how, words, code, time.monotonic() - start, complaint)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def forked(words: list[str], home: Path, seconds: float) -> int | None:
    """The exit code of a command in a forked process; None if it did not end in time."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.chdir(home)
            for stream, number in (("said.out", 1), ("said.err", 2)):
                handle = os.open(home / stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(handle, number)
            sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding="utf-8", errors="surrogateescape")
            sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), encoding="utf-8", errors="backslashreplace")
            from limbeck.__main__ import run

            status = run(words)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    deadline = time.monotonic() + 6 * seconds  # others may have the processor
    while time.monotonic() < deadline:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) if used.ru_utime + used.ru_stime <= seconds else None
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def prepare(place: Path) -> None:
    """Load everything once, and make what is damaged."""
    os.environ |= {"LIMBECK_STORE": str(place / "store"), "LIMBECK_DATA": str(place / "data"), "COLUMNS": "200"}
    import torch

    torch.set_num_threads(1)
    for name in ("distill", "compare", "explain", "export", "measure", "report", "shrink", "plan", "evaluate"):
        __import__(f"limbeck.cli.{name}")
    home = place / "seeds"
    home.mkdir()
    MADE.update(seeds.make(home))
    MADE.update(seeds.folders(home, lambda words: forked(words, home, 240)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20, help="of processor time that a command may take")
    parser.add_argument("--show", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place)
        numbers = range(chosen.first, chosen.first + chosen.cases)
        children = [
            share(numbers[k :: chosen.workers], place, chosen.seconds, place / f"{k}.pickle") for k in range(chosen.workers)
        ]
        for child in children:
            os.waitpid(child, 0)
        outcomes = [one for k in range(chosen.workers) for one in pickle.loads((place / f"{k}.pickle").read_bytes())]
    report(outcomes, chosen.show)


def share(numbers: Sequence[int], place: Path, seconds: float, result: Path) -> int:
    """A forked worker for some of the cases: it has one thread, so that it can fork in its turn."""
    child = os.fork()
    if child:
        return child
    outcomes = []
    for number in numbers:
        outcomes.append(run_case(number, place, seconds))
        if outcomes[-1].fault:
            print(f"{number} [{outcomes[-1].kind}] {outcomes[-1].fault} <- {outcomes[-1].how[:120]!r}", flush=True)
    result.write_bytes(pickle.dumps(outcomes))
    os._exit(0)


def report(outcomes: list[Outcome], show: int) -> None:
    faults = collections.Counter(re.sub(r"[0-9]+", "#", outcome.fault)[:90] for outcome in outcomes if outcome.fault)
    refused = sum(outcome.code == 2 for outcome in outcomes)
    slow = max((outcome.seconds for outcome in outcomes), default=0)
    kinds = collections.Counter(outcome.kind for outcome in outcomes)
    print(
        f"\n{len(outcomes)} cases ({dict(kinds)}): {refused} refused in a sentence, {sum(faults.values())} faults, slowest {slow:.1f} s"
    )
    for fault, count in faults.most_common(show):
        print(f"{count:5d} {fault}")


if __name__ == "__main__":
    main()
