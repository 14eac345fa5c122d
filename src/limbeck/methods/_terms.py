"""Terms that many declarations share."""

from collections.abc import Callable
from functools import partial

import torch

from limbeck.plan import Labels, Soft, Term
from limbeck.plan.schedules import Weight
from limbeck.plan.taps import Source


def task(role: str = "student", *, weight: Weight = 1.0, mask: Source | None = None) -> Term:
    """What a role learns from the labels, wherever these are known (`mask` says otherwise where).

    How is for the data's task to say: cross-entropy where one class is answered.
    """
    return Labels(role, weight=weight, mask=mask)


def soft(
    learner: str = "student", mentor: str = "teacher", *, temperature: float = 4.0, scaled: bool = True, weight: Weight = 1.0
) -> Term:
    """What a learner learns from a mentor's softened answers; the mentor does not learn from it.

    How is for the data's task to say: T^2 KL(mentor || learner) of their tempered probabilities where one class is answered.
    scaled: False leaves T^2 out.
    """
    return Soft(learner, mentor, temperature=temperature, scaled=scaled, weight=weight)


def of_judges(rate: float) -> Callable[..., torch.optim.Optimizer]:
    """The optimiser of a judge: Adam with its first moment at 0.5, as usual since Radford et al. 2016 (arXiv 1511.06434).
    At the run's own rate, by SGD, its logits grow without bound and the game ends."""
    return partial(torch.optim.Adam, lr=rate, betas=(0.5, 0.999))
