"""The loop over a plan, once: it knows stages, updates and steps, and no method."""

import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from limbeck.engine import checkpoint
from limbeck.engine.check import build_parts, check, need_roles, quiet, trained_parameters
from limbeck.engine.fit import Fit
from limbeck.engine.step import Learner, NonFinite, take
from limbeck.errors import UserError
from limbeck.plan import Method, Progress, Stage, Update
from limbeck.roles import Cast, Follow, Snapshot, role_of


class Draw(Protocol):
    """Where batches come from: `draw(partitions, position)` is the position-th batch of an endless,
    seeded stream over those partitions, the same whenever it is asked for; `whole` is all of it."""

    def __call__(self, partitions: tuple[str, ...], position: int) -> Mapping[str, Any]: ...

    def whole(self, partitions: tuple[str, ...]) -> Mapping[str, Any]: ...


Listener = Callable[[str, Mapping[str, Any]], None]


@dataclass
class _State:
    """All that a resumed run needs beside the weights."""

    stage: int = 0
    step: int = 0  # within the stage
    done: int = 0  # over all stages
    positions: dict[str, int] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """What a training left beside the weights: the curve (a record per epoch), steps, seconds."""

    history: list[dict[str, Any]]
    steps: int
    seconds: float


def train(
    method: Method,
    cast: Cast,
    draw: Draw,
    fit: Fit,
    *,
    seed: int = 0,
    folder: Path | None = None,
    listen: Listener | None = None,
    validate: Callable[[Cast], Mapping[str, float]] | None = None,
    device: str | None = None,
) -> Trained:
    """Run a method's plan on a cast and return the learning curve, one record per epoch, and the cost.

    The cast is trained in place; parts and promoted roles are added to it. With `folder`, checkpoints
    are kept there and a second call with the same arguments goes on where the first one stopped, to
    the same final bits. `listen(kind, facts)` hears "stage", "step", "epoch" and "say" events.
    Raises `UserError` before the first step if the plan cannot work, `NonFinite` if it breaks later.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return _Run(method, cast, draw, fit, seed, folder, listen or _silent, validate, device).go()


def rehearse(method: Method, cast: Cast, draw: Draw, fit: Fit, *, device: str | None = None) -> None:
    """Everything that `train` checks before its first step, and nothing else: the cast stays as it was.

    Raises `UserError` if the plan cannot work.
    """
    before = set(cast)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            _Run(method, cast, draw, fit, 0, None, _silent, None, device).prepare(resuming=False)
        finally:
            for part in set(cast) - before:
                del cast[part]


def _accelerator(precision: str, cpu: bool) -> Any:
    """An Accelerator of that precision; Accelerate keeps the first one of a process unless it is told to forget."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    known = AcceleratorState._shared_state
    if known and (known.get("_mixed_precision"), known.get("_cpu")) != (precision, cpu):
        AcceleratorState._reset_state(reset_partial_state=PartialState().num_processes == 1)
    return Accelerator(cpu=cpu, mixed_precision=precision)


def _silent(kind: str, facts: Mapping[str, Any]) -> None:
    pass


