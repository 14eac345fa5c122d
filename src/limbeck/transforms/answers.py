"""Several answers to the same samples made into one: means, mixtures, the best of them.

Letters: n samples, C classes; answers are logits unless it says otherwise.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError, need_same_shape
from limbeck.transforms.facts import transform
from limbeck.transforms.features import probabilities
from limbeck.transforms.numerics import product, upcast


def _stacked(who: str, tensors: tuple[Tensor, ...]) -> Tensor:
    if not tensors:
        raise UserError(f"{who}: nothing was given; pass at least one tensor")
    for other in tensors[1:]:
        need_same_shape(who, tensors[0], other)
    return torch.stack([upcast(x) for x in tensors])


def least_logits(labels: Int[Tensor, "n"], *peers: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
    """KDCL-MinLogit: per class the smallest over the peers of z - z_y, which makes the target's lead largest.

    Guo et al. 2020 (KDCL), CVPR. Raises `UserError` without peers or on unequal shapes.

    >>> least_logits(torch.tensor([0]), torch.tensor([[1.0, 0.0, 3.0]]), torch.tensor([[2.0, 4.0, 0.0]]))
    tensor([[ 0., -1., -2.]])
    """
    stacked = _stacked("least_logits", peers)
    own = stacked.gather(-1, labels.expand(stacked.shape[:-1]).unsqueeze(-1))
    return (stacked - own).amin(0)


def convex_logits(labels: Int[Tensor, "n"], *peers: Float[Tensor, "n classes"], steps: int = 50) -> Float[Tensor, "n classes"]:
    """KDCL-Linear: per sample the convex combination of the peers' logits with the lowest cross-entropy.

    z = sum_k a_k z_k, a = argmin CE(y, softmax z) over a >= 0, sum a = 1. Convex; solved by exponentiated gradient
    with a step size that grows on success and halves on failure. One `a` per sample is the literal reading of the
    paper, whose formula names one z and one y. Guo et al. 2020 (KDCL), CVPR.

    >>> convex_logits(torch.tensor([0]), torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 0.0]])).round(decimals=3)
    tensor([[3., 0.]])
    """
    stacked = _stacked("convex_logits", peers)
    fixed = stacked.detach().transpose(0, 1)
    hot = F.one_hot(labels, fixed.shape[-1])
    shares = fixed.new_full(fixed.shape[:2], 1 / len(peers))
    rate = torch.ones_like(shares[:, :1])
    value = _combined_loss(shares, fixed, hot)
    for _ in range(steps):
        mixed = (shares.unsqueeze(-1) * fixed).sum(1)
        slope = (fixed * (mixed.softmax(-1) - hot).unsqueeze(1)).sum(-1)
        tried = (shares.clamp_min(1e-30).log() - rate * slope).softmax(-1)
        after = _combined_loss(tried, fixed, hot)
        better = after <= value
        shares, value = torch.where(better, tried, shares), torch.where(better, after, value)
        rate = torch.where(better, 1.5 * rate, rate / 2).clamp(1e-6, 1e6)
    return (shares.T.unsqueeze(-1) * stacked).sum(0)


def _combined_loss(shares: Tensor, logits: Tensor, hot: Tensor) -> Tensor:
    mixed = (shares.unsqueeze(-1) * logits).sum(1)
    return -(mixed.log_softmax(-1) * hot).sum(-1, keepdim=True)


def mean_probabilities(*logits: Float[Tensor, "n classes"], temperature: float = 1.0) -> Float[Tensor, "n classes"]:
    """The mean over models of softmax(z_k / T).

    >>> mean_probabilities(torch.tensor([[0.0, 0.0]]), torch.tensor([[90.0, 0.0]]))
    tensor([[0.7500, 0.2500]])
    """
    return probabilities(_stacked("mean_probabilities", logits), temperature=temperature).mean(0)


def peer_target(
    projected: tuple[Tensor, Tensor], *logits: Float[Tensor, "n classes"], peer: int, temperature: float = 3.0
) -> Float[Tensor, "n classes"]:
    """OKDDip's probabilities for peer number `peer`, from the queries and keys of `PeerAttention` and all logits."""
    queries, keys = projected
    return attended_target(queries[peer], keys, torch.stack(logits), temperature=temperature)


def peer_logits(projected: tuple[Tensor, Tensor], *logits: Float[Tensor, "n classes"], peer: int) -> Float[Tensor, "n classes"]:
    """The same attention on logits instead of probabilities, as in OKDDip's code: sum_b a_b z_b.

    >>> queries, keys = torch.zeros(2, 1, 1), torch.ones(2, 1, 1)
    >>> peer_logits((queries, keys), torch.tensor([[0.0, 4.0]]), torch.tensor([[4.0, 0.0]]), peer=0)
    tensor([[2., 2.]])
    """
    queries, keys = projected
    attention = (upcast(queries[peer]).unsqueeze(0) * upcast(keys)).sum(-1).softmax(0)
    return (attention.unsqueeze(-1) * _stacked("peer_logits", logits)).sum(0)


