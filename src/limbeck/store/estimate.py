"""What a plan will cost, from a few measured steps on a copy: time live and from stored answers, and memory."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from limbeck.data.streams import Streams
from limbeck.engine.check import build_parts, quiet, twin_for
from limbeck.engine.fit import Fit
from limbeck.engine.state import BatchSource, EventFacts
from limbeck.engine.training import train
from limbeck.errors import UserError
from limbeck.plan import Method, Stage
from limbeck.plan.kinds import Batch
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast, role_of
from limbeck.store.filling import at_once
from limbeck.store.planner import Plan

STEPS = 4  # per measurement; the first ones are warm-up


@dataclass(frozen=True)
class Estimate:
    """Of one stage: steps, seconds per step with every role live and as planned, seconds to fill the store,
    and bytes held at the peak (weights, gradients, optimiser state, activations kept for backward; on a GPU what the device
    reports, batches and workspace too)."""

    stage: str
    steps: int
    live: float
    planned: float
    fill: float
    memory: int

    def __str__(self) -> str:
        total = self.steps * self.planned + self.fill
        text = f"stage {self.stage}: {self.steps} steps, about {clock(total)}, peak memory about {self.memory / 2**20:.0f} MiB"
        if self.planned < self.live or self.fill:
            text += f" ({clock(self.steps * self.live)} without stored answers; storing them: {clock(self.fill)})"
        return text


def clock(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate(method: Method, cast: Cast, streams: Streams, planned: Plan, fit: Fit) -> list[Estimate]:
    """Measure each stage on a copy of the cast; nothing of the caller's is changed."""
    try:
        twin = twin_for(method, cast)
    except UserError:  # it cannot be copied: not measured
        return []
    build_parts(method, twin, streams(("train",), 0))
    fills = _fill_seconds(twin, streams, planned)
    found = []
    for stage, rewritten, steps in zip(method.stages, planned.method.stages, fit.stage_steps(method.stages), strict=True):
        for action in stage.before:
            action(twin, stage.start(steps))
        live, memory = _stage_seconds(method, stage, twin, streams, fit)
        changed = rewritten is not stage
        quick = _stage_seconds(method, rewritten, twin, _Blank(streams, planned), fit)[0] if changed else live
        found.append(Estimate(stage.name, steps, live, quick, fills.pop(stage.name, 0.0), memory))
    return found


def _stage_seconds(method: Method, stage: Stage, cast: Cast, draw: BatchSource, fit: Fit) -> tuple[float, int]:
    alone = method.but(stages=(replace(stage, before=(), steps=STEPS),), deploys=role_of(stage.trains[0]))
    twin, few = twin_for(method, cast), replace(fit, steps=STEPS, schedule="constant")
    weights = {p.untyped_storage().data_ptr() for p in twin.parameters()}
    ticks: list[float] = []
    kept: dict[int, int] = {}  # bytes by storage of what the backward of this step needs
    peaks: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def tick(kind: str, facts: EventFacts) -> None:
        if kind == "step":
            ticks.append(time.perf_counter())
            peaks.append(sum(kept.values()))
            kept.clear()  # what one step keeps is gone in the next

    if twin.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        train(alone, twin, draw, few, seed=0, listen=tick)
        memory = torch.cuda.max_memory_allocated() - before + _bytes(twin.parameters())
    else:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            train(alone, twin, draw, few, seed=0, listen=tick)
        learns = [p for update in stage.updates for p in twin.trainable(update.trains)]
        states = 1 + (2 if fit.optimizer.startswith("adam") else bool(fit.momentum))
        held = max(peaks[1:])  # the first holds what the checks before it kept
        memory = held + _bytes(twin.parameters()) + states * _bytes({id(p): p for p in learns}.values())
    turns = len(ticks) / STEPS
    gaps = sorted(b - a for a, b in zip(ticks, ticks[1:], strict=False))[: max(1, len(ticks) // 2)]
    return gaps[len(gaps) // 2] * turns, memory


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _fill_seconds(cast: Cast, streams: Streams, planned: Plan) -> dict[str, float]:
    """Seconds to fill what is missing of the store, charged to the first stage that reads it."""
    if not planned.stored:
        return {}
    size = at_once(streams)
    batch = next(streams.in_order("train", 0, size))
    missing = [i for i in planned.stored if not i.shelf.filled()]
    if not missing:
        return {}
    start = time.perf_counter()
    with quiet(cast), torch.no_grad():
        observe(cast, batch, [item.source for item in missing], shorten=True)
    chunks = -(-len(streams.data["train"]) // size) * (streams.cycle or 1)
    first = next(d.stage for d in planned.decisions if d.stored)
    return {first: (time.perf_counter() - start) * chunks}


class _Blank:
    """Real batches with zeros in place of stored answers, which are not computed for an estimate."""

    def __init__(self, streams: Streams, planned: Plan):
        self.streams, self.planned = streams, planned

    def __call__(self, partitions: tuple[str, ...], position: int) -> Batch:
        batch = dict(self.streams(partitions, position))
        return batch | {
            i.field: torch.zeros(len(batch["index"]), *i.shelf.shape, device=self.streams.on) for i in self.planned.stored
        }

    def whole(self, partitions: tuple[str, ...]) -> Batch:
        return self.streams.whole(partitions)
