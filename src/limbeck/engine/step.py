"""One optimiser step of one update: get its batch, observe, evaluate the terms, reduce, backward, step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from limbeck.errors import UserError
from limbeck.losses.module import masked_sum
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
    rate: float | None = None  # that the last step was taken with
    totals: dict[str, float] = field(default_factory=dict)


def evaluate_term(term: Term, scene: Scene) -> tuple[Tensor, Tensor]:
    """(mask-weighted sum, count) of a term's values; a mismatch names the term."""
    try:
        values = term.by(**{key: scene(source) for key, source in term.inputs.items()})
        return masked_sum(values, None if term.mask is None else scene(term.mask))
    except UserError as error:
        raise UserError(f"term {term.name!r}: {error}") from error


def active_terms(update: Update, progress: Progress) -> list[tuple[Term, float]]:
    """Terms with their weight now; those with weight 0 cost nothing."""
    weighted = [(term, term.weight_at(progress)) for term in update.terms]
    return [(term, weight) for term, weight in weighted if weight != 0.0]


def sources_of(terms: Sequence[Term]) -> list[Source]:
    return [source for term in terms for source in term.sources]


def take(
    learner: Learner, cast: Cast, batch: Batch, progress: Progress, accelerator: "Accelerator", micro: int, clip: float | None
) -> dict[str, float]:
    """Take one step; returns each term's mean value. Raises `NonFinite` before a bad step is taken."""
    terms = active_terms(learner.update, progress)
    if not terms:
        return {}
    if learner.update.apply is not None:
        return _take_applied(learner, cast, batch, terms, progress)
    seen: dict[str, float] = {}
    pieces = list(_split(batch, micro)) if micro > 1 else [(batch, 1.0)]
    for number, (piece, fraction) in enumerate(pieces, start=1):
        with accelerator.autocast():
            scene = observe(
                cast,
                piece,
                sources_of([t for t, _ in terms]),
                learns=learner.update.trains,
                shorten=learner.shorten,
                now=progress,
            )
            total = _weighted_total(terms, scene, fraction, accelerator, seen, batch)
        _refuse_non_finite(seen, terms, scene, progress)
        if total.requires_grad:
            made = number < len(pieces) and needs_grad(batch)  # the pieces share the graph that made the batch
            accelerator.backward(total, **({"retain_graph": True} if made else {}))
    if clip is not None:
        accelerator.clip_grad_norm_(learner.parameters, clip)
    assert learner.optimizer is not None, "an update that learns by gradient has an optimiser"
    learner.rate = learner.optimizer.param_groups[0]["lr"]
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    if learner.schedule is not None:
        learner.schedule.step()
    return seen


def _weighted_total(
    terms: list[tuple[Term, float]],
    scene: Scene,
    fraction: float,
    accelerator: "Accelerator",
    seen: dict[str, float],
    whole: Batch,
) -> Tensor:
    total = None
    for term, weight in terms:
        value, count = evaluate_term(term, scene)
        if fraction != 1.0:  # a micro-batch: divide by the count of the whole batch
            full = None if term.mask is None else Scene(scene.cast, whole, now=scene.now)(term.mask).bool().sum()
            count = count / fraction if full is None else full.clamp(min=1)
        if accelerator.num_processes > 1:
            count = accelerator.reduce(count, reduction="mean")
        mean = value / count
        shown = mean if accelerator.num_processes == 1 else accelerator.reduce(mean.detach(), reduction="mean")
        seen[term.name] = seen.get(term.name, 0.0) + shown.item()
        total = weight * mean if total is None else total + weight * mean
    assert total is not None
    return total


def _take_applied(learner: Learner, cast: Cast, batch: Batch, terms: list[tuple[Term, float]], now: Progress) -> dict[str, float]:
    update = learner.update
    assert update.apply is not None
    sources = sources_of([term for term, _ in terms])
    with in_evaluation(cast):  # whoever learns by gradient in this stage is only read here: its statistics stay
        update.apply(cast, update.trains, batch, observe(cast, batch, sources, now=now), terms)
        with torch.no_grad():
            after = observe(cast, batch, sources, now=now)
            found = {term.name: evaluate_term(term, after) for term, _ in terms}
            return {name: (total / count).item() for name, (total, count) in found.items()}


def _split(batch: Batch, parts: int) -> Iterator[tuple[dict[str, Value], float]]:
    """Micro-batches with the fraction of the batch that each holds, so that their losses add up to the mean."""
    size = len(next(v for v in batch.values() if isinstance(v, Tensor)))
    step = -(-size // parts)
    for start in range(0, size, step):
        cut = {k: _rows(v, start, start + step, size) for k, v in batch.items()}
        yield cut, min(step, size - start) / size


def _rows(value: Value, start: int, stop: int, size: int) -> Value:
    if isinstance(value, Tensor) and value.dim() and len(value) == size:
        return value[start:stop]
    if isinstance(value, Mapping):
        return {k: _rows(v, start, stop, size) for k, v in value.items()}
    return type(value)(_rows(v, start, stop, size) for v in value) if isinstance(value, tuple | list) else value


def _refuse_non_finite(seen: dict[str, float], terms: list[tuple[Term, float]], scene: Scene, progress: Progress) -> None:
    if all(abs(v) < float("inf") for v in (*seen.values(), *(weight for _, weight in terms))):  # NaN compares False
        return
    for term, weight in terms:
        if not abs(weight) < float("inf"):
            where = f"stage {progress.stage!r} step {progress.step}"
            raise NonFinite(f"{where}: the weight of term {term.name!r} is {weight}; check its schedule")
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
