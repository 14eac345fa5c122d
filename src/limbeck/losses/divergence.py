"""Divergences between two softmax distributions, as used for language models.

Letters: n samples (or tokens, `*n`), C classes, q = softmax(z_s/T), p = softmax(z_t/T). No T² factor anywhere here.
"""
# ruff: noqa: F722, F821

from math import log

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from limbeck.errors import UserError, need_same_shape
from limbeck.losses.response import kl_of_logs, log_pair
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import upcast

DISTILLM = "Ko et al. 2024 (DistiLLM), https://arxiv.org/abs/2402.03898; code jongwooko/distillm losses.py"


def mixture(log_first: Tensor, log_second: Tensor, first: float) -> Tensor:
    """log(w·first + (1−w)·second) from two logs, for 0 < w < 1."""
    both = log_first.isneginf() & log_second.isneginf()  # ruled out by both: log 0, and no gradient
    one, other = log_first.masked_fill(both, 0.0), log_second.masked_fill(both, 0.0)
    return torch.logaddexp(one + log(first), other + log(1 - first)).masked_fill(both, -torch.inf)


def _inside(who: str, name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UserError(f"{who}: {name} is {value}; give a number from {low:g} to {high:g}")


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    source="Agarwal et al. 2024 (GKD), https://arxiv.org/abs/2306.13649; code huggingface/trl gkd_trainer.py",
)
def jsd(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    beta: float = 0.5,
    temperature: float = 1.0,
    normalised: bool = False,
) -> Float[Tensor, "*n"]:
    """Generalised Jensen-Shannon divergence: D = β KL(p‖m) + (1−β) KL(q‖m), m = β p + (1−β) q.

    As in TRL, β = 0 means KL(p‖q) and β = 1 KL(q‖p), though D itself tends to 0 at both ends. normalised=True
    gives D / (β(1−β)), which is continuous there. student, teacher: logits. beta: 0 to 1, symmetric at 0.5
    (TRL's default). temperature: T > 0. Raises `UserError` on unequal shapes or beta outside [0, 1].

    >>> jsd(torch.tensor([[99.0, -99.0]]), torch.tensor([[-99.0, 99.0]]))
    tensor([0.6931])
    """
    _inside("jsd", "beta", beta, 0, 1)
    log_q, log_p = log_pair("jsd", student, teacher, temperature)
    if beta in (0, 1):
        return kl_of_logs(log_p, log_q) if beta == 0 else kl_of_logs(log_q, log_p)
    log_m = mixture(log_p, log_q, beta)
    value = beta * kl_of_logs(log_p, log_m) + (1 - beta) * kl_of_logs(log_q, log_m)
    return value / (beta * (1 - beta)) if normalised else value


@loss(family="divergence", knowledge=None, over="classes", source=DISTILLM)
def skew_kl(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    alpha: float = 0.1,
    temperature: float = 1.0,
) -> Float[Tensor, "*n"]:
    """Skew KL: KL(p ‖ α p + (1−α) q). The authors' code leaves the teacher's entropy in; here it is subtracted.

    student, teacher: logits. alpha: in [0, 1), the paper's 0.1; 0 is `kl`. temperature: T > 0.
    Raises `UserError` on unequal shapes. Ko et al. 2024, https://arxiv.org/abs/2402.03898.

    >>> skew_kl(torch.tensor([[99.0, -99.0]]), torch.tensor([[-99.0, 99.0]]), alpha=0.5)
    tensor([0.6931])
    """
    _inside("skew_kl", "alpha", alpha, 0, 0.999999)
    log_q, log_p = log_pair("skew_kl", student, teacher, temperature)
    return kl_of_logs(log_p, mixture(log_p, log_q, alpha) if alpha else log_q)


@loss(family="divergence", knowledge=None, over="classes", source=DISTILLM)
def skew_reverse_kl(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    alpha: float = 0.1,
    temperature: float = 1.0,
) -> Float[Tensor, "*n"]:
    """Skew reverse KL: KL(q ‖ α q + (1−α) p).

    student, teacher: logits. alpha: in [0, 1), the paper's 0.1; 0 is `reverse_kl`. temperature: T > 0.
    Raises `UserError` on unequal shapes. Ko et al. 2024, https://arxiv.org/abs/2402.03898.

    >>> skew_reverse_kl(torch.tensor([[99.0, -99.0]]), torch.tensor([[-99.0, 99.0]]), alpha=0.5)
    tensor([0.6931])
    """
    _inside("skew_reverse_kl", "alpha", alpha, 0, 0.999999)
    log_q, log_p = log_pair("skew_reverse_kl", student, teacher, temperature)
    return kl_of_logs(log_q, mixture(log_q, log_p, alpha) if alpha else log_p)


