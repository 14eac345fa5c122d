"""Several tensors made into what is taught: the answers of a group as one target, two layers as a pair.

Letters: n samples, C classes, k peers, c channels, h x w positions. Nothing is detached.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError, need_same_shape
from limbeck.transforms.facts import transform
from limbeck.transforms.features import attended_target, match_spatial, probabilities
from limbeck.transforms.numerics import upcast


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


def pooled(features: Float[Tensor, "n c *hw"]) -> Float[Tensor, "n c"]:
    """The mean over all positions of a map; embeddings stay as they are.

    >>> pooled(torch.tensor([[[[1.0, 3.0]]]]))
    tensor([[2.]])
    """
    return upcast(features).flatten(2).mean(2) if features.dim() > 2 else upcast(features)


def places(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w c"]:
    """The channels last: one vector for each place, as losses per place want it.

    >>> places(torch.zeros(1, 5, 2, 3)).shape
    torch.Size([1, 2, 3, 5])
    """
    return features.permute(0, 2, 3, 1)


def strongest(features: Float[Tensor, "n c h w"], *, size: tuple[int, int]) -> Float[Tensor, "n c height width"]:
    """The largest value of every channel in each of `size` = (height, width) equal regions.

    >>> strongest(torch.tensor([[[[1.0, 3.0]]]]), size=(1, 1))
    tensor([[[[3.]]]])
    """
    return F.adaptive_max_pool2d(upcast(features), size)


@transform(batchwise=True)
def batch_normalised(features: Float[Tensor, "n *d"], *, eps: float = 1e-4) -> Float[Tensor, "n *d"]:
    """Each feature with mean 0 and variance 1 over the batch (batch-norm without scale and shift; divisor n).

    eps: 1e-4, as in SRD. Miles & Mikolajczyk 2024, https://arxiv.org/abs/2303.11098.

    >>> batch_normalised(torch.tensor([[1.0], [3.0]]), eps=0.0).flatten()
    tensor([-1.,  1.])
    """
    features = upcast(features)
    variance, mean = torch.var_mean(features, 0, correction=0, keepdim=True)
    return (features - mean) / (variance + eps).sqrt()


@transform(knowledge="relations of classes")
def class_costs(weight: Float[Tensor, "classes d"], *, sharpen: float = 0.0) -> Float[Tensor, "classes classes"]:
    """How far classes lie apart by a classifier's weights: 1 - cos(w_i, w_j), or 1 - exp(-sharpen (1 - cos)) (WKD-L).

    Lv, Yang & Li 2024, https://arxiv.org/abs/2412.08139, authors' code with its choice "fc".

    >>> class_costs(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    directions = F.normalize(upcast(weight), dim=1)
    far = 1 - directions @ directions.T
    return 1 - torch.exp(-sharpen * far) if sharpen else far


def aligned(first: Float[Tensor, "n c1 h1 w1"], second: Float[Tensor, "n c2 h2 w2"]) -> tuple[Tensor, Tensor]:
    """Two layers of one network in one shape: the larger map average-pooled, the wider one's channels averaged in
    neighbouring groups. Raises `UserError` if the wider one's channels are no multiple of the other's.

    >>> first, second = aligned(torch.ones(1, 1, 2, 2), torch.tensor([[[[2.0]], [[4.0]]]]))
    >>> first.flatten(), second.flatten()
    (tensor([1.]), tensor([3.]))
    """
    first, second = match_spatial(upcast(first), upcast(second))
    width = min(first.shape[1], second.shape[1])
    if first.shape[1] % width or second.shape[1] % width:
        raise UserError(
            f"aligned: {first.shape[1]} and {second.shape[1]} channels cannot be brought together by averaging groups; "
            "tap two layers of which one has a multiple of the other's channels"
        )
    first, second = (x.unflatten(1, (width, -1)).mean(2) for x in (first, second))
    return first, second


def layer_scores(features: dict[str, Tensor], labels: Int[Tensor, "n"]) -> dict[str, float]:
    """How little a layer tells that is its own (lower is better): the layer selection of Li et al. 2019 (LSL).

    score = mean cosine between the class means of the layer (its inter-class Gram matrix, off the diagonal)
          + mean cosine between its sample Gram matrix and those of the other layers (its row of the inter-layered one).
    The paper's two matrices in our reading: of its text only the abstract was at hand.

    >>> apart, same = torch.eye(2), torch.ones(2, 2)
    >>> {name: round(score, 4) for name, score in layer_scores({"a": apart, "b": same}, torch.tensor([0, 1])).items()}
    {'a': 0.7071, 'b': 1.7071}
    """
    points = {name: pooled(x) for name, x in features.items()}
    grams = torch.stack([F.normalize((x @ x.T).flatten(), dim=0) for x in points.values()])
    between = grams @ grams.T
    scores = {}
    for row, (name, x) in enumerate(points.items()):
        means = F.normalize(torch.stack([x[labels == c].mean(0) for c in labels.unique()]), dim=1)
        count, others = len(means), len(points) - 1
        within = ((means @ means.T).sum() - count) / max(count * (count - 1), 1)
        scores[name] = (within + (between[row].sum() - 1) / max(others, 1)).item()
    return scores


@transform(knowledge="relations of samples", batchwise=True)
def similarities(
    first: Float[Tensor, "n *d"], second: Float[Tensor, "m *d"], *, temperature: float = 1.0
) -> Float[Tensor, "n m"]:
    """cos(first_i, second_j) / T, as logits over the second's samples.

    >>> similarities(torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0]]), temperature=0.5)
    tensor([[2., 0.]])
    """
    first, second = (F.normalize(upcast(x).flatten(1), dim=1) for x in (first, second))
    return first @ second.T / temperature


@transform(knowledge="relations of channels")
def channel_relations(features: Float[Tensor, "n c *hw"]) -> Float[Tensor, "n c c"]:
    """Cosines between a sample's channels, each a vector over the positions.

    >>> channel_relations(torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]))
    tensor([[[1., 0.],
             [0., 1.]]])
    """
    rows = F.normalize(upcast(features).flatten(2), dim=2)
    return rows @ rows.mT


@transform(knowledge="relations of samples", batchwise=True)
def sample_relations(features: Float[Tensor, "n *d"]) -> Float[Tensor, "n n"]:
    """Cosines between the samples of a batch.

    >>> sample_relations(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return similarities(features, features)


@transform(knowledge="relations of samples")
def beside(features: Float[Tensor, "n d"], remembered: tuple[Tensor, Tensor]) -> Float[Tensor, "n k"]:
    """Cosines of each sample with its own entry (first) and with all others remembered: what `connectors.Queue` gives.

    >>> beside(torch.tensor([[2.0, 0.0]]), (torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])))
    tensor([[1., 0.]])
    """
    own, others = remembered
    directions = F.normalize(upcast(features), dim=1)
    return torch.cat([(directions * own).sum(1, keepdim=True), directions @ others.T], dim=1)


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


@transform(knowledge="hard labels", written=True)
def n_best_labels(listed: Float[Tensor, "n k t1"]) -> Int[Tensor, "n k t"]:
    """The targets of an n-best list (see `models.seq2seq.Search`) as labels: -100 behind the end.

    >>> n_best_labels(torch.tensor([[[-0.5, 7.0, 2.0, 0.0]]]))
    tensor([[[   7,    2, -100]]])
    """
    words = listed[..., 1:].long()
    return words.masked_fill(words == 0, -100)


@transform(written=True)
def n_best_shares(listed: Float[Tensor, "n k t1"], *, uniform: bool = False) -> Float[Tensor, "n k"]:
    """How much each target of an n-best list counts: its probability among those listed, or all alike.

    >>> n_best_shares(torch.tensor([[[0.0, 4.0], [0.0, 5.0]]]))
    tensor([[0.5000, 0.5000]])
    """
    scores = listed[..., 0]
    return torch.full_like(scores, 1 / scores.shape[1]) if uniform else scores.softmax(1)


def token_rows(hidden: Float[Tensor, "n t d"]) -> Float[Tensor, "nt d"]:
    """The features of all places of all samples, one below the other (see `masks.tokens`).

    >>> token_rows(torch.zeros(2, 3, 4)).shape
    torch.Size([6, 4])
    """
    return hidden.flatten(0, 1)


def attention_scores(
    query: Float[Tensor, "n t d"], key: Float[Tensor, "n t d"], inputs: Float[Tensor, "n t"], *, heads: int
) -> Float[Tensor, "n heads t t"]:
    """What attention weighs by, before its softmax: Q K' / sqrt(d / heads) of each head; 0 to and from places without a word.

    >>> ones = torch.ones(1, 2, 4)
    >>> attention_scores(ones, ones, torch.tensor([[5.0, 0.0]]), heads=1)
    tensor([[[[2., 0.],
              [0., 0.]]]])
    """
    q, k = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key))
    there = (inputs != 0).to(q.dtype)
    return q @ k.transpose(2, 3) / q.shape[-1] ** 0.5 * (there[:, None, :, None] * there[:, None, None, :])
