"""The runs of a comparison: one after another here, in processes of their own, or on Ray.

A job is data, and its whole result is its run folder: `card.json`, or `failed.json` with the reason. Whoever is
killed leaves a folder that the next one continues.
"""

import json
import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.cards.schema import FILE as CARD
from limbeck.cards.schema import read_card
from limbeck.comparison.schema import Done, Failed, RunResult
from limbeck.engine.turns import take_turns
from limbeck.errors import UserError
from limbeck.face.run import running
from limbeck.files import write_json
from limbeck.files.locks import alone_in
from limbeck.processes import keep_freed
from limbeck.runs.events import Listener, silent
from limbeck.runs.inputs import OtherInputs
from limbeck.runs.settings import Recipe
from limbeck.runs.sharing import Apart, Together

if TYPE_CHECKING:
    from ray import ObjectRef

FAILED = "failed.json"
TRIES = 3  # of a run whose process was killed


@dataclass(frozen=True)
class Failure:
    """Why a run failed; again: the comparison tries once more when it is continued; ends: the others would fail as well."""

    error: str
    again: bool
    ends: bool = False


def failure_in(folder: Path) -> Failure | None:
    """Why the run of a folder failed; None where it did not. A file that cannot be read is a failure that says so."""
    try:
        found = json.loads((folder / FAILED).read_text(encoding="utf-8"))
        return Failure(str(found["error"]), bool(found.get("again")), bool(found.get("ends")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Failure(f"failed, and its {FAILED} cannot be read", again=True)


@dataclass(frozen=True)
class Job:
    """One run of a comparison: which entry and seed, its resolved settings, and its folder."""

    entry: str
    seed: int
    settings: Recipe
    folder: str

    @property
    def result(self) -> RunResult | None:
        """Its card, or why it failed; None while it is not done."""
        folder = Path(self.folder)
        if (folder / CARD).exists():
            return Done(entry=self.entry, seed=self.seed, card=read_card(folder))
        failed = failure_in(folder)
        return None if failed is None else Failed(entry=self.entry, seed=self.seed, error=failed.error)

    def fail(self, why: str, *, again: bool, ends: bool = False) -> None:
        """Keep the reason of a failure; see `Failure`."""
        facts = {"entry": self.entry, "seed": self.seed, "error": why, "again": again, "ends": ends}
        write_json(Path(self.folder) / FAILED, facts)


Started = Callable[[Job], None]  # called when a run begins


def do(job: Job, listen: Listener = silent, shared: Apart | None = None) -> None:
    """Do one run, unless it is done. A run that fails leaves the reason; a disk that is full stops everything."""
    for _ in doing(job, listen, shared or Apart()):
        pass


def doing(job: Job, listen: Listener, shared: Apart) -> Generator[None, None, None]:
    """`do`, stopping after every training step; shared: what the runs have in common."""
    if job.result is not None:
        return
    try:
        with alone_in(Path(job.folder), wait=10):  # a killed comparison's worker takes a moment to end
            yield from running(job.settings, Path(job.folder), listen, shared, among=Path(job.folder).parents[1])
    except OtherInputs as error:
        job.fail(str(error), again=True, ends=True)
    except UserError as error:
        if isinstance(error.__cause__, OSError):
            raise
        job.fail(str(error), again=False)
    except Exception:  # a crashed run is a row of the table, not the end of it
        job.fail(traceback.format_exc(limit=3), again=True)


# A way of working takes jobs and yields each one when it has ended, whichever way.


def here(jobs: Sequence[Job], started: Started, listen: Listener) -> Iterator[Job]:
    """One after another in this process."""
    shared = Apart()
    for job in jobs:
        started(job)
        do(job, listen, shared)
        yield job


def together(jobs: Sequence[Job], started: Started, listen: Listener) -> Iterator[Job]:
    """The runs of one seed at once in this process, step by step in turn: batches and teacher are shared."""
    first = Apart()
    for seed in dict.fromkeys(job.seed for job in jobs):
        group, shared = [job for job in jobs if job.seed == seed], Together()
        shared.predictions, shared.latencies = first.predictions, first.latencies  # the teacher is the same for all seeds
        for job in group:
            started(job)
        for number, _ in take_turns([doing(job, listen, shared) for job in group]):
            yield group[number]


def in_processes(jobs: Sequence[Job], started: Started, count: int) -> Iterator[Job]:
    """`count` at a time, each in a process of its own with its part of the threads."""
    context, threads = multiprocessing.get_context("spawn"), threads_each(count)
    waiting, tries = list(jobs), {job.folder: 0 for job in jobs}
    busy: dict[int, tuple[SpawnProcess, Job]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                job = waiting.pop(0)
                tries[job.folder] += 1
                process = context.Process(target=_in_process, args=(job, threads))
                with _threads(threads):
                    process.start()
                busy[process.sentinel] = (process, job)
                if tries[job.folder] == 1:
                    started(job)
            for sentinel in wait(list(busy)):
                assert isinstance(sentinel, int)
                process, job = busy.pop(sentinel)
                process.join()
                if job.result is None and tries[job.folder] < TRIES:
                    waiting.insert(0, job)
                    continue
                if job.result is None:
                    code = process.exitcode
                    job.fail(f"its process ended {TRIES} times without a result, the last time with code {code}", again=True)
                yield job
    finally:
        for process, _ in busy.values():
            process.kill()
            process.join()


def threads_each(count: int) -> int:
    """The threads of this machine divided by the processes; at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(os.environ.get("OMP_NUM_THREADS") or allowed) // count)


class _threads:
    """Processes started inside get so many threads: libraries read this when they are loaded."""

    def __init__(self, count: int):
        self.count, self.before = count, os.environ.get("OMP_NUM_THREADS")

    def __enter__(self) -> None:
        os.environ["OMP_NUM_THREADS"] = str(self.count)

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = self.before


def _in_process(job: Job, threads: int) -> None:
    import signal

    import torch

    keep_freed()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # control-C reaches the parent, which ends this process
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        do(job)
    except UserError as error:
        raise SystemExit(f"limbeck: {error}") from None


def _end_with_parent() -> None:
    """A killed comparison leaves nobody behind who still writes into its folders."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def on_ray(jobs: Sequence[Job], started: Started, count: int) -> Iterator[Job]:
    """As tasks on a Ray cluster (RAY_ADDRESS), or on one started here; every machine must see the folder."""
    try:
        import ray
    except ImportError:
        raise UserError('Ray is not installed; run: pip install "limbeck[ray]"') from None
    ours = not ray.is_initialized()
    if ours:
        start_ray(count)
    try:
        task = ray.remote(num_cpus=1, max_retries=TRIES - 1, max_calls=1)(_on_ray)
        waiting = {task.remote(job, threads_each(count)): job for job in jobs}
        for job in jobs:
            started(job)
        while waiting:
            (reference, *_), _ = ray.wait(list(waiting))
            job = waiting.pop(reference)
            _collect(job, reference)
            yield job
    finally:
        if ours:
            ray.shutdown()


def start_ray(count: int) -> None:
    """Join the cluster that RAY_ADDRESS names, or start Ray on this machine with `count` runs at a time."""
    import ray

    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        paths = os.pathsep.join(str(Path(p).resolve()) for p in sys.path)  # where models of the user's own may be
        ours = {"env_vars": {"PYTHONPATH": paths}}
        ray.init(num_cpus=count, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, runtime_env=ours)


def _on_ray(job: Job, threads: int) -> None:
    import torch

    keep_freed()
    torch.set_num_threads(threads)
    do(job)


def _collect(job: Job, reference: "ObjectRef") -> None:
    """See that the run left its result; a worker that died more often than Ray tries is a failure of that run."""
    import ray

    try:
        ray.get(reference)
    except Exception as error:  # Ray wraps what happened in classes of its own
        if job.result is None:
            job.fail(f"its worker on Ray ended without a result: {str(error).strip().splitlines()[-1]}", again=True)
    deadline = time.monotonic() + 10  # a shared folder may show a file late
    while job.result is None and time.monotonic() < deadline:
        time.sleep(0.2)
    if job.result is None:
        raise UserError(
            f"a worker on Ray finished a run, but its card is not in {job.folder}; "
            "put the comparison's folder (--out) on storage that all machines share"
        )


__all__ = ["Job", "do", "here", "in_processes", "on_ray", "together"]
