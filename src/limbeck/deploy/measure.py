"""What a model costs: its size, and the time of one answer on this machine."""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from limbeck.errors import UserError
from limbeck.plan.kinds import Value

if TYPE_CHECKING:
    import onnxruntime

LEAST = 5  # measured calls, however slow


class Times(TypedDict):
    """Milliseconds of one call: median, quartiles, 95 %, and how many calls were timed."""

    median: float
    low: float
    high: float
    p95: float
    repeats: int


class Latency(Times):
    """The same of one answer, with the threads and the size of the batch."""

    threads: int
    batch: int


class Sizes(TypedDict):
    """A module's parameters, and the bytes of all its tensors."""

    parameters: int
    bytes: int


def latency(call: Callable[[], object], *, warm_up: int = 10, repeats: int = 200, seconds: float = 2.0) -> Times:
    """Time a call, one at a time.

    Args:
        call: what is timed. warm_up: calls before the clock runs.
        repeats: calls that are timed, at most. seconds: no call starts later than this, except the first 5.

    Returns:
        median, low and high (the quartiles) and p95 in milliseconds, and repeats, the calls timed.
    """
    for _ in range(warm_up):
        call()
    taken: list[int] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while len(taken) < max(repeats, 1) and (len(taken) < LEAST or time.perf_counter() < end):
            start = time.perf_counter_ns()
            call()
            taken.append(time.perf_counter_ns() - start)
    finally:
        if collecting:
            gc.enable()
    low, median, high, p95 = (float(v) for v in np.percentile(np.array(taken) / 1e6, [25, 50, 75, 95]))
    return {"median": median, "low": low, "high": high, "p95": p95, "repeats": len(taken)}


def module_latency(
    module: Callable[[Value], object],
    example: Value,
    threads: int = 1,
    *,
    warm_up: int = 10,
    repeats: int = 200,
    seconds: float = 2.0,
) -> Latency:
    """Time a module's answer to `example` (batch, ...) in evaluation mode, without gradients.

    Args:
        module: a module, or any function of the inputs. example: what it is called with.
        threads: of torch, for the measurement only.
        warm_up, repeats, seconds: of `latency`.

    Returns:
        what `latency` returns, with threads and batch.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with answering(module), torch.no_grad():
            measured = latency(lambda: module(example), warm_up=warm_up, repeats=repeats, seconds=seconds)
    finally:
        torch.set_num_threads(before)
    return {**measured, "threads": threads, "batch": _batch(example)}


def onnx_latency(
    path: str | os.PathLike[str],
    example: Tensor,
    threads: int = 1,
    *,
    warm_up: int = 10,
    repeats: int = 200,
    seconds: float = 2.0,
) -> Latency:
    """Time an ONNX file's answer to `example` (batch, ...) in ONNX Runtime on the CPU; as `module_latency`."""
    session = open_session(path, threads)
    feed = {session.get_inputs()[0].name: example.detach().cpu().numpy()}
    measured = latency(lambda: session.run(None, feed), warm_up=warm_up, repeats=repeats, seconds=seconds)
    return {**measured, "threads": threads, "batch": len(example)}


def _batch(example: Value) -> int:
    while not isinstance(example, Tensor):
        example = next(iter(example.values() if isinstance(example, Mapping) else example))
    return len(example)


def sizes(module: nn.Module) -> Sizes:
    """Return parameters (their number) and bytes (of all parameters and buffers; shared ones count once)."""
    tensors = [*module.parameters(), *module.buffers()]
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "bytes": sum(t.numel() * t.element_size() for t in {id(t): t for t in tensors}.values()),
    }


@contextlib.contextmanager
def answering(module: object) -> Iterator[None]:
    """Evaluation mode inside the block; every sub-module's own mode afterwards."""
    modes = {part: part.training for part in module.modules()} if isinstance(module, nn.Module) else {}
    try:
        for part in modes:
            part.training = False
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def open_session(path: str | os.PathLike[str], threads: int = 1) -> "onnxruntime.InferenceSession":
    """An ONNX Runtime session on the CPU; a file that cannot be opened is one sentence."""
    import onnxruntime

    if not Path(path).is_file():
        raise UserError(f"no ONNX file at {path}; export the model first")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base but Exception
        first = str(error).splitlines()[0]
        raise UserError(f"ONNX Runtime cannot open {path}: {first}; export the model again") from error
