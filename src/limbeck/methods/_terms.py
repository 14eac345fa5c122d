"""Terms that many declarations share."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from limbeck import losses
from limbeck.plan import Labels, Soft, Term
from limbeck.plan.schedules import Weight
from limbeck.plan.taps import Field, Source, Tap
from limbeck.transforms import attention_map, standardise
from limbeck.transforms.masks import known

Divergence = Literal["kl", "reverse", "jsd", "skew", "skew_reverse", "adaptive", "alpha_beta", "total_variation"]
_DIVERGENCES: Mapping[str, Callable[..., Tensor]] = {
    "kl": losses.kl,
    "reverse": losses.reverse_kl,
    "jsd": losses.jsd,
    "skew": losses.skew_kl,
    "skew_reverse": losses.skew_reverse_kl,
    "adaptive": losses.adaptive_kl,
    "alpha_beta": losses.alpha_beta,
    "total_variation": losses.total_variation,
}
LAYERS = ("layer1", "layer2", "layer3")
"""Of built-in classifiers: their stages."""


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


def follow(divergence: Divergence, *, temperature: float = 1.0, weight: float = 1.0) -> Term:
    """The divergence of the student's next tokens from the teacher's, at the places whose label is known."""
    by = partial(_DIVERGENCES[divergence], temperature=temperature)
    student, teacher = Tap("student"), Tap("teacher").detach()
    return Term("teacher", by, weight=weight, mask=Field("labels").via(known), student=student, teacher=teacher)


def of_judges(rate: float) -> Callable[..., torch.optim.Optimizer]:
    """The optimiser of a judge: Adam with its first moment at 0.5, as usual since Radford et al. 2016 (arXiv 1511.06434).
    At the run's own rate, by SGD, its logits grow without bound and the game ends."""
    return partial(torch.optim.Adam, lr=rate, betas=(0.5, 0.999))


def standardised(temperature: float, weight: float) -> Term:
    """The student's answer follows the teacher's, both standardised per sample."""
    student, teacher = Tap("student").via(standardise), Tap("teacher").detach().via(standardise)
    return Term("soft", partial(losses.soft_target, temperature=temperature), weight=weight, student=student, teacher=teacher)


def angles(at: tuple[str, ...], teacher_at: tuple[str, ...], weight: float) -> tuple[Term, ...]:
    """Attention maps of pairs of layers by their angle."""
    pairs = zip(at, teacher_at or at, strict=True)
    maps = ((s, Tap("student", s).via(attention_map), Tap("teacher", t).via(attention_map).detach()) for s, t in pairs)
    return tuple(Term(f"looks {s}", losses.cosine, weight=weight, student=a, teacher=b) for s, a, b in maps)


def rest_weight(classes: int) -> tuple[float, str]:
    """The weight of the classes other than the label: 1 up to 20 classes, the authors' 8 for CIFAR-100 beyond.

    With ten classes 8 took 14 points off CIFAR-10 (ResNet-56 to ResNet-8, 3,000 images, 6 epochs) where 1 took 4, and 8 gained
    1.4 points where 1 gained 2.8 on Fashion-MNIST (2,000 images, three seeds).
    """
    if classes > 20:
        return 8.0, "the authors' for a hundred classes"
    return 1.0, "the authors' 8 was tuned for a hundred classes and is too strong for ten"
