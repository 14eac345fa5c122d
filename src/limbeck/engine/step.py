"""One optimiser step of one update: get its batch, observe, evaluate the terms, reduce, backward, step."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from limbeck.engine.graphs import Graphs, shared_taps
from limbeck.engine.late import Late
from limbeck.errors import UserError
from limbeck.losses.module import masked_sum
from limbeck.losses.traits import traits_of
from limbeck.plan import Term, Update
from limbeck.plan.kinds import Batch, Value
from limbeck.plan.observe import Scene, needs_grad, observe
from limbeck.plan.roles import Cast, in_evaluation
from limbeck.plan.schedules import Progress
from limbeck.plan.taps import Field, Source, State, Tap, leaves, modules_of

if TYPE_CHECKING:  # it is slow to import
    from accelerate import Accelerator


class NonFinite(UserError):
    """Training met NaN or infinity; the message names the term, where it came from and what was kept."""


@dataclass
class Learner:
    """An update made ready: the parameters it moves and the optimiser that moves them."""

    update: Update
    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer | None = None
    schedule: LRScheduler | None = None
    shorten: bool = False
    graphs: Graphs | None = None  # its steps as they were recorded, on a GPU
    late: Late = field(default_factory=Late)
    rate: float | None = None  # that the last step was taken with


def evaluate_term(term: Term, scene: Scene) -> tuple[Tensor, Tensor]:
    """(mask-weighted sum, count) of a term's values; a mismatch names the term."""
    try:
        given = {key: scene(source) for key, source in term.inputs.items()}
        if term.mask is not None and getattr(traits_of(term.by), "summed", False):
            mask = scene(term.mask)
            return term.by(**given, mask=mask), mask.bool().sum().clamp(min=1)
        return masked_sum(term.by(**given), None if term.mask is None else scene(term.mask))
    except UserError as error:
        raise UserError(f"term {term.name!r}: {error}") from error


def active_terms(update: Update, progress: Progress) -> list[tuple[Term, float]]:
    """Terms with their weight now; those with weight 0 cost nothing."""
    weighted = [(term, term.weight_at(progress)) for term in update.terms]
    return [(term, weight) for term, weight in weighted if weight != 0.0]


def sources_of(terms: Sequence[Term]) -> list[Source]:
    return [source for term in terms for source in term.sources]


@dataclass(frozen=True)
class Work:
    """One step of one update: who, on what, when, and who is told each term's mean value."""

    learner: Learner
    cast: Cast
    batch: Batch
    terms: list[tuple[Term, float]]
    progress: Progress
    accelerator: "Accelerator"
    account: Callable[[dict[str, float]], None]

    @property
    def sources(self) -> list[Source]:
        return sources_of([term for term, _ in self.terms])

    @property
    def later(self) -> bool:
        """Whether values are read some steps later, so that a GPU never waits for Python."""
        return self.accelerator.device.type == "cuda" and self.accelerator.num_processes == 1


def take(work: Work, micro: int, clip: float | None) -> None:
    """Take one step, its batch cut into `micro` pieces.

    Raises `NonFinite` before a bad step is taken. On a GPU the values are read up to `late.LAG` steps later; the optimisers that
    `Fit` makes leave weights as they are in a step whose values are not finite.
    """
    if not work.terms:
        work.account({})
    elif work.learner.update.apply is not None:
        work.account(_take_applied(work))
    else:
        check_weights(work.terms, work.progress)
        values = _replayed(work) if micro == 1 else None
        if values is None:
            values = _gradients(work, micro)
        if clip is not None:
            work.accelerator.clip_grad_norm_(work.learner.parameters, clip)
        _move(work, values)
        if work.later:
            work.learner.late.put(values, functools.partial(_read_late, work))
            work.learner.late.read()
        else:
            work.account({name: value.item() for name, value in values.items()})


