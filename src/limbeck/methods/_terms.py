"""Terms that many declarations share."""

from functools import partial
from typing import Any

import torch

from limbeck import losses
from limbeck.plan import Term
from limbeck.plan.schedules import Weight
from limbeck.plan.taps import Field, Source, Tap
from limbeck.transforms import boxes
from limbeck.transforms.masks import known


def task(role: str = "student", *, weight: Weight = 1.0, mask: Source | None = None) -> Term:
    """Cross-entropy of a role's logits with the labels, wherever these are known (`mask` says otherwise where)."""
    labels = Field("labels")
    name = "task" if role == "student" else f"task {role}"
    return Term(name, losses.cross_entropy, weight=weight, mask=mask or labels.via(known), student=Tap(role), labels=labels)


def soft(learner: str = "student", mentor: str = "teacher", *, temperature: float = 4.0, weight: Weight = 1.0) -> Term:
    """T^2 KL(mentor || learner) of their tempered probabilities; the mentor does not learn from it."""
    name = "soft" if (learner, mentor) == ("student", "teacher") else f"soft {learner} from {mentor}"
    by = partial(losses.soft_target, temperature=temperature)
    return Term(name, by, weight=weight, student=Tap(learner), teacher=Tap(mentor).detach())


def answers(role: str, forced: bool = False) -> Source:
    """A role's logits; forced: those of an encoder-decoder for the labels, each word knowing the right ones before it."""
    return Field("inputs").via(role, Field("labels")) if forced else Tap(role)


def words(role: str = "student", *, weight: Weight = 1.0, per_token: bool = False) -> Term:
    """What an encoder-decoder learns from labels alone: -log of the probability of the label's words."""
    by, labels = partial(losses.sequence_nll, per_token=per_token), Field("labels")
    return Term("words", by if per_token else losses.sequence_nll, weight=weight, student=answers(role, True), labels=labels)


def box_task(role: str = "student", *, box_weight: Weight = 1.0) -> tuple[Term, Term]:
    """What a detector learns from labels alone: the class of every cell, and the box of those that answer for one."""
    answers, labels, inputs = Tap(role), Field("labels"), Field("inputs")
    own = "" if role == "student" else f" {role}"
    goal = labels.via(boxes.class_targets, answers, inputs)
    classes = Term(f"classes{own}", losses.cross_entropy, student=answers.via(boxes.class_logits), labels=goal)
    place = Term(
        f"boxes{own}",
        losses.smooth_l1,
        weight=box_weight,
        mask=labels.via(boxes.objects, answers, inputs),
        student=answers.via(boxes.box_numbers),
        teacher=labels.via(boxes.box_targets, answers, inputs),
    )
    return classes, place


def of_judges(rate: float) -> Any:
    """The optimiser of a judge: Adam with its first moment at 0.5, as usual since Radford et al. 2016 (arXiv 1511.06434).
    At the run's own rate, by SGD, its logits grow without bound and the game ends."""
    return partial(torch.optim.Adam, lr=rate, betas=(0.5, 0.999))
