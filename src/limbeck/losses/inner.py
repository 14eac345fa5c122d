"""Losses on relations inside one sample: between its channels or its positions.

Letters: n samples, c channels, h × w positions; the side that is not compared may differ between networks.
"""
# ruff: noqa: F722, F821

import torch  # noqa: F401  doctests
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import pair, product, root, same_samples, unit, upcast


@loss(
    family="squares",
    knowledge="relations of channels",
    over="values",
    symmetric=True,
    source="Liu et al. 2021 (ICKD), ICCV; code torchdistill ChSimLoss",
)
def ickd(student: Float[Tensor, "n c *d1"], teacher: Float[Tensor, "n c *d2"]) -> Float[Tensor, "n"]:
    """Inter-channel correlation: (1/c) ‖G_s − G_t‖²_F, G the rows of F Fᵀ (c × c) scaled to length 1.

    torchdistill divides by n once more, so its batch loss shrinks with n: here it is a value per sample.
    student, teacher: equal channels; positions may differ. Raises `UserError` if n or c differ. Liu et al. 2021.

    >>> ickd(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([[[1.0], [1.0]]]))
    tensor([0.5858])
    """
    same_samples("ickd", student, teacher)
    flat = [upcast(x).flatten(2) for x in (student, teacher)]
    student, teacher = pair("ickd", *(unit(product(x, x.mT)) for x in flat))
    return (student - teacher).square().sum((1, 2)) / student.shape[1]


@loss(
    family="squares",
    knowledge="relations of positions",
    over="values",
    symmetric=True,
    source="He et al. 2019 (knowledge adaptation), CVPR",
)
def affinity(student: Float[Tensor, "n c1 h w"], teacher: Float[Tensor, "n c2 h w"]) -> Float[Tensor, "n"]:
    """Affinity of positions: mean over all pairs of (A_s − A_t)², A_ij = cos(F_i, F_j) of the positions' vectors.

    student, teacher: equal number of positions, channels may differ. Memory (h·w)². Raises `UserError` otherwise.
    The mean stands for the paper's 1/(h·w)². He et al. 2019, CVPR.

    >>> affinity(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]]), torch.tensor([[[[1.0, 1.0]]]]))
    tensor([0.5000])
    """
    same_samples("affinity", student, teacher)
    flat = [unit(upcast(x).flatten(2), dim=1) for x in (student, teacher)]
    student, teacher = pair("affinity", *(product(x.mT, x) for x in flat))
    return (student - teacher).square().mean((1, 2))


@loss(
    family="squares",
    knowledge="relations of channels",
    over="values",
    symmetric=True,
    source="Huang & Wang 2017 (NST), https://arxiv.org/abs/1707.01219",
)
def nst(student: Float[Tensor, "n c1 *d"], teacher: Float[Tensor, "n c2 *d"]) -> Float[Tensor, "n"]:
    """Neuron selectivity: squared MMD between the channels' unit maps with kernel k(x, y) = ⟨x, y⟩².

    mean_cc' k(t_c, t_c') + mean k(s_c, s_c') − 2 mean k(s_c, t_c'). student, teacher: equal positions, channels may differ.
    Raises `UserError` if n or positions differ.
    Huang & Wang 2017, https://arxiv.org/abs/1707.01219.

    >>> nst(torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]]))
    tensor([2.])
    """
    same_samples("nst", student, teacher)
    student, teacher = (unit(upcast(x).flatten(2)) for x in (student, teacher))
    pair("nst", student[:, 0], teacher[:, 0])

    def kernel(left: Tensor, right: Tensor) -> Tensor:
        return product(left, right.mT).square().mean((1, 2))

    return kernel(teacher, teacher) + kernel(student, student) - 2 * kernel(student, teacher)


@loss(
    family="transport",
    knowledge=None,
    over="values",
    symmetric=True,
    source="Lv, Yang & Li 2024 (WKD-F), https://arxiv.org/abs/2412.08139; authors' wkd_feature_loss",
)
def gaussian_transport(
    student: Float[Tensor, "n c h w"],
    teacher: Float[Tensor, "n c h w"],
    *,
    ratio: float = 2.0,
    grid: int = 1,
    eps: float = 1e-5,
) -> Float[Tensor, "n"]:
    """Wasserstein distance of Gaussians with diagonal covariance: Σ_c ratio (μ_s − μ_t)² + (σ_s − σ_t)².

    μ, σ² over the positions of a channel (divisor M − 1), σ = √(σ² + eps); with a grid, per cell and averaged over
    the cells. student, teacher: equal shapes. ratio: of the means; 2 is limbeck's. grid: cells per side, which must
    divide height and width. Raises `UserError` otherwise. Lv, Yang & Li 2024, https://arxiv.org/abs/2412.08139.

    >>> gaussian_transport(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 2.0]]]]), eps=0.0)
    tensor([4.])
    """
    student, teacher = pair("gaussian_transport", student, teacher)
    h, w = student.shape[2:]
    if h % grid or w % grid:
        raise UserError(f"gaussian_transport: a grid of {grid} does not divide a map of {h} x {w}; choose one that does")

    def moments(features: Tensor) -> tuple[Tensor, Tensor]:
        cells = features.unflatten(3, (grid, -1)).unflatten(2, (grid, -1)).transpose(3, 4).flatten(4)
        variance = cells.var(-1, correction=min(1, cells.shape[-1] - 1))
        return cells.mean(-1), root(variance + eps)

    (mean_s, spread_s), (mean_t, spread_t) = moments(student), moments(teacher)
    value = ratio * (mean_s - mean_t).square() + (spread_s - spread_t).square()
    return value.sum((1, 2, 3)) / grid**2


@loss(
    family="divergence",
    knowledge="relations of positions",
    over="values",
    source="LightlyTrain's distillationv3, https://docs.lightly.ai/train; code lightly-ai/lightly-train distillationv3_loss.py",
)
def position_similarity(
    student: Float[Tensor, "n *places d1"], teacher: Float[Tensor, "n *places d2"], *, temperature: float = 0.07
) -> Float[Tensor, "n"]:
    """Places of one sample resemble each other as the teacher's do: mean over places i of KL(p_i‖q_i).

    p_i = softmax_j(cos(t_i, t_j)/T) over all places j of the sample, i among them, q_i the student's. student, teacher: features
    last, (n, h, w, d) or tokens (n, t, d); maps of another size are enlarged or shrunk to the teacher's, bilinearly. d may
    differ. temperature: T > 0, the code's 0.07. Memory (h·w)². Raises `UserError` where tokens differ in number.

    >>> position_similarity(torch.eye(2)[None], torch.ones(1, 2, 2), temperature=1.0)
    tensor([0.1201])
    """
    same_samples("position_similarity", student, teacher)
    student, teacher = upcast(student), upcast(teacher)
    if student.dim() == teacher.dim() == 4 and student.shape[1:3] != teacher.shape[1:3]:
        size = (teacher.shape[1], teacher.shape[2])
        student = F.interpolate(student.movedim(-1, 1), size, mode="bilinear", align_corners=False).movedim(1, -1)
    flat = [unit(x.reshape(len(x), -1, x.shape[-1])) for x in (student, teacher)]
    logs = [(product(x, x.mT) / temperature).log_softmax(-1) for x in flat]
    student, teacher = pair("position_similarity", *logs)
    return (teacher.exp() * (teacher - student)).sum(-1).mean(-1)