def _read_late(work: Work, seen: dict[str, float]) -> None:
    if not _finite_all(seen):
        with torch.no_grad(), work.accelerator.autocast():
            scene = observe(work.cast, work.batch, work.sources, now=work.progress)
            _refuse_non_finite(seen, work.terms, scene, work.progress)
    work.account(seen)


def _replayed(work: Work) -> dict[str, Tensor] | None:
    """The terms' means of a step that was recorded, its gradients in place; None where it must run as it is."""
    graphs = work.learner.graphs
    if graphs is None:
        return None
    asked = shared_taps(work.cast, work.terms)
    known = dict(observe(work.cast, work.batch, asked, now=work.progress).seen) if asked else {}
    return graphs.step(work.batch, work.terms, known)


def _gradients(work: Work, micro: int) -> dict[str, Tensor]:
    """Forward and backward of a step, in pieces where it is cut; each term's mean."""
    values: dict[str, Tensor] = {}
    learner, accelerator = work.learner, work.accelerator
    cut = list(pieces(work.batch, micro))
    for number, (piece, fraction) in enumerate(cut, start=1):
        with accelerator.autocast():
            learns, shorten = learner.update.trains, learner.shorten
            scene = observe(work.cast, piece, work.sources, learns=learns, shorten=shorten, now=work.progress)
            total = weighted_total(work.terms, scene, fraction, accelerator, values, work.batch)
        if not work.later:
            seen = {name: value.item() for name, value in values.items()}
            _refuse_non_finite(seen, work.terms, scene, work.progress)
        if total.requires_grad:
            made = number < len(cut) and needs_grad(work.batch)  # the pieces share the graph that made the batch
            accelerator.backward(total, **({"retain_graph": True} if made else {}))
    return values


def _move(work: Work, values: Mapping[str, Tensor]) -> None:
    """One step of the optimiser and of its schedule."""
    learner = work.learner
    assert learner.optimizer is not None, "an update that learns by gradient has an optimiser"
    inner = getattr(learner.optimizer, "optimizer", learner.optimizer)
    if work.later and work.accelerator.scaler is None and inner.defaults.get("fused"):
        bad = ~torch.isfinite(torch.stack([value.float() for value in values.values()])).all()
        setattr(inner, "found_inf", bad.float())  # noqa: B010  fused optimisers leave everything as it is where this is 1
    learner.rate = learner.optimizer.param_groups[0]["lr"]
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    if learner.schedule is not None:
        learner.schedule.step()


def weighted_total(
    terms: Sequence[tuple[Term, float | Tensor]],
    scene: Scene,
    fraction: float,
    accelerator: "Accelerator",
    seen: dict[str, Tensor],
    whole: Batch,
) -> Tensor:
    """The weighted sum of the terms' means, which are added to `seen`."""
    total = None
    for term, weight in terms:
        value, count = evaluate_term(term, scene)
        if fraction != 1.0:  # a micro-batch: divide by the count of the whole batch
            full = None if term.mask is None else Scene(scene.cast, whole, now=scene.now)(term.mask).bool().sum()
            count = count / fraction if full is None else full.clamp(min=1)
        if accelerator.num_processes > 1:
            count = accelerator.reduce(count.to(value.dtype), reduction="mean")  # whole numbers have no mean
        mean = value / count
        for name, own in (getattr(term.by, "sums", None) or {term.name: value}).items():
            part = (own / count).detach()
            shown = part if accelerator.num_processes == 1 else accelerator.reduce(part, reduction="mean")
            seen[name] = seen[name] + shown if name in seen else shown
        total = weight * mean if total is None else total + weight * mean
    assert total is not None
    return total


def _take_applied(work: Work) -> dict[str, float]:
    update, cast, batch, now = work.learner.update, work.cast, work.batch, work.progress
    assert update.apply is not None
    with in_evaluation(cast):  # whoever learns by gradient in this stage is only read here: its statistics stay
        update.apply(cast, update.trains, batch, observe(cast, batch, work.sources, now=now), work.terms)
        with torch.no_grad():
            after = observe(cast, batch, work.sources, now=now)
            found = {term.name: evaluate_term(term, after) for term, _ in work.terms}
            return {name: (total / count).item() for name, (total, count) in found.items()}


