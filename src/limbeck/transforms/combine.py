"""Several tensors made into what is taught: the answers of a group as one target, two layers as a pair.

Letters: n samples, C classes, k peers, c channels, h x w positions. Nothing is detached.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.transforms.facts import transform
from limbeck.transforms.features import match_spatial
from limbeck.transforms.numerics import upcast


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


def as_places(features: Float[Tensor, "n *d"]) -> Float[Tensor, "n *d"]:
    """Maps (n, c, h, w) with the channels last, as `places`; tokens (n, t, d) as they are.

    >>> as_places(torch.zeros(1, 5, 2, 3)).shape, as_places(torch.zeros(1, 7, 5)).shape
    (torch.Size([1, 2, 3, 5]), torch.Size([1, 7, 5]))
    """
    return places(features) if features.dim() == 4 else features


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


@transform(batchwise=True)
def within_one(features: Float[Tensor, "n *d"]) -> Float[Tensor, "n *d"]:
    """Samples scaled so that the two of the batch that lie farthest apart are 1 apart; the scale takes no gradient (IRG's code).

    >>> within_one(torch.tensor([[0.0], [1.0], [4.0]])).flatten()
    tensor([0.0000, 0.2500, 1.0000])
    """
    x = upcast(features)
    return x / _or_one(torch.cdist(x.detach().flatten(1), x.detach().flatten(1)).max())


@transform(batchwise=True)
def ways_within_one(first: Float[Tensor, "n *d"], second: Float[Tensor, "n *d"]) -> tuple[Tensor, Tensor]:
    """Two layers of one shape, scaled so that the sample that travels farthest between them travels 1; likewise constant.

    >>> ways_within_one(torch.zeros(2, 1), torch.tensor([[2.0], [-4.0]]))[1].flatten()
    tensor([ 0.5000, -1.0000])
    """
    first, second = upcast(first), upcast(second)
    farthest = _or_one((first - second).detach().flatten(1).norm(dim=1).max())
    return first / farthest, second / farthest


def _or_one(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))


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
    """What attention weighs by, before its softmax: Q K' / sqrt(d / heads) of each head; 0 to places without a word.

    >>> ones = torch.ones(1, 2, 4)
    >>> attention_scores(ones, ones, torch.tensor([[5.0, 0.0]]), heads=1)
    tensor([[[[2., 0.],
              [2., 0.]]]])
    """
    q, k = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key))
    there = (inputs != 0).to(q.dtype)
    return q @ k.transpose(2, 3) / q.shape[-1] ** 0.5 * there[:, None, None, :]
