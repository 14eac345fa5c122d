"""Exported files asked and timed where they shall run: here, or on a target behind a command prefix such as "ssh pi".

One connection: a script that carries probe, files and inputs goes in by standard input, unpacks them into a folder
of its own, runs every job in a fresh process, prints the results and leaves nothing behind.
"""

import base64
import io
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from typing_extensions import TypedDict

from limbeck.deploy.measure import Times
from limbeck.errors import UserError

MARK = "limbeck-result:"
SCRIPT = """
import base64, json, os, shutil, subprocess, sys, tempfile
folder = tempfile.mkdtemp(prefix="limbeck-")
try:
    for name, text in FILES.items():
        os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(base64.b64decode(text))
    FILES.clear()
    for number in range(COUNT):
        result, answers = (os.path.join(folder, "%s-%d.%s" % (a, number, b)) for a, b in (("result", "json"), ("answers", "npy")))
        words, found = [sys.executable, os.path.join(folder, "probe.py"), folder, str(number)], {}
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT)
            if os.path.exists(result):
                with open(result, encoding="utf-8") as file:
                    found = json.load(file)
            else:
                last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:200]
                found = {"error": "its process ended with code %d; %s" % (done.returncode, last or "the file may be damaged")}
        except subprocess.TimeoutExpired:
            found = {"error": "no result within %d s" % LIMIT}
        if os.path.exists(answers):
            with open(answers, "rb") as file:
                found["answers"] = base64.b64encode(file.read()).decode()
        print(MARK + json.dumps(found), flush=True)
finally:
    shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass(frozen=True)
class Target:
    """Where files are run.

    prefix: words in front of the interpreter, () for this machine. python: the interpreter there.
    """

    prefix: tuple[str, ...] = ()
    python: str = sys.executable

    @staticmethod
    def at(prefix: str | None, python: str | None) -> "Target":
        """From the words of the command line.

        >>> Target.at("ssh pi", None)
        Target(prefix=('ssh', 'pi'), python='python3')
        """
        if prefix is None:
            return Target((), python or sys.executable)
        try:
            words = tuple(shlex.split(prefix))
        except ValueError as error:
            raise UserError(f"--on {prefix!r} cannot be read as a command ({error}); write for example --on 'ssh pi'") from None
        if not words:
            raise UserError("--on is empty; give the command prefix of the target, for example --on 'ssh pi'")
        return Target(words, python or "python3")

    @property
    def command(self) -> list[str]:
        """`sh -c` takes its command as one word, everything else as several."""
        own = [self.python, "-"]
        return [*self.prefix, shlex.join(own)] if self.prefix[-1:] == ("-c",) else [*self.prefix, *own]

    def __str__(self) -> str:
        return shlex.join(self.prefix) if self.prefix else "this machine"


@dataclass(frozen=True)
class ProbeJob:
    """One file in one fresh process.

    format: its name. opener: source of the function that opens it (see `Format.opened`). needs: the package that does.
    files: all that belong to it, the one that is opened first. inputs: (n, ...) what it is asked. answers: keep its predictions.
    batch: of the questions. batches: sizes that are timed, none for no timing.
    """

    format: str
    opener: str
    needs: str
    files: tuple[Path, ...]
    inputs: np.ndarray
    answers: bool = False
    batch: int = 32
    batches: tuple[int, ...] = ()
    threads: int = 1
    warm_up: int = 10
    repeats: int = 200
    seconds: float = 2.0


class Machine(TypedDict):
    """Where it was measured."""

    system: str
    cores: int | None
    python: str


class Costs(TypedDict, total=False):
    """What one file costs; latency by the size of the batch, as text."""

    runtime: str
    machine: Machine
    latency_ms: dict[str, Times]
    peak_bytes: int
    runtime_bytes: int


@dataclass(frozen=True)
class ProbeResult:
    """What came of a job: the answers (n, C) if they were asked for and that to the first sample alone (1, C), the
    figures, or an error in words."""

    answers: np.ndarray | None = None
    alone: np.ndarray | None = None
    figures: Costs = field(default_factory=Costs)
    error: str = ""


def ask(jobs: Sequence[ProbeJob], place: Target = Target(), limit: float = 600.0) -> list[ProbeResult]:  # noqa: B008 (frozen)
    """Do the jobs one after another, each in a fresh process of the place.

    Raises:
        UserError: the place cannot be reached, or has no Python with numpy.
    """
    text = _script(jobs, limit)
    try:
        done = subprocess.run(place.command, input=text.encode(), capture_output=True, timeout=limit * len(jobs) + 60)
    except FileNotFoundError:
        raise UserError(f"cannot run {place.command[0]!r}: there is no such command; check --on and --python") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{place} gave no result: {error}; check --on") from None
    said = done.stdout.decode("utf-8", "replace")
    found = [json.loads(line[len(MARK) :]) for line in said.splitlines() if line.startswith(MARK)]
    if len(found) != len(jobs):
        why = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1][:200]
        raise UserError(
            f"{place} ended with code {done.returncode} and without results ({why}); it needs {place.python} and numpy"
        )
    return [_seen(facts) for facts in found]


def _script(jobs: Sequence[ProbeJob], limit: float) -> str:
    files: dict[str, bytes] = {"probe.py": Path(__file__).with_name("probe.py").read_bytes()}
    places: dict[object, str] = {}
    for number, job in enumerate(jobs):
        place = places.setdefault(job.files, f"model-{number}")
        files |= {f"{place}/{file.name}": _read(file) for file in job.files if f"{place}/{file.name}" not in files}
        inputs = places.setdefault(id(job.inputs), f"inputs-{number}.npy")
        if inputs not in files:
            files[inputs] = _npy(job.inputs)
        opener = f"open-{job.format}.py"
        files[opener] = f"from __future__ import annotations\n\n{job.opener}".encode()
        plain = {k: getattr(job, k) for k in ("needs", "batch", "batches", "threads", "warm_up", "repeats", "seconds")}
        answers = f"answers-{number}.npy" if job.answers else ""
        named = {"opener": opener, "file": f"{place}/{job.files[0].name}", "inputs": inputs, "answers": answers}
        files[f"job-{number}.json"] = json.dumps({**plain, **named}).encode()
    packed = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return f"FILES = {packed!r}\nCOUNT, LIMIT, MARK = {len(jobs)}, {int(limit)}, {MARK!r}\n{SCRIPT}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}; export the model first") from None


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values))
    return buffer.getvalue()


def _seen(facts: dict[str, Any]) -> ProbeResult:  # as the probe wrote it
    packed = facts.pop("answers", None)
    answers = None if packed is None else np.load(io.BytesIO(base64.b64decode(packed)), allow_pickle=False)
    error, costs = facts.pop("error", ""), cast(Costs, facts)
    return ProbeResult(None, None, costs, error) if answers is None else ProbeResult(answers[1:], answers[:1], costs, error)
