"""How hard each term pulls at the networks before the first step, beside what the labels do; lessons brought to a given pull."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import Tensor

from limbeck.engine.check import only, quiet, twin_for
from limbeck.engine.fit import Fit
from limbeck.engine.loop import BatchSource, Loop
from limbeck.engine.step import active_terms, evaluate_term, sources_of
from limbeck.errors import UserError
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.kinds import Batch
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast, role_of
from limbeck.plan.schedules import Progress
from limbeck.plan.taps import Tap, leaves, reads_labels


@dataclass(frozen=True)
class Balance:
    """Of one update: the norm of each lesson's weighted gradient over that of the labels' terms, and that of their sum: the pull.

    update: its place in the method's stages, counted over all of them. batches: on which it was measured; medians.
    """

    stage: str
    ratios: Mapping[str, float]
    pull: float = 0.0
    update: int = 0
    batches: int = 1

    def __str__(self) -> str:
        words = ", ".join(f"{name} x {f'{value:,.0f}' if value >= 10 else f'{value:.2g}'}" for name, value in self.ratios.items())
        where = "one batch" if self.batches == 1 else f"{self.batches} batches"
        return f"stage {self.stage}: gradient norms relative to the labels' on {where} before training: {words}"


LIMIT = 200  # times the labels' gradient: methods that work here start below 100, one that overwhelms the labels at 1,200


def too_large(found: list[Balance]) -> list[str]:
    """A sentence for each term whose gradient overwhelms that of the labels at the start."""
    return [
        f"{name} has {value:,.0f} times the gradient of the labels at the first step of stage {each.stage}: lower its "
        "weight if the student learns little"
        for each in found
        for name, value in each.ratios.items()
        if value > LIMIT
    ]


def is_lesson(term: Term, learners: Sequence[str]) -> bool:
    """Whether a term teaches what labels do not say: it reads no labels, or another role beside the learners (their paths)."""
    if not any(reads_labels(source) for source in term.inputs.values()):
        return True
    roles = {leaf.role for source in term.inputs.values() for leaf in leaves(source) if isinstance(leaf, Tap)}
    return bool(roles - {role_of(path) for path in learners})


def rescaled(method: Method, scales: Mapping[int, float]) -> Method:
    """The method with the lessons of its updates, by their number, times a factor each; the terms of labels stay."""
    number, stages = 0, []
    for stage in method.stages:
        updates = []
        for update in stage.updates:
            factor = scales.get(number, 1.0)
            terms = (term.times(factor) if factor != 1 and is_lesson(term, update.trains) else term for term in update.terms)
            updates.append(replace(update, terms=tuple(terms)))
            number += 1
        stages.append(replace(stage, updates=tuple(updates)))
    return method.but(stages=tuple(stages))


def balance(
    method: Method, cast: Cast, draw: BatchSource, fit: Fit, *, device: str | None = None, batches: int = 1
) -> list[Balance]:
    """Measure every update that has both terms with labels and lessons; on a copy, nothing of the caller's is changed.

    Gradients are taken with respect to the networks that the update trains, without its learned parts, in evaluation mode.
    Weights that follow a schedule are taken from the middle of the stage.
    """
    try:
        twin = twin_for(method, cast)
    except UserError:  # it cannot be copied: not measured
        return []
    loop = Loop(method, twin, draw, fit, 0, None, lambda kind, facts: None, None, device, None)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        loop.prepare(resuming=True)  # its parts are built; what could be wrong with it has been checked
        found, number = [], 0
        for index, (stage, steps) in enumerate(zip(method.stages, loop.lengths, strict=True)):
            for action in stage.before:
                action(twin, stage.start(steps, seed=index))
            for update in stage.updates:
                ways = [] if update.apply is not None else [_ways(method, stage, update, steps, loop, k) for k in range(batches)]
                measured = [way for way in ways if way is not None]
                if measured:
                    names = measured[0][0]
                    middle = {name: median(ratios.get(name, 0.0) for ratios, _ in measured) for name in names}
                    found.append(Balance(stage.name, middle, median(pull for _, pull in measured), number, batches))
                number += 1
    return found


def _ways(
    method: Method, stage: Stage, update: Update, steps: int, loop: Loop, position: int
) -> tuple[dict[str, float], float] | None:
    """Each lesson's norm and that of all together over that of the labels, on one batch; None where one of the two is missing."""
    gradients = _gradients(method, stage, update, steps, loop.cast, loop.feed.probe(update, loop.cast, position))
    lessons = {term.name for term in update.terms if is_lesson(term, update.trains)}
    labels = sum(_norm(each) for name, each in gradients.items() if name not in lessons)
    others = {name: each for name, each in gradients.items() if name in lessons}
    if not labels or not others:
        return None
    columns = zip(*others.values(), strict=True)
    total = [sum((g for g in column if g is not None), start=torch.zeros(())) for column in columns]
    return {name: _norm(each) / labels for name, each in others.items()}, _norm(total) / labels


def _norm(gradients: Sequence[Tensor | None]) -> float:
    return sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5


def _gradients(
    method: Method, stage: Stage, update: Update, steps: int, cast: Cast, batch: Batch
) -> dict[str, tuple[Tensor | None, ...]]:
    found: dict[str, tuple[Tensor | None, ...]] = {}
    networks = tuple(path for path in update.trains if role_of(path) not in method.parts)
    wanted = cast.trainable(networks)
    with torch.enable_grad(), only(cast, wanted), quiet(cast):
        now = Progress(stage.name, steps // 2, steps)
        terms = active_terms(update, now)
        scene = observe(cast, batch, sources_of([t for t, _ in terms]), learns=networks, now=now)
        for term, weight in terms:
            total, count = evaluate_term(term, scene)
            value = weight * total / count
            if value.requires_grad and wanted:
                found[term.name] = torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True)
    return found
