"""Answers and times of exported files, each in a process of its own. Sent as it is to the machine that is measured:
it needs Python 3.8, numpy and the one runtime that opens the file, and nothing of ours.

`python probe.py FOLDER NUMBER` reads FOLDER/job-NUMBER.json and leaves FOLDER/result-NUMBER.json.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

LEAST = 5  # measured calls, however slow


def open_onnx(path: str, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    before = memory()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return (lambda x: session.run(None, {name: x})[0]), onnxruntime.__version__, before


def open_torch(path: str, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    before = memory()
    module = torch.export.load(path).module()

    def answer(x: Any) -> Any:
        with torch.no_grad():
            return module(torch.from_numpy(x)).numpy()

    return answer, torch.__version__, before


def open_executorch(path: str, threads: int) -> Any:
    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime, Verification

    _unsafe_reset_threadpool(threads)
    before = memory()
    program = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
    method = program.load_method("forward")
    return (lambda x: method.execute([torch.from_numpy(x)])[0].numpy()), version_of("executorch"), before


def open_rules(path: str, threads: int) -> Any:
    rules = json.loads(Path(path).read_text(encoding="utf-8"))
    before = memory()
    feature, threshold = np.array(rules["feature"]), np.array(rules["threshold"], np.float32)
    mean, std = (np.array(rules[name], np.float32) for name in ("mean", "std"))
    branches, answers = np.array(rules["branches"]), np.array(rules["log_probability"], np.float32)

    def answer(x: Any) -> Any:
        rows, node = (x.reshape(len(x), len(mean), -1) - mean[:, None]) / std[:, None], np.zeros(len(x), np.int64)
        rows = rows.reshape(len(x), -1)
        every = np.arange(len(x))
        for _ in range(rules["depth"]):
            node = branches[node, (rows[every, feature[node]] > threshold[node]).astype(np.int64)]
        return answers[node]

    return answer, "numpy " + np.__version__, before


OPEN = {"onnx": open_onnx, "torch": open_torch, "executorch": open_executorch, "rules": open_rules}
NEEDS = {"onnx": "onnxruntime", "torch": "torch", "executorch": "executorch", "rules": "numpy"}


def version_of(name: str) -> str:
    from importlib.metadata import version

    return version(name)


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


def timed(call: Any, warm_up: int, repeats: int, seconds: float) -> dict[str, Any]:
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
    try:
        answer, runtime, before = OPEN[job["runtime"]](str(folder / job["file"]), job["threads"])
    except ImportError as error:
        return {"error": f"{NEEDS[job['runtime']]} is not installed there ({error})"}
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