def trusted_mean(
    labels: Int[Tensor, "n"], *logits: Float[Tensor, "n classes"], temperature: float = 4.0
) -> Float[Tensor, "n classes"]:
    """sum_k w_k softmax(z_k / T), each teacher weighed by how well it does on the sample (CA-MKD).

    w_k = (1 - exp(CE_k) / sum_j exp(CE_j)) / (K - 1), CE_k = -log softmax(z_k)_y. Zhang, Chen & Wang 2022, arXiv 2201.00007.

    >>> trusted_mean(torch.tensor([0]), torch.tensor([[99.0, 0.0]]), torch.tensor([[0.0, 0.0]]), temperature=1.0)
    tensor([[0.8333, 0.1667]])
    """
    stacked = _stacked("trusted_mean", logits)
    if len(stacked) < 2:
        raise UserError("trusted_mean weighs teachers against one another: give at least two")
    hard = -stacked.log_softmax(-1).gather(-1, labels.expand(stacked.shape[:-1]).unsqueeze(-1))
    shares = (1 - hard.softmax(0)) / (len(stacked) - 1)
    return (shares * probabilities(stacked, temperature=temperature)).sum(0)


def interpolated(
    first: Float[Tensor, "*n classes"], second: Float[Tensor, "*n classes"], share: Float[Tensor, ""]
) -> Float[Tensor, "*n classes"]:
    """Logits on the way from one answer to another: (1 - t) z_first + t z_second. share: t, the second's.

    Raises `UserError` on unequal shapes.

    >>> interpolated(torch.tensor([[0.0, 4.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor(0.25))
    tensor([[0.5000, 3.0000]])
    """
    need_same_shape("interpolated", first, second)
    return (1 - share) * upcast(first) + share * upcast(second)


def mean_of(*tensors: Tensor) -> Tensor:
    """The element-wise mean of tensors of one shape: several teachers as one. Raises `UserError` otherwise.

    >>> mean_of(torch.tensor([1.0]), torch.tensor([3.0]))
    tensor([2.])
    """
    return _stacked("mean_of", tensors).mean(0)


def lowest_loss_logits(labels: Int[Tensor, "n"], *peers: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
    """KDCL-Naive: the logits of the peer with the lowest mean cross-entropy on this batch.

    Guo et al. 2020 (KDCL), CVPR. Nothing is detached. Raises `UserError` without peers or on unequal shapes.

    >>> lowest_loss_logits(torch.tensor([0]), torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([[3., 0.]])
    """
    stacked = _stacked("lowest_loss_logits", peers)
    hard = stacked.log_softmax(-1).gather(-1, labels.expand(stacked.shape[:-1]).unsqueeze(-1)).mean((1, 2))
    return stacked[hard.argmax()]


@transform(batchwise=True)
def covariance_weights(labels: Int[Tensor, "n"], *peers: Float[Tensor, "n classes"]) -> Float[Tensor, "k"]:
    """KDCL-General: w = C⁻¹1 / (1ᵀC⁻¹1) with C_ab = mean_n ⟨p_a − 1_y, p_b − 1_y⟩, which minimises wᵀCw.

    Errors are taken on probabilities: the paper's formula writes f, so this is a reading. A near-singular
    C gets a ridge of √eps times its mean diagonal, so equal peers share evenly. Weights may be negative.

    >>> covariance_weights(torch.tensor([0, 1]), torch.zeros(2, 2), torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([-0.3130,  1.3130])
    """
    stacked = _stacked("covariance_weights", peers)
    errors = (stacked.softmax(-1) - F.one_hot(labels, stacked.shape[-1])).flatten(1)
    covariance = product(errors, errors.T) / labels.shape[0]
    tiny = torch.finfo(covariance.dtype).eps ** 0.5
    ridge = tiny * torch.diag_embed(covariance.diagonal().mean().clamp_min(1e-12).expand(len(peers)))
    regular = torch.linalg.cond(covariance) < 1 / tiny
    weights = torch.linalg.solve(covariance + ridge * ~regular, torch.ones_like(covariance[0]))
    return weights / weights.sum()


def weighted_logits(weights: Float[Tensor, "k"], *peers: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
    """Σ_k w_k z_k: the target of KDCL-General, or any weighted ensemble of logits.

    >>> weighted_logits(torch.tensor([0.25, 0.75]), torch.tensor([[0.0, 4.0]]), torch.tensor([[4.0, 0.0]]))
    tensor([[3., 1.]])
    """
    stacked = _stacked("weighted_logits", peers)
    return (upcast(weights).reshape(-1, *[1] * (stacked.ndim - 1)) * stacked).sum(0)


def attended_target(
    query: Float[Tensor, "n d"], keys: Float[Tensor, "k n d"], logits: Float[Tensor, "k n classes"], *, temperature: float = 3.0
) -> Float[Tensor, "n classes"]:
    """OKDDip's target for one peer: t = Σ_b α_b softmax(z_b/T), α = softmax_b ⟨query, key_b⟩.

    query: L h_a of the peer; keys: E h_b of all peers (itself too); logits: theirs. temperature: T = 3 in the
    paper. Gives probabilities; nothing is detached. Chen et al. 2020, https://arxiv.org/abs/1912.00350.

    >>> attended_target(torch.zeros(1, 2), torch.ones(2, 1, 2), torch.tensor([[[0.0, 0.0]], [[90.0, 0.0]]]), temperature=1.0)
    tensor([[0.7500, 0.2500]])
    """
    attention = (upcast(query).unsqueeze(0) * upcast(keys)).sum(-1).softmax(0)
    return (attention.unsqueeze(-1) * probabilities(logits, temperature=temperature)).sum(0)
