"""Contrastive losses: a sample's two embeddings find each other among the others'."""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float
from torch import Tensor

from limbeck.losses.traits import loss
from limbeck.transforms.numerics import pair, product, rows, unit, upcast


@loss(
    family="contrast",
    knowledge=None,
    over="values",
    batchwise=True,
    minimum=None,
    source="van den Oord et al. 2018 (CPC), https://arxiv.org/abs/1807.03748",
)
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


@loss(
    family="contrast",
    knowledge=None,
    over="values",
    batchwise=True,
    minimum=None,
    symmetric=True,
    source="Chen et al. 2020 (SimCLR), https://arxiv.org/abs/2002.05709",
)
def nt_xent(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"], *, temperature: float = 0.1) -> Float[Tensor, "n"]:
    """Two views of a sample find each other among all 2n − 1 other views; the mean of both directions.

    −log exp(⟨a_i, b_i⟩/T) / Σ over all views but itself, embeddings scaled to length 1. student, teacher: the two views'
    embeddings, equal shapes; nothing is a mentor here. temperature: T > 0, the paper's 0.1. Never 0.
    Raises `UserError` on unequal shapes. Chen et al. 2020, https://arxiv.org/abs/2002.05709.

    >>> nt_xent(torch.ones(2, 3), torch.ones(2, 3))
    tensor([1.0986, 1.0986])
    """
    student, teacher = pair("nt_xent", student, teacher)
    every = unit(torch.cat([rows(student), rows(teacher)]))
    logits = product(every, every.T) / temperature
    itself = torch.eye(len(every), dtype=torch.bool, device=every.device)
    log_p = logits.masked_fill(itself, -torch.inf).log_softmax(-1)
    n = len(student)
    return -(log_p[:n, n:].diagonal() + log_p[n:, :n].diagonal()) / 2


@loss(
    family="contrast",
    knowledge=None,
    over="values",
    minimum=None,
    source="Tian et al. 2020 (CRD), https://arxiv.org/abs/1910.10699; code HobbitLong/RepDistiller criterion.py",
)
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