def pieces(batch: Batch, parts: int) -> Iterator[tuple[Batch, float]]:
    """Micro-batches with the fraction of the batch that each holds, so that their losses add up to the mean; they differ by
    one sample at most, the smallest last."""
    if parts == 1:
        yield batch, 1.0
        return
    size = len(next(v for v in batch.values() if isinstance(v, Tensor)))
    start, parts = 0, min(parts, size)
    for number in range(parts):
        length = size // parts + (number < size % parts)
        yield {k: _rows(v, start, start + length, size) for k, v in batch.items()}, length / size
        start += length


def _rows(value: Value, start: int, stop: int, size: int) -> Value:
    if isinstance(value, Tensor) and value.dim() and len(value) == size:
        return value[start:stop]
    if isinstance(value, Mapping):
        return {k: _rows(v, start, stop, size) for k, v in value.items()}
    return type(value)(_rows(v, start, stop, size) for v in value) if isinstance(value, tuple | list) else value


def _finite_all(numbers: Mapping[str, float]) -> bool:
    return all(abs(v) < float("inf") for v in numbers.values())  # NaN compares False


def check_weights(terms: list[tuple[Term, float]], progress: Progress) -> None:
    """Refuse a weight that is no number before anything is computed with it."""
    for term, weight in terms:
        if not abs(weight) < float("inf"):
            where = f"stage {progress.stage!r} step {progress.step}"
            raise NonFinite(f"{where}: the weight of term {term.name!r} is {weight}; check its schedule")


def _refuse_non_finite(seen: dict[str, float], terms: list[tuple[Term, float]], scene: Scene, progress: Progress) -> None:
    if _finite_all(seen):
        return
    for term, _ in terms:
        if not abs(seen[term.name]) < float("inf"):
            origin = next((w for s in term.sources for w in _blame(s, scene)), _loss_itself(term, scene))
            raise NonFinite(
                f"stage {progress.stage!r} step {progress.step}: term {term.name!r} is {seen[term.name]}; "
                f"it came from {origin}; lower the learning rate, clip gradients or check that input"
            )


def _loss_itself(term: Term, scene: Scene) -> str:
    values = [(leaf, scene(leaf)) for source in term.sources for leaf in leaves(source) if not isinstance(leaf, Field)]
    numbers = ((leaf, v.detach()) for leaf, v in values if isinstance(v, Tensor) and v.is_floating_point() and v.numel())
    sizes = [(float(v.abs().max()), str(leaf)) for leaf, v in numbers]
    size, where = max(sizes, default=(0.0, ""))
    return f"the loss itself (largest value: {size:.3g} at {where})" if where else "the loss itself"


def _blame(source: Source, scene: Scene) -> Iterator[str]:
    for leaf in leaves(source):
        value = scene(leaf)
        if isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            role = leaf.role if isinstance(leaf, Tap | State) else None
            if role is not None and not all(torch.isfinite(p).all() for p in scene.cast[role].parameters()):
                yield f"role {role!r}, whose weights are no longer finite (at {leaf})"
            elif isinstance(leaf, Tap) and not _finite(scene.batch[leaf.on]):
                yield f"view {leaf.on!r} of the data, which holds non-finite inputs (seen at {leaf})"
            else:
                yield f"{'role ' + repr(role) if role else 'the batch'} at {leaf}"
    for name in modules_of(source):
        if not all(torch.isfinite(p).all() for p in scene.cast.find(name).parameters()):
            yield f"part {name!r}, whose weights are no longer finite"


def _finite(value: object) -> bool:
    return not isinstance(value, Tensor) or not value.is_floating_point() or bool(torch.isfinite(value).all())
