"""Losses on logits that know the right class: the target is treated apart from the other classes.

Letters: n samples (`*n`), C classes, y the label, q = softmax(z_s/T), p = softmax(z_t/T), and p̂, q̂ the
probabilities renormalised over the C−1 other classes. A label of -100 gives value 0.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.losses.response import expected, kl_of_logs, log_pair, one_hot, weighed
from limbeck.losses.traits import loss

DKD = "Zhao et al. 2022, https://arxiv.org/abs/2203.08679; code megvii-research/mdistiller DKD.py"


def split_target(logits: Tensor, hot: Tensor) -> tuple[Tensor, Tensor]:
    """(log p_y, log(1 − p_y)): the complement is a logsumexp of the others, exact when p_y rounds to 1."""
    total = logits.logsumexp(-1)
    other = logits.masked_fill(hot, -torch.inf).logsumexp(-1)
    return torch.where(hot, logits, 0.0).sum(-1) - total, other - total


def without_target(logits: Tensor, hot: Tensor) -> Tensor:
    """Log-probabilities renormalised over the classes that are not hot; 0 (probability aside) at those that are, and −inf
    everywhere else where nothing is left to renormalise over."""
    rest = logits.masked_fill(hot, -torch.inf)
    empty = rest.isneginf().all(-1, keepdim=True)
    return rest.masked_fill(empty, 0.0).log_softmax(-1).masked_fill(empty, -torch.inf).masked_fill(hot, 0.0)


@loss(family="divergence", knowledge=None, over="classes", source=DKD)
def dkd_target(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    temperature: float = 4.0,
) -> Float[Tensor, "*n"]:
    """DKD's target part: T² KL((p_y, 1−p_y)‖(q_y, 1−q_y)).

    student, teacher: logits, C ≥ 2. labels: class numbers. temperature: T > 0, the code's 4.
    Raises `UserError` on unequal shapes. Zhao et al. 2022, https://arxiv.org/abs/2203.08679.

    >>> dkd_target(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log(), torch.tensor([0]), temperature=1.0)
    tensor([0.1308])
    """
    log_q, log_p = log_pair("dkd_target", student, teacher, temperature)
    hot, ignored = one_hot("dkd_target", student, labels)
    binary_q, binary_p = (torch.stack(split_target(x, hot), -1) for x in (log_q, log_p))
    return (temperature**2 * kl_of_logs(binary_p, binary_q)).masked_fill(ignored, 0.0)


@loss(family="divergence", knowledge=None, over="classes", source=DKD)
def dkd_nontarget(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    temperature: float = 4.0,
) -> Float[Tensor, "*n"]:
    """DKD's non-target part: T² KL(p̂‖q̂) over the classes other than the label.

    student, teacher: logits, C ≥ 2. labels: class numbers. temperature: T > 0, the code's 4. The code hides
    the target by subtracting 1000; here it is left out exactly. Raises `UserError` on unequal shapes.

    >>> z = torch.tensor([[9.0, 3.0, 1.0]]).log()
    >>> dkd_nontarget(torch.zeros(1, 3), z, torch.tensor([0]), temperature=1.0)
    tensor([0.1308])
    """
    log_q, log_p = log_pair("dkd_nontarget", student, teacher, temperature)
    hot, ignored = one_hot("dkd_nontarget", student, labels)
    value = kl_of_logs(without_target(log_p, hot), without_target(log_q, hot))
    return (temperature**2 * value).masked_fill(ignored, 0.0)


@loss(family="divergence", knowledge=None, over="classes", source=DKD)
def dkd(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    alpha: float = 1.0,
    beta: float = 8.0,
    temperature: float = 4.0,
) -> Float[Tensor, "*n"]:
    """Decoupled knowledge distillation: α `dkd_target` + β `dkd_nontarget`.

    student, teacher: logits, C ≥ 2. labels: class numbers. alpha, beta ≥ 0 and temperature T > 0: 1, 8 and 4
    are the code's for CIFAR-100. The code also warms the whole term up over 20 epochs: a weight's business.
    Raises `UserError` on unequal shapes. Zhao et al. 2022, https://arxiv.org/abs/2203.08679.

    >>> z = torch.tensor([[9.0, 3.0, 1.0]]).log()
    >>> dkd(torch.zeros(1, 3), z, torch.tensor([0]), beta=1.0, temperature=1.0)
    tensor([0.3989])
    """
    target = dkd_target(student, teacher, labels, temperature=temperature)
    return alpha * target + beta * dkd_nontarget(student, teacher, labels, temperature=temperature)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    minimum=None,
    source="Yang et al. 2023 (NKD), https://arxiv.org/abs/2303.13005; code yzd-v/cls_KD nkd.py",
)
def nkd(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    gamma: float = 1.5,
    temperature: float = 1.0,
) -> Float[Tensor, "*n"]:
    """Normalised KD: −p_y log q_y (at T = 1) − γ T² Σ_{j≠y} p̂_j log q̂_j. A cross-entropy: not zero at a match.

    student, teacher: logits. labels: class numbers. gamma ≥ 0 and temperature T > 0 (of the second part
    only): 1.5 and 1 are the code's. The code detaches p_y; here nothing is, so pass a teacher without graph.
    Raises `UserError` on unequal shapes. Yang et al. 2023, https://arxiv.org/abs/2303.13005.

    >>> nkd(torch.zeros(1, 3), torch.zeros(1, 3), torch.tensor([0]), gamma=1.0)
    tensor([1.0594])
    """
    log_q, log_p = log_pair("nkd", student, teacher, 1.0)
    hot, ignored = one_hot("nkd", student, labels)
    target = -weighed(torch.where(hot, log_p.exp(), 0.0), log_q)
    other_q, other_p = (without_target(x / temperature, hot) for x in (log_q, log_p))
    others = -expected(other_p, other_q)
    return (target + gamma * temperature**2 * others).masked_fill(ignored, 0.0)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    minimum=None,
    source="Zhou et al. 2021, https://arxiv.org/abs/2102.00650; code open-mmlab/mmrazor WSLD",
)
def wsld(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    temperature: float = 2.0,
) -> Float[Tensor, "*n"]:
    """Weighted soft labels: −T² w Σ_j p_j log q_j with w = 1 − exp(−CE_s/CE_t), a stop-gradient weight.

    CE_s and CE_t are both sides' cross-entropies to the label at T = 1; w is detached, as the formula says.
    student, teacher: logits. labels: class numbers. temperature: T > 0; 2 is the paper's. Not zero at a match.
    Raises `UserError` on unequal shapes. Zhou et al. 2021, https://arxiv.org/abs/2102.00650.

    >>> wsld(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]), temperature=1.0)
    tensor([0.4382])
    """
    log_q, log_p = log_pair("wsld", student, teacher, temperature)
    hot, ignored = one_hot("wsld", student, labels)
    hard_q, hard_p = log_pair("wsld", student.detach(), teacher.detach(), 1.0)
    of_student, of_teacher = (-torch.where(hot, x, 0.0).sum(-1) for x in (hard_q, hard_p))
    weight = 1 - torch.exp(-of_student / (of_teacher + 1e-7))
    return (-(temperature**2) * weight * expected(log_p, log_q)).masked_fill(ignored, 0.0)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    minimum=None,
    source="Hao et al. 2023 (OFA-KD), https://arxiv.org/abs/2310.19444; code Hao840/OFAKD ofa.py",
)
def ofa(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    epsilon: float = 1.0,
    temperature: float = 1.0,
) -> Float[Tensor, "*n"]:
    """One-for-all KD between unlike networks: −Σ_j [(p_j + 1_{j=y})^ε − 1_{j=y}] log q_j. Not zero at a match.

    ε > 1 stresses the target. student, teacher: logits. labels: class numbers. epsilon: ε ≥ 1, the code's 1
    (the paper's up to 1.5). temperature: T > 0, no T². The powers follow the code, with a log-softmax where
    it takes the log of a softmax. Raises `UserError` on unequal shapes. Hao et al. 2023.

    >>> ofa(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.6931])
    """
    log_q, log_p = log_pair("ofa", student, teacher, temperature)
    hot, ignored = one_hot("ofa", student, labels)
    target = hot.to(log_p.dtype)
    return -weighed((log_p.exp() + target) ** epsilon - target, log_q).masked_fill(ignored, 0.0)
