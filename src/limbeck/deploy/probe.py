"""Answers and times of exported files, each in a process of its own. Sent as it is to the machine that is measured:
it needs Python 3.8, numpy, the one runtime that opens the file, and nothing of ours but this and the opener of the format.

`python probe.py FOLDER NUMBER` reads FOLDER/job-NUMBER.json and leaves FOLDER/result-NUMBER.json.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

LEAST = 5  # measured calls, however slow


def memory() -> int:
    """The most memory that this process has held so far, in bytes. Linux counts what a parent held into ru_maxrss,
    so its own figure is read there."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def timed(call: Callable[[], object], warm_up: int, repeats: int, seconds: float) -> dict[str, float]:
    """Milliseconds of one call: median, quartiles, 95 %, and how many calls were timed."""
    for _ in range(warm_up):
        call()
    taken: list[int] = []
    gc.disable()
    end = time.perf_counter() + seconds
    while len(taken) < max(repeats, 1) and (len(taken) < LEAST or time.perf_counter() < end):
        start = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - start)
    gc.enable()
    low, median, high, p95 = (float(v) for v in np.percentile(np.array(taken) / 1e6, [25, 50, 75, 95]))
    return {"median": median, "low": low, "high": high, "p95": p95, "repeats": len(taken)}


def do(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile((folder / job["opener"]).read_text(encoding="utf-8"), job["opener"], "exec"), names)  # of the file's format
    try:
        answer, runtime, before = names["opened"](str(folder / job["file"]), job["threads"], memory)
    except ImportError as error:
        return {"error": f"{job['needs']} is not installed there ({error})"}
    inputs, size = np.load(folder / job["inputs"], allow_pickle=False), job["batch"]
    found: dict[str, Any] = {
        "runtime": runtime,
        "machine": {
            "system": platform.system() + " " + platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "latency_ms": {},
    }
    if job["answers"]:
        cuts = [inputs[:1]] + [inputs[at : at + size] for at in range(0, len(inputs), size)]  # the first one also alone
        said = [answer(np.ascontiguousarray(cut)) for cut in cuts]
        np.save(folder / job["answers"], np.concatenate(said).astype(np.float32))
    for batch in job["batches"]:
        x = np.ascontiguousarray(np.resize(inputs, (batch,) + inputs.shape[1:]))
        found["latency_ms"][str(batch)] = timed(partial(answer, x), job["warm_up"], job["repeats"], job["seconds"])
    peak = memory()
    return dict(found, peak_bytes=peak, runtime_bytes=before)


def main(place: str, number: str) -> None:
    folder = Path(place)
    job = json.loads((folder / f"job-{number}.json").read_text(encoding="utf-8"))
    try:
        found = do(folder, job)
    except Exception as error:  # whatever a runtime raises is a row of the table
        lines = str(error).strip().splitlines() or [type(error).__name__]
        found = {"error": lines[0][:300]}
    (folder / f"result-{number}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
