"""Labels made out of answers and labels: votes with noise, mixtures, classes taken together.

Letters: n samples, C classes, k teachers, s classes of a specialist. Nothing is detached; votes have no gradient.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.transforms.draws import Draw
from limbeck.transforms.facts import transform
from limbeck.transforms.features import probabilities
from limbeck.transforms.numerics import upcast


@transform(knowledge="hard labels")
def noisy_votes(
    index: Int[Tensor, "n"], *logits: Float[Tensor, "n classes"], scale: float = 20.0, seed: int = 0
) -> Int[Tensor, "n"]:
    """The class with most teachers, after Laplace noise is added to every count (PATE: Papernot et al. 2017).

    argmax_c #{k: argmax z_k = c} + Laplace(scale). The noise is a function of seed and sample number: a sample that is
    asked again gives the same answer, so that it is one query, (2 / scale)-differentially private. scale: 1 / gamma of
    the paper, 20 there for 250 teachers; 0 for none.

    >>> noisy_votes(torch.tensor([0]), *[torch.tensor([[0.0, 1.0]])] * 3, scale=0.0)
    tensor([1])
    """
    votes = torch.stack([F.one_hot(z.argmax(-1), z.shape[-1]) for z in logits]).sum(0).float()
    if scale > 0:
        drawn = Draw.of(seed, index.cpu(), 0).uniform("votes", votes.shape[1]).to(votes.device) + 2.0**-25 - 0.5
        votes = votes - scale * drawn.sign() * torch.log1p(-2 * drawn.abs())
    return votes.argmax(-1)


def mixed_labels(
    labels: Int[Tensor, "n"], logits: Float[Tensor, "n classes"], *, share: float, temperature: float = 1.0
) -> Float[Tensor, "n classes"]:
    """share onehot(y) + (1 - share) softmax(z / T): labels that may be wrong, corrected by a model's opinion.

    >>> mixed_labels(torch.tensor([0]), torch.zeros(1, 2), share=0.5)
    tensor([[0.7500, 0.2500]])
    """
    soft = probabilities(logits, temperature=temperature)
    return share * F.one_hot(labels, soft.shape[-1]).to(soft.dtype) + (1 - share) * soft


def where_not(mask: Tensor) -> Bool[Tensor, "n"]:
    """True where the mask is 0: the unlabelled samples of `labelled`.

    >>> where_not(torch.tensor([1.0, 0.0]))
    tensor([False,  True])
    """
    return mask == 0


def specialised(logits: Float[Tensor, "n classes"], *, classes: tuple[int, ...]) -> Float[Tensor, "n s1"]:
    """A specialist's answer: the logits of its classes, and of all others as one (the logsumexp: "dustbin").

    softmax of it are the classes' probabilities and what is left. Hinton, Vinyals & Dean 2015, section 5.

    >>> specialised(torch.tensor([[1.0, 3.0, 4.0]]).log(), classes=(1,)).softmax(-1)
    tensor([[0.3750, 0.6250]])
    """
    logits = upcast(logits)
    rest = [c for c in range(logits.shape[-1]) if c not in classes]
    if not rest or len(rest) + len(set(classes)) != logits.shape[-1]:
        raise UserError(f"a specialist needs some, not all, of the classes 0 to {logits.shape[-1] - 1}; got {classes}")
    return torch.cat([logits[..., list(classes)], logits[..., rest].logsumexp(-1, keepdim=True)], dim=-1)


def special_labels(labels: Int[Tensor, "n"], *, classes: tuple[int, ...]) -> Int[Tensor, "n"]:
    """A specialist's label: the place in its classes, or the last number for all others; -100 stays.

    >>> special_labels(torch.tensor([3, 0, 5, -100]), classes=(5, 3))
    tensor([   1,    2,    0, -100])
    """
    found = torch.full_like(labels, len(classes))
    for place, name in enumerate(classes):
        found = torch.where(labels == name, place, found)
    return torch.where(labels == -100, labels, found)


def believed_in(logits: Float[Tensor, "n classes"], *, classes: tuple[int, ...]) -> Bool[Tensor, "n"]:
    """Whether the most probable class is among `classes`: where a specialist is asked.

    >>> believed_in(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), classes=(1,))
    tensor([ True, False])
    """
    return torch.isin(logits.argmax(-1), torch.tensor(classes, device=logits.device))


def is_right(labels: Int[Tensor, "n"], logits: Float[Tensor, "n classes"]) -> Bool[Tensor, "n"]:
    """Whether the most probable class is the label; never for unknown labels (-100).

    >>> is_right(torch.tensor([1, 0, -100]), torch.tensor([[0.0, 1.0]] * 3))
    tensor([ True, False, False])
    """
    return logits.argmax(-1) == labels