class _Run:
    def __init__(
        self,
        method: Method,
        cast: Cast,
        draw: Draw,
        fit: Fit,
        seed: int,
        folder: Path | None,
        listen: Listener,
        validate: Callable[[Cast], Mapping[str, float]] | None,
        device: str | None,
    ):
        self.accelerator = _accelerator({"float32": "no", "bf16": "bf16", "fp16": "fp16"}[fit.precision], device == "cpu")
        self.method, self.cast, self.draw, self.fit, self.seed = method, cast, draw, fit, seed
        self.folder, self.listen, self.validate = folder, listen, validate
        self.lengths = fit.stage_steps(method.stages)
        self.total = sum(self.lengths)
        self.state = _State()
        self.learners: list[Learner] = []
        self.drawn: dict[Any, Mapping[str, Any]] = {}  # this step's batches
        self.saved_at = self.since = time.monotonic()

    # ---------------------------------------------------------------- the plan, top down

    def prepare(self, resuming: bool) -> None:
        cast = self.cast.moved(self.accelerator.device)
        need_roles(self.method, cast)
        if any(part not in cast for part in self.method.parts):
            first = next(update for _, update in self.method.updates())
            with quiet(cast), torch.no_grad():
                batch = self._probe(first, cast)
            build_parts(self.method, cast, batch)
        if not resuming:
            check(self.method, cast, self._probe, self.fit.accumulate, self.accelerator.num_processes)

    def go(self) -> Trained:
        resumed = checkpoint.load_newest(self.folder, self._say) if self.folder is not None else None
        self.prepare(resuming=resumed is not None)
        if resumed is not None:
            self._restore(*resumed)
        while self.state.stage < len(self.method.stages):
            if resumed is None:
                self._before(self.method.stages[self.state.stage], self.state.stage)
                self._ready(self.method.stages[self.state.stage])
            resumed = None
            self._run_stage(self.method.stages[self.state.stage])
        self._release()
        self._clock()
        return Trained(self.state.history, self.state.done, self.state.seconds)

    def _clock(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self.since
        self.since = now

    def _run_stage(self, stage: Stage) -> None:
        length, per_epoch = self.lengths[self.state.stage], self.fit.steps_per_epoch or self.lengths[self.state.stage]
        self.listen("stage", {"stage": stage.name, "step": self.state.step, "steps": length, "trains": stage.trains})
        while self.state.step < length:
            progress = Progress(stage.name, self.state.step, length, self.state.step / per_epoch)
            self.drawn.clear()
            for number, learner in enumerate(self.learners):
                for turn in range(learner.update.repeat):
                    self._step(number, turn, learner, progress)
            for action in stage.after_step:
                extra = {"step": self.state.step} if isinstance(action, Follow | Snapshot) else {}
                extra |= {"steps": length} if isinstance(action, Snapshot) else {}
                action(self.cast, seed=self._seed(), **extra)
            self.state.step += 1
            self.state.done += 1
            if self.state.step % per_epoch == 0 or self.state.step == length:
                self._end_epoch(stage, per_epoch)
            self._keep()
        self.state.stage, self.state.step = self.state.stage + 1, 0
        self._keep(force=True)

    def _step(self, number: int, turn: int, learner: Learner, progress: Progress) -> None:
        with self._only(learner):  # a source of its own runs inside too, and records the learner's graph alone
            batch = self._batch(learner.update, number, turn)
            try:
                seen = take(learner, self.cast, batch, progress, self.accelerator, self.fit.accumulate, self.fit.clip)
            except NonFinite as error:
                raise NonFinite(f"{error}{self._kept()}") from None
        learner.shorten = self.accelerator.num_processes == 1  # a wrapper must see its forward end
        for name, value in seen.items():
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value
            self.state.counted[name] = self.state.counted.get(name, 0) + 1
        self.listen("step", {"stage": progress.stage, "step": progress.step + 1, "steps": progress.steps, "done": self.state.done,
                             "total": self.total, "terms": seen})  # fmt: skip

    def _end_epoch(self, stage: Stage, per_epoch: int) -> None:
        state = self.state
        terms = {name: total / state.counted[name] for name, total in state.sums.items()}
        record: dict[str, Any] = {"stage": stage.name, "epoch": round(state.step / per_epoch, 6), "step": state.done, "terms": terms}
        record["lr"] = {str(i): lr for i, lr in enumerate(self._rates())}
        if self.validate is not None:
            with evaluating(self.cast):
                record["validation"] = dict(self.validate(self.cast))
        state.sums, state.counted = {}, {}
        state.history.append(record)
        self.listen("epoch", record)

    # ---------------------------------------------------------------- getting ready

    def _before(self, stage: Stage, index: int) -> None:
        for action in stage.before:
            action(self.cast, seed=self._seed(index))
        self.cast.moved(self.accelerator.device)

    def _ready(self, stage: Stage) -> None:
        """Freeze everything, then unfreeze and set to training exactly what the stage trains."""
        self._release()
        self.cast.requires_grad_(False).eval()
        for path in stage.trains:
            for module in self.cast.members(path):
                module.requires_grad_(True).train()
        if self.accelerator.num_processes > 1:
            self._wrap(stage)
        optimizers: dict[Any, tuple[Any, Any]] = {}
        self.learners = []
        for update in stage.updates:
            learner = Learner(update, trained_parameters(self.cast, update.trains))
            key = (update.trains, update.optimizer)
            if update.apply is None:
                if key not in optimizers:
                    optimizers[key] = self._optimizer(learner)
                learner.optimizer, learner.schedule = optimizers[key]
            self.learners.append(learner)

    def _optimizer(self, learner: Learner) -> tuple[Any, Any]:
        own = learner.update.optimizer
        optimizer = own(learner.parameters) if own is not None else self.fit.make_optimizer(learner.parameters)
        same = [u for u in self.method.stages[self.state.stage].updates if u.apply is None]
        turns = sum(u.repeat for u in same if (u.trains, u.optimizer) == (learner.update.trains, own))
        length = self.lengths[self.state.stage] * max(turns, 1)
        schedule = None if own is not None else self.fit.make_schedule(optimizer, length)
        return self.accelerator.prepare_optimizer(optimizer), schedule

    def _wrap(self, stage: Stage) -> None:
        from torch.nn.parallel import DistributedDataParallel

        for role in dict.fromkeys(role_of(path) for path in stage.trains):  # every process in the same order
            self.cast.callers[role] = DistributedDataParallel(self.cast[role], find_unused_parameters=True)

    def _release(self) -> None:
        self.cast.callers.clear()

    @contextmanager
    def _only(self, learner: Learner) -> Any:
        """Within one update, only what it trains may collect gradients."""
        if len(self.learners) == 1:
            yield
            return
        mine = {id(p) for p in learner.parameters}
        others = [p for other in self.learners for p in other.parameters if id(p) not in mine]
        for parameter in others:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in others:
                parameter.requires_grad_(True)

    # ---------------------------------------------------------------- batches

    def _batch(self, update: Update, number: int, turn: int) -> Mapping[str, Any]:
        """The update's batch. All updates of a step that draw from the same partitions see the same samples, so that
        a plan with several updates sees the data no more often than one with a single update; a repeat draws anew."""
        calls = 0

        def real(partitions: tuple[str, ...] = ("train",), *, whole: bool = False) -> Mapping[str, Any]:
            nonlocal calls
            if whole:
                return self._to_device(self.draw.whole(partitions))
            place, key = (partitions, turn, calls), "+".join(partitions)
            calls += 1
            if place not in self.drawn:
                position = self.state.positions.get(key, 0)
                self.state.positions[key] = position + 1
                self.drawn[place] = self._to_device(self._mine(self.draw(partitions, position)))
            return self.drawn[place]

        if callable(update.source):
            generator = torch.Generator().manual_seed(self._seed(self.state.stage, number, turn, self.state.step))
            return update.source(self.cast, real, generator)
        return real(update.partitions)

    def _probe(self, update: Update, cast: Cast) -> Mapping[str, Any]:
        def real(partitions: tuple[str, ...] = ("train",), *, whole: bool = False) -> Mapping[str, Any]:
            return self._to_device(self.draw(partitions, 0))

        if callable(update.source):
            if not all(part in cast for part in self.method.parts):
                return real()
            return update.source(cast, real, torch.Generator().manual_seed(0))
        return real(update.partitions)

    def _mine(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """This process's rows of the batch."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        if world == 1:
            return batch
        return {k: v[rank::world] if isinstance(v, torch.Tensor) and v.dim() else v for k, v in batch.items()}

    def _to_device(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.accelerator.device.type == "cpu":
            return batch
        from accelerate.utils import send_to_device

        return send_to_device(dict(batch), self.accelerator.device, non_blocking=True)

    def _seed(self, *more: int) -> int:
        seed = self.seed
        for number in more:
            seed = (seed * 1_000_003 + number + 1) % 2**62
        return seed

    def _rates(self) -> list[float]:
        steppers = [learner for learner in self.learners if learner.optimizer is not None]
        return [x.optimizer.param_groups[0]["lr"] if x.rate is None else x.rate for x in steppers]

    def _say(self, sentence: str) -> None:
        self.listen("say", {"text": sentence})

    # ---------------------------------------------------------------- keeping and resuming

    def _keep(self, force: bool = False) -> None:
        due = self.folder is not None and time.monotonic() - self.saved_at >= self.fit.checkpoint_seconds
        if not (due or force):
            return
        weights = {f"cast/{k}": v for k, v in self.cast.state_dict().items() if role_of(k) in self._changing()}
        for key, value in weights.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                wrong = f"after step {self.state.done} the weight {key[5:]!r} is not finite; lower the learning rate"
                raise NonFinite(wrong + self._kept())
        if self.folder is None or not self.accelerator.is_main_process:
            return
        self._clock()
        tensors = dict(weights)
        meta: dict[str, Any] = {"state": vars(self.state), "optimizers": [], "schedules": []}
        for index, learner in enumerate(self.learners if self.state.step else []):
            if learner.optimizer is not None:
                packed, numbers = checkpoint.pack_optimizer(learner.optimizer, f"optimizer/{index}")
                tensors |= packed
                meta["optimizers"].append(numbers)
                meta["schedules"].append(_plain(learner.schedule.state_dict()) if learner.schedule else None)
        tensors["random/cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors |= {f"random/cuda{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
        checkpoint.save(self.folder, self.state.done, tensors, meta)
        self.saved_at = time.monotonic()

    def _kept(self) -> str:
        kept = checkpoint.existing(self.folder)[:1] if self.folder is not None else []
        return f"; the last good checkpoint is {kept[0]}" if kept else ""

    def _changing(self) -> set[str]:
        """Roles that the plan changes; the others are the caller's and stay as they came."""
        changing = set(self.method.parts)
        for stage in self.method.stages:
            changing |= {role_of(path) for path in stage.trains}
            changing |= {action.role for action in (*stage.before, *stage.after_step) if hasattr(action, "role")}
        return changing

    def _restore(self, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
        self.state = _State(**meta["state"])
        stages = self.method.stages
        inside = self.state.step > 0
        for index, stage in enumerate(stages[: self.state.stage + (1 if inside else 0)]):
            self._before(stage, index)
        wanted = {k for k in self.cast.state_dict() if role_of(k) in self._changing()}
        saved = {k[5:]: v for k, v in tensors.items() if k.startswith("cast/")}
        if wanted != set(saved):
            odd = sorted(wanted ^ set(saved))[:3]
            raise UserError(f"checkpoint in {self.folder} belongs to another plan (differs at {', '.join(odd)}); use a new folder")
        self.cast.load_state_dict(saved, strict=False)
        torch.set_rng_state(tensors["random/cpu"])  # before the actions still to come: they may draw
        if self.state.stage < len(stages):
            if not inside:
                self._before(stages[self.state.stage], self.state.stage)
            self._ready(stages[self.state.stage])
        for index, learner in enumerate(x for x in self.learners if x.optimizer is not None and inside):
            where = [i for i, x in enumerate(self.learners) if x is learner][0]
            checkpoint.unpack_optimizer(learner.optimizer, f"optimizer/{where}", tensors, meta["optimizers"][index])
            if learner.schedule is not None:
                learner.schedule.load_state_dict(meta["schedules"][index])
        for learner in self.learners if inside else ():
            learner.shorten = self.accelerator.num_processes == 1  # its first step was taken before the stop
        self._say(f"resumed at step {self.state.done} of {self.total}")
        self.listen("resumed", {"done": self.state.done, "history": self.state.history})


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduler's state without what cannot be JSON (it is rebuilt by construction)."""
    import json

    kept = {}
    for key, value in state.items():
        try:
            if json.loads(json.dumps(value)) == value:
                kept[key] = value
        except (TypeError, ValueError):
            continue
    return kept


@contextmanager
def evaluating(module: nn.Module) -> Any:
    """Evaluation mode without gradients, every sub-module's own mode restored after."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode
