"""The loop over a plan, once: it knows stages, updates and steps, and no method."""

import functools
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from limbeck.engine import checkpoint, keep
from limbeck.engine.check import build_parts, check, need_roles, quiet
from limbeck.engine.compiled import Compiled
from limbeck.engine.feed import Feed
from limbeck.engine.fit import Fit
from limbeck.engine.graphs import Graphs, recordable
from limbeck.engine.keep import changing
from limbeck.engine.state import BatchSource, EngineListener, EpochRecord, RunState, Trained, seed_of
from limbeck.engine.step import Learner, NonFinite, Work, active_terms, take, weighted_total
from limbeck.plan import Method, Stage, Term
from limbeck.plan.kinds import Batch, Value
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast, in_evaluation, role_of
from limbeck.plan.schedules import Progress
from limbeck.plan.shared import SharedAnswers
from limbeck.plan.taps import Source, Tap, leaves

if TYPE_CHECKING:
    from accelerate import Accelerator


def accelerator_of(precision: str, cpu: bool) -> "Accelerator":
    """An Accelerator of a `Fit`'s precision; Accelerate keeps the first one of a process unless it is told to forget."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    precision = "no" if precision == "float32" else precision
    known = AcceleratorState._shared_state
    if known and (known.get("_mixed_precision"), known.get("_cpu")) != (precision, cpu):
        AcceleratorState._reset_state(reset_partial_state=PartialState().num_processes == 1)
    return Accelerator(cpu=cpu, mixed_precision=precision)


class Loop:
    """One run of a plan, as `train` describes it."""

    def __init__(
        self,
        method: Method,
        cast: Cast,
        draw: BatchSource,
        fit: Fit,
        seed: int,
        folder: Path | None,
        listen: EngineListener,
        validate: Callable[[Cast], Mapping[str, float]] | None,
        device: str | None,
        answers: SharedAnswers | None,
    ):
        self.answers, self.shared = answers or SharedAnswers(), answers is not None
        self.accelerator = accelerator_of(fit.precision, device == "cpu")
        self.method, self.cast, self.fit, self.seed = method, cast, fit, seed
        self.folder, self.listen, self.validate = folder, listen, validate
        self.lengths = fit.stage_steps(method.stages)
        self.total = sum(self.lengths)
        self.state = RunState()
        self.learners: list[Learner] = []
        self.best = keep.Best(folder)
        self.feed = Feed(method, draw, self.accelerator, seed)
        self.saved_at = self.since = time.monotonic()

    # ---------------------------------------------------------------- the plan, top down

    def prepare(self, resuming: bool) -> None:
        cast = self.cast.to(self.accelerator.device)
        need_roles(self.method, cast)
        if any(part not in cast for part in self.method.parts):
            first = next(update for _, update in self.method.updates())
            with quiet(cast), torch.no_grad():
                batch = self.feed.probe(first, cast)
            build_parts(self.method, cast, batch)
        if not resuming:
            check(self.method, cast, self.feed.probe, self.fit.accumulate, self.accelerator.num_processes)

    def go(self) -> Generator[None, None, Trained]:
        resumed = checkpoint.load_newest(self.folder, self._say) if self.folder is not None else None
        self.prepare(resuming=resumed is not None)
        if resumed is not None:
            self._restore(*resumed)
        self.cast.answered = dict(self.cast.filled)  # what the checks asked beside that is no cost of training
        while self.state.stage < len(self.method.stages):
            if resumed is None:
                self._before(self.method.stages[self.state.stage], self.state.stage)
                self._ready(self.method.stages[self.state.stage])
            resumed = None
            yield from self._run_stage(self.method.stages[self.state.stage])
        self._release()
        chosen = self._back_to_best()
        self._clock()
        return Trained(self.state.history, self.state.done, self.state.seconds, self.state.answered, self.state.filled, chosen)

    @property
    def _chooses(self) -> bool:
        """Whether the weights are those of the best epoch."""
        return self.fit.best or self.fit.patience is not None

    def _gains_nothing(self, stage: Stage, per_epoch: int) -> bool:
        """Whether the last epochs of a stage, as many as `patience`, were no better than one before; said."""
        if self.fit.patience is None or self.state.step >= self.lengths[self.state.stage]:
            return False
        found = keep.best_of(self.state.history, stage.name)
        late = 0 if found is None else round((self.state.history[-1]["step"] - found["step"]) / per_epoch)
        if late >= self.fit.patience:
            self._say(
                f"stage {stage.name} ended after step {self.state.step}: {late} epochs without a better score on validation"
            )
        return late >= self.fit.patience

    def _back_to_best(self) -> int | None:
        """The weights of the last stage's best epoch come back, if it is asked for; the step at which that ended."""
        last = self.method.stages[-1].name
        found = keep.best_of(self.state.history, last) if self._chooses else None
        if found is None:
            return None
        self.best.back(self.cast, found["step"])
        return found["step"]

    def _clock(self) -> None:
        now = time.monotonic()
        self.state.seconds += now - self.since
        self.since = now
        learns = changing(self.method)
        self.state.answered += sum(count for role, count in self.cast.answered.items() if role not in learns)
        self.state.filled += sum(self.cast.filled.values())
        self.cast.answered.clear()
        self.cast.filled.clear()

    def _run_stage(self, stage: Stage) -> Generator[None, None, None]:
        length, per_epoch = self.lengths[self.state.stage], self.fit.steps_per_epoch or self.lengths[self.state.stage]
        self.listen("stage", {"stage": stage.name, "step": self.state.step, "steps": length, "trains": stage.trains})
        while self.state.step < length:
            progress = Progress(stage.name, self.state.step, length, self.state.step / per_epoch, self.seed)
            self.feed.new_step()
            for number, learner in enumerate(self.learners):
                for turn in range(learner.update.repeat):
                    self._step(number, turn, learner, progress)
            for action in stage.after_step:
                action(self.cast, progress)
            self.state.step += 1
            self.state.done += 1
            if self.state.step % per_epoch == 0 or self.state.step == length:
                self._end_epoch(stage, per_epoch)
                if self._gains_nothing(stage, per_epoch):
                    self.state.step = length
            self._keep()
            now = time.monotonic()
            yield
            self.since += time.monotonic() - now  # others had their turn
        self.state.stage, self.state.step = self.state.stage + 1, 0
        self._keep(force=True)

    def _step(self, number: int, turn: int, learner: Learner, progress: Progress) -> None:
        if not active_terms(learner.update, progress):
            return  # it draws no data either
        with self._only(learner):  # a source of its own runs inside too, and records the learner's graph alone
            batch = self.feed.batch(learner.update, self.cast, self.state, number, turn)
            terms, account = active_terms(learner.update, progress), functools.partial(self._account, progress, self.state.done)
            work = Work(learner, self.cast, batch, terms, progress, self.accelerator, account)
            try:
                take(work, self.fit.accumulate, self.fit.clip)
            except NonFinite as error:
                raise NonFinite(f"{error}{keep.newest(self.folder)}") from None
        learner.shorten = self.accelerator.num_processes == 1  # a wrapper must see its forward end

    def _account(self, progress: Progress, done: int, seen: dict[str, float]) -> None:
        """The terms' means of one step: they go into the epoch's, and are told."""
        for name, value in seen.items():
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value
            self.state.counted[name] = self.state.counted.get(name, 0) + 1
        place = {"stage": progress.stage, "step": progress.step + 1, "steps": progress.steps}
        self.listen("step", {**place, "done": done, "total": self.total, "terms": seen})

    def _read_late(self) -> None:
        """Wait for the values that are still on their way from a GPU."""
        try:
            for learner in self.learners:
                learner.late.read(all_of_them=True)
        except NonFinite as error:
            raise NonFinite(f"{error}{keep.newest(self.folder)}") from None

    def _end_epoch(self, stage: Stage, per_epoch: int) -> None:
        self._read_late()
        state = self.state
        terms = {name: total / state.counted[name] for name, total in state.sums.items()}
        record: EpochRecord = {
            "stage": stage.name,
            "epoch": round(state.step / per_epoch, 6),
            "step": state.done,
            "terms": terms,
            "lr": {str(i): lr for i, lr in enumerate(self._rates())},
        }
        if self.validate is not None:
            with in_evaluation(self.cast), torch.no_grad():
                record["validation"] = dict(self.validate(self.cast))
        state.sums, state.counted = {}, {}
        state.history.append(record)
        if self._chooses and keep.best_of(state.history, stage.name) is record:
            self.best.put(state.done, keep.weights_of(self.cast, self.method))
        self.listen("epoch", record)

    # ---------------------------------------------------------------- getting ready

    def _before(self, stage: Stage, index: int) -> None:
        for action in stage.before:
            action(self.cast, stage.start(self.lengths[index], seed_of(self.seed, index)))
        self.cast.to(self.accelerator.device)

    def _ready(self, stage: Stage) -> None:
        """Freeze everything, then unfreeze and set to training exactly what the stage trains."""
        self._release()
        self.cast.prepare_training(stage.trains)
        if self.accelerator.num_processes > 1:
            self._wrap(stage)
        self._share_answers(stage)
        if self.fit.compile:
            self._compile(stage)
        optimizers: dict[tuple[object, object], tuple[torch.optim.Optimizer, LRScheduler | None]] = {}
        self.learners = []
        for update in stage.updates:
            learner = Learner(update, self.cast.trainable(update.trains))
            learner.graphs = self._graphs(stage, learner)
            key = (update.trains, update.optimizer)
            if update.apply is None:
                if key not in optimizers:
                    optimizers[key] = self._optimizer(learner)
                learner.optimizer, learner.schedule = optimizers[key]
            self.learners.append(learner)

    def _optimizer(self, learner: Learner) -> tuple[torch.optim.Optimizer, LRScheduler | None]:
        own = learner.update.optimizer
        optimizer = own(learner.parameters) if own is not None else self.fit.make_optimizer(learner.parameters)
        same = [u for u in self.method.stages[self.state.stage].updates if u.apply is None]
        turns = sum(u.repeat for u in same if (u.trains, u.optimizer) == (learner.update.trains, own))
        length = self.lengths[self.state.stage] * max(turns, 1)
        schedule = None if own is not None else self.fit.make_schedule(optimizer, length)
        return self.accelerator.prepare_optimizer(optimizer), schedule

    def _graphs(self, stage: Stage, learner: Learner) -> Graphs | None:
        """What records the learner's steps: on one GPU, where every step does the same work."""
        alone = self.accelerator.device.type == "cuda" and self.accelerator.num_processes == 1
        plain = self.fit.cuda_graphs and not self.fit.compile and self.fit.accumulate == 1 and self.accelerator.scaler is None
        if not (alone and plain and recordable(stage, self.cast, self.method.parts)):
            return None
        return Graphs(self.cast, learner.parameters, functools.partial(self._compute, learner), self._say)

    def _compute(
        self, learner: Learner, batch: Batch, terms: Sequence[tuple[Term, float | Tensor]], known: Mapping[Source, Value]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """A step's weighted total and the terms' means, as they are recorded."""
        values: dict[str, Tensor] = {}
        with self.accelerator.autocast():
            sources = [source for term, _ in terms for source in term.sources]
            scene = observe(self.cast, batch, sources, learns=learner.update.trains, known=known)
            return weighted_total(terms, scene, 1.0, self.accelerator, values, batch), values

    def _wrap(self, stage: Stage) -> None:
        from torch.nn.parallel import DistributedDataParallel

        for role in dict.fromkeys(role_of(path) for path in stage.trains):  # every process in the same order
            self.cast.callers[role] = DistributedDataParallel(self.cast[role], find_unused_parameters=True)

    def _share_answers(self, stage: Stage) -> None:
        """Frozen roles that several updates, or several runs, ask about the same batch answer once."""
        changed = changing(self.method) | {role_of(path) for path in stage.trains}
        asked: dict[str, list[tuple[Tap, ...]]] = {}
        for update in stage.updates:
            taps = dict.fromkeys(leaf for t in update.terms for s in t.sources for leaf in leaves(s) if isinstance(leaf, Tap))
            for role in {tap.role for tap in taps} - changed:
                asked.setdefault(role, []).append(tuple(tap for tap in taps if tap.role == role))
        for role, wanted in asked.items():
            if len(wanted) > 1 or self.shared:
                self.answers.want(self, self.cast[role], dict.fromkeys(tap for taps in wanted for tap in taps))
                self.cast.shared[role] = self.answers

    def _compile(self, stage: Stage) -> None:
        """Compile every role that the stage runs, together with its taps."""
        sources = [source for update in stage.updates for term in update.terms for source in term.sources]
        taps = dict.fromkeys(leaf for source in sources for leaf in leaves(source) if isinstance(leaf, Tap))
        for role in dict.fromkeys(tap.role for tap in taps):
            if role not in self.cast.callers and any(True for _ in self.cast[role].parameters()):
                self.cast.callers[role] = Compiled(self.cast.acting(role), [tap for tap in taps if tap.role == role], role)

    def _release(self) -> None:
        for caller in self.cast.callers.values():
            if isinstance(caller, Compiled):
                caller.release()
        for role in self.cast.shared:
            self.answers.want(self, self.cast[role], ())
        self.cast.shared.clear()
        self.cast.callers.clear()

    @contextmanager
    def _only(self, learner: Learner) -> Iterator[None]:
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

    def _rates(self) -> list[float]:
        steppers = [(learner.optimizer, learner.rate) for learner in self.learners if learner.optimizer is not None]
        return [optimizer.param_groups[0]["lr"] if rate is None else rate for optimizer, rate in steppers]

    def _say(self, sentence: str) -> None:
        self.listen("say", {"text": sentence})

    # ---------------------------------------------------------------- keeping and resuming

    def _keep(self, force: bool = False) -> None:
        due = self.folder is not None and time.monotonic() - self.saved_at >= self.fit.checkpoint_seconds
        if not (due or force):
            return
        self._read_late()
        weights = keep.weights_of(self.cast, self.method)
        keep.need_finite(weights, self.state, self.folder)
        if self.folder is not None and self.accelerator.is_main_process:
            self._clock()
            keep.save(self.folder, weights, self.state, self.learners)
            self.saved_at = time.monotonic()

    def _restore(self, tensors: dict[str, torch.Tensor], meta: dict[str, Value]) -> None:
        """Make the roles that were born so far by repeating the actions, then load; the current stage's own
        actions come before it if it had begun, after it (with the random state of then) if it had not."""
        self.state = RunState(**meta["state"])
        stages, current, inside = self.method.stages, self.state.stage, self.state.step > 0
        for index, stage in enumerate(stages[: current + (1 if inside else 0)]):
            self._before(stage, index)
        keep.load_weights(self.cast, self.method, tensors, self.folder)
        if current < len(stages):
            if not inside:
                self._before(stages[current], current)
            self._ready(stages[current])
        if inside:
            keep.load_learners(self.learners, tensors, meta)
            torch.set_rng_state(tensors["random/cpu"])  # making the learners may have drawn
            for learner in self.learners:
                learner.shorten = self.accelerator.num_processes == 1  # its first step was taken before the stop
        self._say(f"resumed at step {self.state.done} of {self.total}")
        self.listen("resumed", {"done": self.state.done, "history": self.state.history})
