"""How alike two models' embeddings of the same samples are, and how well classes can be read from an embedding.

Nothing here but `mean_cosine` needs embeddings of one width. Letters: n samples, m samples with known classes, d features,
C classes, k neighbours.
"""
# ruff: noqa: F722, F821

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import special  # not scipy.stats, which takes a second to load
from torch import Tensor

AT_MOST = 2000  # samples whose pairs are compared
GROUPS, FEWEST = 20, 10  # of samples, for an interval; samples in one
SHARPNESS = 0.07  # of the neighbours' votes: exp(similarity / 0.07), Wu et al. 2018


def spread(count: int, most: int = AT_MOST) -> Tensor:
    """Up to `most` row numbers at equal distances, or all.

    >>> spread(5, 3)
    tensor([0, 2, 4])
    """
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def similarities(embeddings: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """Cosines of all pairs, in float64; 0 with an embedding that is zero."""
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1)
    return unit @ unit.T


def mean_cosine(first: Float[Tensor, "n d"], second: Float[Tensor, "n d"]) -> float:
    """Mean over samples of the cosine of their two embeddings, -1 .. 1.

    >>> mean_cosine(torch.eye(2), torch.tensor([[2.0, 0.0], [1.0, 0.0]]))
    0.5
    """
    return float(torch.nn.functional.cosine_similarity(first.double(), second.double(), dim=1).mean())


def rank_correlation(first: Float[Tensor, "n d1"], second: Float[Tensor, "n d2"]) -> float:
    """Spearman's correlation of the cosines of all pairs i < j of samples, -1 .. 1; NaN where one side's are all alike.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    >>> round(rank_correlation(x, 3 * x), 6)
    1.0
    """
    from scipy.stats import rankdata

    above = np.triu_indices(len(first), 1)
    ranks = [rankdata(similarities(x).numpy()[above].round(12)) for x in (first, second)]
    centred = [r - r.mean() for r in ranks]
    scale = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float((centred[0] * centred[1]).sum() / scale) if scale > 0 else float("nan")


def rank_interval(first: Float[Tensor, "n d1"], second: Float[Tensor, "n d2"]) -> tuple[float, float] | None:
    """95 % interval of `rank_correlation`: it within each of up to 20 disjoint groups of samples, whose mean has the standard
    error s / sqrt(groups), by Student's t; None of fewer than 30 samples."""
    groups = min(GROUPS, len(first) // FEWEST)
    if groups < 3:
        return None
    found = np.array([rank_correlation(first[g::groups], second[g::groups]) for g in range(groups)])
    half = float(special.stdtrit(groups - 1, 0.975) * found.std(ddof=1) / np.sqrt(groups))
    whole = rank_correlation(first, second)
    return whole - half, whole + half


def neighbour_agreement(first: Float[Tensor, "n d1"], second: Float[Tensor, "n d2"], *, neighbours: int = 10) -> float:
    """Mean over samples of the share of their k nearest others by cosine that both embeddings have in common, 0 .. 1.

    About k / (n - 1) by chance. Mutual k-nearest neighbours: Huh et al. 2024, https://arxiv.org/abs/2405.07987.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> neighbour_agreement(x, x @ torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), neighbours=1)
    1.0
    """
    k = min(neighbours, len(first) - 1)
    if k < 1:
        return float("nan")
    near = [nearest(x, k) for x in (first, second)]
    return float((near[0].unsqueeze(2) == near[1].unsqueeze(1)).any(2).double().mean())


def nearest(embeddings: Float[Tensor, "n d"], neighbours: int) -> Int[Tensor, "n k"]:
    """The rows of each sample's k nearest others by cosine."""
    return similarities(embeddings).fill_diagonal_(-torch.inf).topk(neighbours, dim=1).indices


def linear_cka(first: Float[Tensor, "n d1"], second: Float[Tensor, "n d2"]) -> float:
    """Linear centred kernel alignment, 0 .. 1: |Y'X|^2 / (|X'X| |Y'Y|) of column-centred X, Y, Frobenius norms.

    1 for embeddings that a rotation and a scaling make equal; NaN where one side is constant. Kornblith et al. 2019,
    https://arxiv.org/abs/1905.00414.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    >>> round(linear_cka(x, -3 * x), 6)
    1.0
    """
    x, y = (each.double() - each.double().mean(0) for each in (first, second))
    scale = (x.T @ x).norm() * (y.T @ y).norm()
    return float((y.T @ x).norm() ** 2 / scale) if scale > 0 else float("nan")


def neighbour_classes(
    known: Float[Tensor, "m d"], classes: Int[Tensor, "m"], asked: Float[Tensor, "n d"], *, neighbours: int = 10
) -> Int[Tensor, "n"]:
    """The class that the k nearest known samples vote for, each with the weight exp(cosine / 0.07).

    Weighted k-nearest neighbours: Wu et al. 2018, https://arxiv.org/abs/1805.01978.

    >>> neighbour_classes(torch.eye(2), torch.tensor([5, 7]), torch.tensor([[0.2, 0.9]]), neighbours=1)
    tensor([7])
    """
    side, names = torch.nn.functional.normalize(known.double(), dim=1), classes.unique()
    hot = (classes.unsqueeze(1) == names).double()
    found = []
    for part in torch.nn.functional.normalize(asked.double(), dim=1).split(1000):
        value, row = (part @ side.T).topk(min(neighbours, len(side)), dim=1)
        votes = ((value - value[:, :1]) / SHARPNESS).exp().unsqueeze(2) * hot[row]
        found.append(names[votes.sum(1).argmax(1)])
    return torch.cat(found)


def probe_classes(known: Float[Tensor, "m d"], classes: Int[Tensor, "m"], asked: Float[Tensor, "n d"]) -> Int[Tensor, "n"]:
    """What a linear probe answers: multinomial logistic regression with an L2 penalty (C = 1), fitted on the known samples.

    Features are centred and scaled by the known samples' standard deviations first. Alain & Bengio 2016,
    https://arxiv.org/abs/1610.01644.

    >>> probe_classes(torch.eye(2), torch.tensor([5, 7]), torch.tensor([[0.2, 0.9]]))
    tensor([7])
    """
    from sklearn.linear_model import LogisticRegression

    mean, std = known.double().mean(0), known.double().std(0, correction=0)
    std = torch.where(std > 1e-9, std, 1.0)
    ready = [((x.double() - mean) / std).numpy() for x in (known, asked)]
    fitted = LogisticRegression(max_iter=2000, tol=1e-3).fit(ready[0], classes.numpy())
    return torch.from_numpy(fitted.predict(ready[1]))
