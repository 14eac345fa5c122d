"""Losses on what a network knows inside: feature maps and embeddings.

Letters: n samples, c channels, h × w positions, d features; F_s and F_t the two sides' features.
"""
# ruff: noqa: F722, F821

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from limbeck.losses.response import kl_of_logs
from limbeck.losses.traits import loss
from limbeck.transforms import attention_map, pool_to
from limbeck.transforms.numerics import norm, pair, rows, same_samples, unit, upcast

BOUNDARY = "Heo et al. 2019 (AB), https://arxiv.org/abs/1811.03233"
FACTOR = "Kim et al. 2018 (factor transfer), https://arxiv.org/abs/1802.04977"


@loss(
    family="squares",
    knowledge=None,
    over="values",
    raw=True,
    symmetric=True,
    source="Romero et al. 2015 (FitNets), https://arxiv.org/abs/1412.6550; code mdistiller FitNet.py",
)
def mse(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Mean squared difference of all features of a sample: mean (F_s − F_t)².

    student, teacher: any equal shape with n first. The paper's hint is ½‖F_s − F_t‖², the code this mean.
    Raises `UserError` on unequal shapes. Romero et al. 2015, https://arxiv.org/abs/1412.6550.

    >>> mse(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([2.5000])
    """
    student, teacher = pair("mse", student, teacher)
    return rows((student - teacher).square()).mean(-1)


@loss(family="absolute", knowledge=None, over="values", raw=True, symmetric=True, source="mean absolute error")
def l1(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Mean absolute difference of all features of a sample: mean |F_s − F_t|.

    student, teacher: any equal shape with n first. Raises `UserError` on unequal shapes.

    >>> l1(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([1.5000])
    """
    student, teacher = pair("l1", student, teacher)
    return rows((student - teacher).abs()).mean(-1)


@loss(family="squares", knowledge=None, over="values", raw=True, symmetric=True, source="Euclidean distance")
def l2(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Euclidean distance of all features of a sample: ‖F_s − F_t‖₂, gradient 0 at a match.

    student, teacher: any equal shape with n first. Raises `UserError` on unequal shapes.

    >>> l2(torch.tensor([[0.0, 4.0]]), torch.tensor([[3.0, 0.0]]))
    tensor([5.])
    """
    student, teacher = pair("l2", student, teacher)
    return norm(rows(student - teacher))


@loss(family="squares", knowledge=None, over="values", raw=True, batchwise=True, symmetric=True, source="Euclidean distance")
def batch_l2(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Euclidean distance of all features of a whole batch, the same for each sample: √(Σ_i ‖F_s,i − F_t,i‖²).

    Its gradient is 0 at a match. It grows with the root of n, where a mean of `l2` does not.
    student, teacher: equal shapes. Raises `UserError` otherwise.

    >>> batch_l2(torch.tensor([[0.0], [4.0]]), torch.tensor([[3.0], [0.0]]))
    tensor([5., 5.])
    """
    student, teacher = pair("batch_l2", student, teacher)
    return norm((student - teacher).reshape(1, -1)).expand(len(student))


@loss(family="margin", knowledge="activation boundaries", over="values", minimum=None, source=BOUNDARY)
def activation_boundary(
    student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"], *, margin: float = 1.0
) -> Float[Tensor, "n"]:
    """Learn which neurons fire: Σ ([t > 0] relu(μ − s) + [t ≤ 0] relu(μ + s))², on values before the ReLU.

    Not zero at a match: the student must pass the margin μ on the teacher's side of 0.
    student, teacher: equal shapes. margin: μ ≥ 0, 1 in the paper. Raises `UserError` on unequal shapes.
    Heo et al. 2019, https://arxiv.org/abs/1811.03233.

    >>> activation_boundary(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, -1.0]]))
    tensor([2.5000])
    """
    student, teacher = pair("activation_boundary", student, teacher)
    gap = torch.where(teacher > 0, margin - student, margin + student).relu()
    return rows(gap.square()).sum(-1)


@loss(
    family="margin",
    knowledge="activation boundaries",
    over="values",
    minimum=None,
    source=BOUNDARY + "; code HobbitLong/RepDistiller AB.py",
)
def activation_boundary_code(
    student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"], *, margin: float = 1.0
) -> Float[Tensor, "n"]:
    """`activation_boundary` times RepDistiller's constant 3/1000. Several layers there get weights 2^(i−L+1).

    student, teacher: equal shapes. margin: μ ≥ 0. Raises `UserError` on unequal shapes.

    >>> activation_boundary_code(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, -1.0]]))
    tensor([0.0075])
    """
    return 0.003 * activation_boundary(student, teacher, margin=margin)


@loss(family="absolute", knowledge=None, over="values", symmetric=True, source=FACTOR)
def factor(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Factor transfer as in the paper (p = 1): Σ |F_s/‖F_s‖ − F_t/‖F_t‖| over the sample's factor.

    student, teacher: the translator's and paraphraser's factors, equal shapes. Raises `UserError` otherwise.
    Kim et al. 2018, https://arxiv.org/abs/1802.04977. AberHu's code takes the mean instead of the sum.

    >>> factor(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]]))
    tensor([2.])
    """
    student, teacher = pair("factor", student, teacher)
    return (unit(rows(student)) - unit(rows(teacher))).abs().sum(-1)


@loss(family="absolute", knowledge=None, over="values", symmetric=True, source=FACTOR + "; code HobbitLong/RepDistiller FT.py")
def factor_code(student: Float[Tensor, "n c1 h w"], teacher: Float[Tensor, "n c2 h w"]) -> Float[Tensor, "n"]:
    """Factor transfer as in RepDistiller: mean over positions of |Q_s − Q_t|, Q from `attention_map`.

    Contradicts the paper: factors become attention maps before the comparison. student, teacher: factors
    of equal height and width. Raises `UserError` if these differ.

    >>> factor_code(torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]]))
    tensor([1.])
    """
    same_samples("factor_code", student, teacher)
    student, teacher = pair("factor_code", attention_map(student), attention_map(teacher))
    return (student - teacher).abs().mean(-1)


@loss(
    family="squares",
    knowledge=None,
    over="values",
    symmetric=True,
    source="Chen et al. 2021 (ReviewKD), https://arxiv.org/abs/2104.09044; code dvlab-research/ReviewKD hcl",
)
def hcl(
    student: Float[Tensor, "n c h w"], teacher: Float[Tensor, "n c h w"], *, levels: tuple[int, ...] = (4, 2, 1)
) -> Float[Tensor, "n"]:
    """Hierarchical context loss: Σ_l w_l mse(pool_l F_s, pool_l F_t) / Σ_l w_l, with w = 1, ½, ¼, … from the full map.

    levels: sizes pooled to, those not below the height are skipped; the code's (4, 2, 1). Raises `UserError`
    on unequal shapes. Chen et al. 2021, https://arxiv.org/abs/2104.09044.

    >>> hcl(torch.zeros(1, 1, 2, 2), torch.tensor([[[[2.0, -2.0], [2.0, -2.0]]]]))
    tensor([2.6667])
    """
    student, teacher = pair("hcl", student, teacher)
    total, weights, weight = mse(student, teacher), 1.0, 1.0
    for level in (x for x in levels if x < student.shape[2]):
        weight /= 2
        total = total + weight * mse(pool_to(student, (level, level)), pool_to(teacher, (level, level)))
        weights += weight
    return total / weights


@loss(
    family="divergence",
    knowledge=None,
    over="values",
    source="Shu et al. 2021 (CWD), https://arxiv.org/abs/2011.13256; code open-mmlab/mmrazor cwd.py",
)
def cwd(student: Float[Tensor, "n c h w"], teacher: Float[Tensor, "n c h w"], *, temperature: float = 1.0) -> Float[Tensor, "n"]:
    """Channel-wise distillation: (T²/c) Σ_c KL(softmax_hw(F_t/T)‖softmax_hw(F_s/T)), each channel a distribution over space.

    student, teacher: maps or dense logits, equal shapes. temperature: T > 0; mmrazor's default 1 (the paper
    uses 4 for logits). Raises `UserError` on unequal shapes. Shu et al. 2021, https://arxiv.org/abs/2011.13256.

    >>> cwd(torch.zeros(1, 1, 1, 2), torch.tensor([[[[3.0, 1.0]]]]).log())
    tensor([0.1308])
    """
    student, teacher = pair("cwd", student, teacher)
    log_q, log_p = ((x.flatten(2) / temperature).log_softmax(-1) for x in (student, teacher))
    return temperature**2 * kl_of_logs(log_p, log_q).mean(1)


@loss(
    family="squares",
    knowledge=None,
    over="values",
    minimum=None,
    symmetric=True,
    source="Ahn et al. 2019 (VID), https://arxiv.org/abs/1904.05835; code RepDistiller VID.py",
)
def vid(
    student: Float[Tensor, "n c *d"],
    teacher: Float[Tensor, "n c *d"],
    raw_variance: Float[Tensor, "c"],
    *,
    eps: float = 1e-5,
) -> Float[Tensor, "n"]:
    """Variational information: mean of ½((μ − t)²/σ² + log σ²), σ²_c = softplus(raw_c) + eps. Not zero at a match.

    student: the predicted mean μ (the student through a regressor). teacher: t. raw_variance: one learned
    number per channel; log(exp(5 − eps) − 1) starts σ² at 5 as the code does. eps: the code's 1e-5.
    Raises `UserError` on unequal shapes. Ahn et al. 2019, https://arxiv.org/abs/1904.05835.

    >>> vid(torch.zeros(1, 1, 1), torch.ones(1, 1, 1), torch.tensor([0.5413]))
    tensor([0.5000])
    """
    student, teacher = pair("vid", student, teacher)
    variance = (F.softplus(upcast(raw_variance)) + eps).reshape(1, -1, *[1] * (student.ndim - 2))
    return rows((student - teacher).square() / variance + variance.log()).mean(-1) / 2


@loss(
    family="squares",
    knowledge=None,
    over="values",
    symmetric=True,
    source="Yang et al. 2022 (MGD), https://arxiv.org/abs/2205.01529; code yzd-v/cls_KD mgd.py",
)
def mgd(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Masked generation's distance: Σ (F_s − F_t)², summed over the whole sample.

    student: features regenerated from masked ones. teacher: the teacher's. The code's weight 7e-5 is the
    plan's. Raises `UserError` on unequal shapes. Yang et al. 2022, https://arxiv.org/abs/2205.01529.

    >>> mgd(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([5.])
    """
    student, teacher = pair("mgd", student, teacher)
    return rows((student - teacher).square()).sum(-1)


@loss(family="angle", knowledge=None, over="values", raw=True, symmetric=True, source="cosine distance")
def cosine(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Cosine distance of the flattened features: 1 − ⟨F_s, F_t⟩ / (‖F_s‖ ‖F_t‖), in [0, 2]; 1 if one is zero.

    student, teacher: equal shapes. Raises `UserError` on unequal shapes.

    >>> cosine(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]))
    tensor([1.])
    """
    student, teacher = pair("cosine", student, teacher)
    return 1 - (unit(rows(student)) * unit(rows(teacher))).sum(-1)
