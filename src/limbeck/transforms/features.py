"""Pure functions between a tap and a loss: what is compared, brought to the form in which it is compared.

Letters: n samples, c channels, h × w positions, d features, C classes, k peers. Half inputs become float32.
"""
# ruff: noqa: F722, F821

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.transforms.facts import transform
from limbeck.transforms.numerics import mean_square, product, root, rows, same_samples, unit, upcast


def flatten(features: Float[Tensor, "n *d"]) -> Float[Tensor, "n m"]:
    """One row per sample: (n, c, h, w) -> (n, c·h·w).

    >>> flatten(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 48])
    """
    return rows(features)


def normalise(features: Float[Tensor, "*n d"], *, dim: int = -1) -> Float[Tensor, "*n d"]:
    """Scaled to length 1 along `dim`: x / max(‖x‖, 1e-12).

    >>> normalise(torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """
    return unit(upcast(features), dim)


def standardise(logits: Float[Tensor, "*n classes"]) -> Float[Tensor, "*n classes"]:
    """Logit standardisation: (z − mean z) / (std z + 1e-7) over the classes, std with divisor C − 1.

    The authors' code uses torch's default (unbiased) std. Sun et al. 2024, https://arxiv.org/abs/2403.01427.

    >>> standardise(torch.tensor([1.0, 2.0, 3.0])).round(decimals=4)
    tensor([-1.,  0.,  1.])
    """
    logits = upcast(logits)
    centred = logits - logits.mean(-1, keepdim=True)
    return centred / (root(centred.square().sum(-1, keepdim=True) / (logits.shape[-1] - 1)) + 1e-7)


@transform(knowledge="soft labels")
def probabilities(logits: Float[Tensor, "*n classes"], *, temperature: float = 1.0) -> Float[Tensor, "*n classes"]:
    """softmax(z / T) over the last dimension; temperature T > 0.

    >>> probabilities(torch.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])
    """
    return (upcast(logits) / temperature).softmax(-1)


def tempered(logits: Float[Tensor, "*n classes"], *, temperature: float) -> Float[Tensor, "*n classes"]:
    """z / T, for losses that take no temperature of their own; temperature T > 0.

    >>> tempered(torch.tensor([4.0, 2.0]), temperature=4.0)
    tensor([1.0000, 0.5000])
    """
    return upcast(logits) / temperature


@transform(knowledge="attention maps")
def attention_map(features: Float[Tensor, "n c h w"], *, power: float = 2.0) -> Float[Tensor, "n hw"]:
    """Where a layer looks: Q / ‖Q‖ with Q = mean over channels of |f|^p, flattened over space.

    power: p = 2 in the paper and code. Zagoruyko & Komodakis 2017, https://arxiv.org/abs/1612.03928.

    >>> attention_map(torch.tensor([[[[3.0, 0.0]], [[0.0, 4.0]]]]), power=1.0)
    tensor([[0.6000, 0.8000]])
    """
    features = upcast(features)
    energy = mean_square(features) if power == 2 else features.abs().pow(power).mean(1)
    return unit(energy.flatten(1))


@transform(knowledge="relations of samples", batchwise=True)
def gram(features: Float[Tensor, "n *d"]) -> Float[Tensor, "n n"]:
    """Inner products between samples: G_ij = ⟨x_i, x_j⟩ of the flattened rows.

    >>> gram(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    tensor([[5., 2.],
            [2., 1.]])
    """
    return product(rows(features), rows(features).T)


def pool_to(
    features: Float[Tensor, "n c h w"], size: tuple[int, int], *, by: Callable[..., Tensor] = F.adaptive_avg_pool2d
) -> Float[Tensor, "n c height width"]:
    """Pooled to `size` = (height, width); by: `F.adaptive_avg_pool2d` or `F.adaptive_max_pool2d`.

    >>> pool_to(torch.tensor([[[[1.0, 3.0]]]]), (1, 1))
    tensor([[[[2.]]]])
    """
    return by(upcast(features), size)


def match_spatial(first: Tensor, second: Tensor, *, by: Callable[..., Tensor] = F.adaptive_avg_pool2d) -> tuple[Tensor, Tensor]:
    """Both maps at the smaller height and width of the two, pooled by `by`; equal sizes are left alone.

    >>> [x.shape[-1] for x in match_spatial(torch.zeros(1, 2, 8, 8), torch.zeros(1, 3, 4, 4))]
    [4, 4]
    """
    size = (min(first.shape[-2], second.shape[-2]), min(first.shape[-1], second.shape[-1]))
    first, second = (x if x.shape[-2:] == size else pool_to(x, size, by=by) for x in (first, second))
    return first, second


def flow_matrix(
    first: Float[Tensor, "n c1 h w"], second: Float[Tensor, "n c2 h w"], *, by: Callable[..., Tensor] = F.adaptive_avg_pool2d
) -> Float[Tensor, "n c1 c2"]:
    """Flow of the solution procedure: G_ij = Σ_xy F¹_ixy F²_jxy / (h·w), the larger map pooled first.

    by: average pooling as in the code; the paper max-pools. Yim et al. 2017 (FSP), CVPR.

    >>> flow_matrix(torch.ones(1, 1, 2, 2), torch.full((1, 2, 2, 2), 3.0))
    tensor([[[3., 3.]]])
    """
    same_samples("flow_matrix", first, second)
    first, second = (upcast(x).flatten(2) for x in match_spatial(first, second, by=by))
    return product(first, second.mT) / first.shape[-1]


