"""Contrastive losses: a sample's two embeddings find each other among the others'."""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float
from torch import Tensor

from limbeck.losses.traits import loss
from limbeck.numerics import pair, product, rows, unit, upcast


@loss(batchwise=True, minimum=None, source="van den Oord et al. 2018 (CPC), https://arxiv.org/abs/1807.03748")
def info_nce(
    student: Float[Tensor, "n *d"],
    teacher: Float[Tensor, "n *d"],
    negatives: Float[Tensor, "k d"] | None = None,
    *,
    temperature: float = 0.07,
) -> Float[Tensor, "n"]:
    """Find one's own teacher: −log softmax_j(⟨s_i, t_j⟩/T) at j = i, embeddings scaled to length 1.

    The other samples' teachers, and the rows of `negatives` (a memory), are what it must not choose.
    student, teacher: equal shapes. temperature: T > 0, MoCo's and CRD's 0.07. At most log(n + k) at equal
    similarities, never 0. Raises `UserError` on unequal shapes. https://arxiv.org/abs/1807.03748.

    >>> info_nce(torch.eye(2), torch.ones(2, 2))
    tensor([0.6931, 0.6931])
    """
    student, teacher = pair("info_nce", student, teacher)
    keys = rows(teacher) if negatives is None else torch.cat([rows(teacher), rows(negatives).to(teacher.dtype)])
    logits = product(unit(rows(student)), unit(keys).T) / temperature
    return -logits.log_softmax(-1).diagonal()


@loss(minimum=None, source="Tian et al. 2020 (CRD), https://arxiv.org/abs/1910.10699; code HobbitLong/RepDistiller criterion.py")
def noise_contrast(score: Float[Tensor, "n k"], *, samples: int) -> Float[Tensor, "n"]:
    """Tell one's own sample from k − 1 others: −log s_0/(s_0 + m/M) − Σ_j log (m/M)/(s_j + m/M), m = k − 1.

    score: normalised scores > 0, a sample's own first (those of `connectors.ContrastMemory`). samples: M, how many the
    others are drawn from, evenly. Never 0. The code adds 1e-7 to the denominators.

    >>> noise_contrast(torch.tensor([[1.0, 1.0]]), samples=1)
    tensor([1.3863])
    """
    score = upcast(score)
    noise = (score.shape[1] - 1) / samples
    own, others = score[:, 0], score[:, 1:]
    return torch.log1p(noise / own) + torch.log1p(others / noise).sum(1)