@loss(
    family="absolute",
    knowledge=None,
    over="classes",
    symmetric=True,
    source="Wen et al. 2023 (f-distill), https://arxiv.org/abs/2307.15190",
)
def total_variation(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 1.0
) -> Float[Tensor, "*n"]:
    """Total variation: ½ Σ_j |p_j − q_j|, from 0 to 1.

    student, teacher: logits. temperature: T > 0. Raises `UserError` on unequal shapes. Wen et al. 2023.

    >>> total_variation(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 1.0]]).log())
    tensor([0.2500])
    """
    log_q, log_p = log_pair("total_variation", student, teacher, temperature)
    return (log_p.exp() - log_q.exp()).abs().sum(-1) / 2


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    source="Wang et al. 2025 (ABKD), https://arxiv.org/abs/2505.04560; code ghwang-s/abkd ab_div",
)
def alpha_beta(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    alpha: float = 0.2,
    beta: float = 0.7,
    temperature: float = 1.0,
) -> Float[Tensor, "*n"]:
    """α-β divergence: −1/(αβ) Σ_j [p^α q^β − α/(α+β) p^(α+β) − β/(α+β) q^(α+β)].

    Limits: β = 0 gives 1/α² Σ [p^α log(p^α/q^α) − p^α + q^α] (`kl` at α = 1), α = 0 the same with the sides
    exchanged (`reverse_kl` at β = 1), α + β = 0 gives 1/α² Σ [log(q^α/p^α) + p^α/q^α − 1], both 0 gives
    ½ Σ (log p − log q)². student, teacher: logits. alpha, beta: negative ones may overflow; 0.2 and 0.7 are
    the authors' examples. temperature: T > 0. Raises `UserError` on unequal shapes.

    >>> alpha_beta(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 1.0]]).log(), alpha=0.5, beta=0.5)
    tensor([0.1363])
    """
    log_q, log_p = log_pair("alpha_beta", student, teacher, temperature)
    total = alpha + beta
    if alpha == 0 and beta == 0:
        return (log_p - log_q).square().sum(-1) / 2
    if beta == 0 or alpha == 0:
        (a, log_a), (b, log_b) = sorted(((alpha, log_p), (beta, log_q)), key=lambda x: x[0] == 0)
        return ((a * log_a).exp() * a * (log_a - log_b) - (a * log_a).exp() + (a * log_b).exp()).sum(-1) / a**2
    if total == 0:
        return (alpha * (log_q - log_p) + (alpha * (log_p - log_q)).exp() - 1).sum(-1) / alpha**2
    cross = (alpha * log_p + beta * log_q).exp()
    rest = alpha / total * (total * log_p).exp() + beta / total * (total * log_q).exp()
    return -(cross - rest).sum(-1) / (alpha * beta)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    source="Wu et al. 2025 (AKL), https://arxiv.org/abs/2404.02657; code ghwang-s/abkd AKL",
)
def adaptive_kl(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    head: float = 0.5,
    temperature: float = 1.0,
) -> Float[Tensor, "*n"]:
    """Adaptive KL: (g_head KL(p‖q) + g_tail KL(q‖p)) / (g_head + g_tail), g = Σ |p − q| over the head or tail, detached.

    The head is the teacher's most probable classes with cumulative mass ≤ μ, at least one. The weights carry no
    gradient: the formula's stop-gradient. student, teacher: logits. head: μ in (0, 1), 0.5 in the paper.
    temperature: T > 0. Raises `UserError` on unequal shapes.

    >>> adaptive_kl(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 1.0]]).log())
    tensor([0.1373])
    """
    log_q, log_p = log_pair("adaptive_kl", student, teacher, temperature)
    p, order = log_p.detach().exp().sort(-1, descending=True)
    gaps = (p - log_q.detach().exp().gather(-1, order)).abs()
    in_head = p.cumsum(-1) <= head
    in_head[..., 0] = True
    at_head, at_tail = (gaps * in_head).sum(-1), (gaps * ~in_head).sum(-1)
    share = at_head / (at_head + at_tail).clamp_min(torch.finfo(gaps.dtype).tiny)
    return share * kl_of_logs(log_p, log_q) + (1 - share) * kl_of_logs(log_q, log_p)


@loss(
    family="absolute",
    knowledge=None,
    over="classes",
    symmetric=True,
    source="Boizard et al. 2025 (ULD), https://arxiv.org/abs/2402.12030; code Nicolas-BZRD/llm-recipes",
)
def uld(
    student: Float[Tensor, "*n classes1"], teacher: Float[Tensor, "*n classes2"], *, temperature: float = 1.0
) -> Float[Tensor, "*n"]:
    """Universal logit distillation: Σ_k |sort(p)_k − sort(q)_k|, for two vocabularies; the shorter is padded with 0.

    Zero for equal distributions, but also for any two that are permutations of each other. student, teacher:
    logits of aligned tokens; the number of classes may differ. temperature: T > 0. Raises `UserError` when the
    other dimensions differ. Boizard et al. 2025, https://arxiv.org/abs/2402.12030.

    >>> uld(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 3.0]]).log())
    tensor([0.5000])
    """
    if student.shape[:-1] != teacher.shape[:-1] or student.ndim == 0:
        need_same_shape("uld", student, teacher)
    q, p = ((upcast(x) / temperature).softmax(-1).sort(-1, descending=True).values for x in (student, teacher))
    size = max(q.shape[-1], p.shape[-1])
    q, p = (F.pad(x, (0, size - x.shape[-1])) for x in (q, p))
    return (p - q).abs().sum(-1)