@transform(knowledge="relations of samples", batchwise=True)
def pairwise_distances(features: Float[Tensor, "n *d"], *, squared: bool = False) -> Float[Tensor, "n n"]:
    """Euclidean distances between samples, D_ij = ‖x_i − x_j‖ (or its square); gradient 0 at equal points.

    >>> pairwise_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    tensor([[0., 5.],
            [5., 0.]])
    """
    points = rows(features)
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")  # exact, without an n²·d tensor
    return distances.square() if squared else distances


@transform(knowledge="relations of samples", batchwise=True)
def angles(features: Float[Tensor, "n *d"], at: Int[Tensor, "m"] | None = None) -> Float[Tensor, "m n n"]:
    """cos of the angle at sample i between samples j and k: A_ijk = ⟨e_ij, e_ik⟩, e_ij = (x_j − x_i)/‖x_j − x_i‖.

    at: numbers of the samples i that are wanted, None for all n. Triples with equal points give 0. Park et al. 2019 (RKD), https://arxiv.org/abs/1904.05068.

    >>> angles(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])).round(decimals=4)[0, 1]
    tensor([0.0000, 1.0000, 0.7071])
    """
    points = rows(features)
    anchors = points if at is None else points[at]
    directions = unit(points.unsqueeze(0) - anchors.unsqueeze(1))
    return product(directions, directions.mT)


@transform(knowledge="relations of classes")
def class_similarity(weights: Float[Tensor, "classes d"]) -> Float[Tensor, "classes classes"]:
    """Cosines between class weights, each row scaled to [0, 1]: (C_ij − min_j) / (max_j − min_j).

    weights: those of the teacher's last layer. Nayak et al. 2019 (zero-shot KD), https://arxiv.org/abs/1905.08114.

    >>> class_similarity(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))[0]
    tensor([1.0000, 0.5000, 0.0000])
    """
    cosines = gram(normalise(weights))
    low, high = cosines.amin(-1, keepdim=True), cosines.amax(-1, keepdim=True)
    return (cosines - low) / (high - low).clamp_min(1e-12)


@transform(knowledge="hard labels")
def hard_labels(logits: Float[Tensor, "*n classes"]) -> Int[Tensor, "*n"]:
    """The class with the largest logit (the first of equals).

    >>> hard_labels(torch.tensor([[0.1, 2.0]]))
    tensor([1])
    """
    return logits.argmax(-1)


def permute_non_target(
    logits: Float[Tensor, "*n classes"], generator: torch.Generator | None = None
) -> Float[Tensor, "*n classes"]:
    """The largest logit stays in place, the others are shuffled per sample (born-again networks' DKPP).

    generator: draws the permutation; None uses torch's global one. Furlanello et al. 2018.

    >>> permute_non_target(torch.tensor([[5.0, 1.0, 1.0]]))
    tensor([[5., 1., 1.]])
    """
    logits = upcast(logits)
    device = logits.device if generator is None else generator.device
    noise = torch.rand(logits.shape, generator=generator, device=device).to(logits.device)
    top = logits.argmax(-1, keepdim=True)
    drawn = noise.scatter(-1, top, 2.0).argsort(-1)[..., :-1]
    places = torch.arange(logits.shape[-1], device=logits.device).expand(logits.shape).scatter(-1, top, logits.shape[-1])
    places = drawn.sort(-1).values
    return logits.scatter(-1, places, logits.gather(-1, drawn))


def smoothed(labels: Int[Tensor, "*n"], classes: int, *, amount: float = 0.1) -> Float[Tensor, "*n classes"]:
    """Label-smoothed targets: (1 − ε) onehot(y) + ε / C. amount: ε, 0.1 as in Szegedy et al. 2016.

    >>> smoothed(torch.tensor([1]), 2)
    tensor([[0.0500, 0.9500]])
    """
    return (1 - amount) * F.one_hot(labels, classes).float() + amount / classes


def top_k_with_tail(
    logits: Float[Tensor, "*n classes"], k: int, *, temperature: float = 1.0
) -> tuple[Int[Tensor, "*n k"], Float[Tensor, "*n k"], Float[Tensor, "*n"]]:
    """The k most probable classes, their probabilities, and the mass left over: (indices, probabilities, tail).

    Indices and probabilities are what `top_k_kl` takes. Keeping the tail makes a match a stationary point.

    >>> top_k_with_tail(torch.tensor([0.5, 0.2, 0.3]).log(), 2)
    (tensor([0, 2]), tensor([0.5000, 0.3000]), tensor(0.2000))
    """
    top, indices = probabilities(logits, temperature=temperature).topk(k, dim=-1)
    return indices, top, (1 - top.sum(-1)).clamp_min(0.0)


@transform(knowledge="relations of samples", batchwise=True)
def voted_order(*features: Float[Tensor, "n *d"]) -> Float[Tensor, "n n n"]:
    """How teachers order distances, by majority: O_ijk = sign Σ_m sign(D^m_ik − D^m_ij), +1 if j is nearer to i than k.

    You et al. 2017 (learning from multiple teacher networks), KDD. 0 is a tie.

    >>> voted_order(torch.tensor([[0.0], [1.0], [3.0]]))[0]
    tensor([[ 0.,  1.,  1.],
            [-1.,  0.,  1.],
            [-1., -1.,  0.]])
    """
    distances = [pairwise_distances(x) for x in features]
    return torch.stack([(d.unsqueeze(1) - d.unsqueeze(2)).sign() for d in distances]).sum(0).sign()
