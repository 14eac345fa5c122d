"""Teacher labels with parts removed, and the students that learn from them.

A soft label says three things: that no answer is certain (label smoothing), how sure to be of this example (re-weighting),
and which other classes it resembles (relations). Each declaration keeps a part; all else is the same.
Letters: n samples, C classes, T the temperature, y the label, p = softmax(z_teacher / T).
"""
# ruff: noqa: F722, F821

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Source, Tap
from limbeck.transforms import probabilities, tempered
from limbeck.transforms.draws import Draw
from limbeck.transforms.masks import known


def spread(confidence: Float[Tensor, "n"], labels: Int[Tensor, "n"], classes: int) -> Float[Tensor, "n classes"]:
    """The label's class gets `confidence`, all others the same share of the rest.

    >>> spread(torch.tensor([0.6]), torch.tensor([1]), 3)
    tensor([[0.2000, 0.6000, 0.2000]])
    """
    rest = ((1 - confidence) / (classes - 1)).unsqueeze(-1).expand(-1, classes)
    return rest.scatter(-1, labels.clamp_min(0).unsqueeze(-1), confidence.unsqueeze(-1))


def smoothed_alike(labels: Int[Tensor, "n"], like: Float[Tensor, "n classes"], *, amount: float) -> Float[Tensor, "n classes"]:
    """The same smoothing for every sample: 1 - amount for the label, the amount spread evenly.

    >>> smoothed_alike(torch.tensor([0]), torch.zeros(1, 3), amount=0.2)
    tensor([[0.8000, 0.1000, 0.1000]])
    """
    return spread(like.new_full(labels.shape, 1 - amount, dtype=torch.float32), labels, like.shape[-1])


def confidence_alone(
    logits: Float[Tensor, "n classes"], labels: Int[Tensor, "n"], *, temperature: float = 1.0
) -> Float[Tensor, "n classes"]:
    """p_y for the label, the rest spread evenly: how sure the teacher is of each sample, and nothing else.

    >>> confidence_alone(torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.tensor([0]))
    tensor([[0.5000, 0.2500, 0.2500]])
    """
    soft = probabilities(logits, temperature=temperature)
    return spread(soft.gather(-1, labels.clamp_min(0).unsqueeze(-1)).squeeze(-1), labels, soft.shape[-1])


def shuffled_rest(
    logits: Float[Tensor, "n classes"],
    labels: Int[Tensor, "n"],
    index: Int[Tensor, "n"],
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> Float[Tensor, "n classes"]:
    """p with the probabilities of all classes but the label's shuffled, in each sample by itself and always alike.

    The order is a function of seed and sample number, so that a sample is always told the same wrong thing.

    >>> shuffled_rest(torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([0]), torch.tensor([7]))
    tensor([[0.5000, 0.2500, 0.2500]])
    """
    soft = probabilities(logits, temperature=temperature)
    count = soft.shape[-1]
    at = labels.clamp_min(0).unsqueeze(-1)
    noise = Draw.of(seed, index.cpu(), 0).uniform("shuffled rest", count).to(soft.device)
    drawn = noise.scatter(-1, at, 2.0).argsort(-1)[..., :-1]
    return soft.scatter(-1, drawn.sort(-1).values, soft.gather(-1, drawn))


def _taught(target: Source, temperature: float, alpha: float) -> Method:
    """L = (1 - alpha) CE(y, q) + alpha T^2 KL(target || q^T), as `kd` where the target is p."""
    soft = Term(
        "soft",
        losses.kl_to_probabilities,
        weight=alpha * temperature**2,
        mask=Field("labels").via(known),
        student=Tap("student").via(partial(tempered, temperature=temperature)),
        probabilities=target,
    )
    return single_stage(task(weight=1 - alpha), soft)


@method(paper="Szegedy et al. 2016, Rethinking the Inception Architecture, arXiv 1512.00567", year=2016)
def smoothing(amount: float, temperature: float = 4.0, alpha: float = 0.9) -> Method:
    """Label smoothing as strong as the teacher's labels are on average, the same for every sample.

    Args:
        amount: mean of 1 - p_y over the training samples. temperature, alpha: as in `kd`.
    """
    target = Field("labels").via(partial(smoothed_alike, amount=amount), Tap("student").detach())
    return _taught(target, temperature, alpha)


@method(paper="Tang et al. 2020, Understanding and Improving Knowledge Distillation, arXiv 2002.03532", year=2020)
def confidence(temperature: float = 4.0, alpha: float = 0.9) -> Method:
    """What the teacher gives the label of each sample, the rest spread evenly: smoothing and re-weighting of examples."""
    teacher = Tap("teacher").detach()
    return _taught(teacher.via(partial(confidence_alone, temperature=temperature), Field("labels")), temperature, alpha)


@method(paper="Furlanello et al. 2018, Born-Again Neural Networks (DKPP), arXiv 1805.04770", year=2018)
def shuffled(temperature: float = 4.0, alpha: float = 0.9, seed: int = 0) -> Method:
    """The teacher's probabilities with all but the label's shuffled: their sizes stay, the relations do not."""
    by = partial(shuffled_rest, temperature=temperature, seed=seed)
    return _taught(Tap("teacher").detach().via(by, Field("labels"), Field("index")), temperature, alpha)


@method(paper="Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531", year=2015)
def full(temperature: float = 4.0, alpha: float = 0.9) -> Method:
    """The teacher's whole answer: `kd`."""
    return _taught(Tap("teacher").detach().via(partial(probabilities, temperature=temperature)), temperature, alpha)
