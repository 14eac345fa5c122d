"""How hard each term ratios at the networks before the first step, beside what the labels do."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from limbeck.engine.check import only, quiet, twin_for
from limbeck.engine.fit import Fit
from limbeck.engine.loop import BatchSource, Loop
from limbeck.engine.step import active_terms, evaluate_term, sources_of
from limbeck.errors import UserError
from limbeck.plan import Method, Stage, Update
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast, role_of
from limbeck.plan.schedules import Progress
from limbeck.plan.taps import reads_labels


@dataclass(frozen=True)
class Balance:
    """Of one update: the norm of each weighted term's gradient over that of the terms that read labels."""

    stage: str
    ratios: Mapping[str, float]

    def __str__(self) -> str:
        words = ", ".join(f"{name} x {f'{value:,.0f}' if value >= 10 else f'{value:.2g}'}" for name, value in self.ratios.items())
        return f"stage {self.stage}: gradient norms relative to the labels' on one batch before training: {words}"


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


def balance(method: Method, cast: Cast, draw: BatchSource, fit: Fit, *, device: str | None = None) -> list[Balance]:
    """Measure every update that has both terms with labels and others; on a copy, nothing of the caller's is changed.

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
        found = []
        for index, (stage, steps) in enumerate(zip(method.stages, loop.lengths, strict=True)):
            for action in stage.before:
                action(twin, stage.start(steps, seed=index))
            for update in stage.updates:
                told = {term.name for term in update.terms if any(reads_labels(s) for s in term.inputs.values())}
                norms = _norms(method, stage, update, steps, loop) if update.apply is None else {}
                labels = sum(norms.get(name, 0.0) for name in told)
                others = {name: norm / labels for name, norm in norms.items() if labels and name not in told}
                if others:
                    found.append(Balance(stage.name, others))
    return found


def _norms(method: Method, stage: Stage, update: Update, steps: int, loop: Loop) -> dict[str, float]:
    cast, found = loop.cast, {}
    networks = tuple(path for path in update.trains if role_of(path) not in method.parts)
    wanted = cast.trainable(networks)
    with torch.enable_grad(), only(cast, wanted), quiet(cast):
        now = Progress(stage.name, steps // 2, steps)
        terms = active_terms(update, now)
        scene = observe(cast, loop.feed.probe(update, cast), sources_of([t for t, _ in terms]), learns=networks, now=now)
        for term, weight in terms:
            total, count = evaluate_term(term, scene)
            value = weight * total / count
            if value.requires_grad and wanted:
                gradients = torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True)
                found[term.name] = sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5
    return found
