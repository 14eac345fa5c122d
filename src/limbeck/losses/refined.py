"""Later losses on logits: temperatures per sample, refined teachers, transport between classes.

Letters: n samples (`*n`), C classes, y the label, q = softmax(z_s/T), p = softmax(z_t/T). A label of -100 gives 0.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.errors import need_same_shape
from limbeck.losses.labelled import split_target, without_target
from limbeck.losses.response import kl_of_logs, log_pair, one_hot, weighed
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import pair, upcast

RLD = "Sun et al. 2024 (RLD), https://arxiv.org/abs/2408.07703; authors' rld_loss"
WKD = "Lv, Yang & Li 2024 (WKD-L), https://arxiv.org/abs/2412.08139; authors' wkd_logit_loss_with_speration"


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    knobs=("temperatures",),
    source="Li et al. 2023 (CTKD), https://arxiv.org/abs/2211.16231; code zhengli97/CTKD distiller_zoo/KD.py",
)
def soft_target_at(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], temperatures: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """`soft_target` with a temperature per sample, which may be learned: T_i² KL(p_i‖q_i).

    student, teacher: logits. temperatures: T_i > 0 (not checked). Raises `UserError` on unequal shapes.
    Li et al. 2023, https://arxiv.org/abs/2211.16231.

    >>> soft_target_at(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([2.0]))
    tensor([1.0296])
    """
    student, teacher = pair("soft_target_at", student, teacher)
    if temperatures.shape != student.shape[:-1]:
        need_same_shape("soft_target_at", student[..., 0], temperatures)
    each = upcast(temperatures).unsqueeze(-1)
    log_q, log_p = (student / each).log_softmax(-1), (teacher / each).log_softmax(-1)
    return each.squeeze(-1) ** 2 * kl_of_logs(log_p, log_q)


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source=RLD)
def rld_confidence(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    temperature: float = 4.0,
) -> Float[Tensor, "*n"]:
    """RLD's sample confidence: T² KL((p_max, 1 − p_max)‖(q_y, 1 − q_y)), p_max the teacher's largest probability.

    The teacher's confidence is kept, but moved to the label; so it is not zero at a match where the teacher errs.
    student, teacher: logits, C ≥ 2. labels: class numbers. temperature: T > 0. Raises `UserError` on unequal
    shapes. Sun et al. 2024, https://arxiv.org/abs/2408.07703.

    >>> rld_confidence(torch.zeros(1, 2), torch.tensor([[1.0, 3.0]]).log(), torch.tensor([0]), temperature=1.0)
    tensor([0.1308])
    """
    log_q, log_p = log_pair("rld_confidence", student, teacher, temperature)
    hot, ignored = one_hot("rld_confidence", student, labels)
    largest = one_hot("rld_confidence", student, log_p.argmax(-1))[0]
    at_q, at_p = torch.stack(split_target(log_q, hot), -1), torch.stack(split_target(log_p, largest), -1)
    return (temperature**2 * kl_of_logs(at_p, at_q)).masked_fill(ignored, 0.0)


@loss(family="divergence", knowledge=None, over="classes", source=RLD)
def rld_correlation(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"],
    *,
    temperature: float = 4.0,
) -> Float[Tensor, "*n"]:
    """RLD's masked correlation: T² KL(p̂‖q̂) over the classes to which the teacher gives less than to the label.

    The label and whatever the teacher puts above it are left out of both; where nothing is left the value is 0.
    student, teacher: logits. labels: class numbers. temperature: T > 0. Raises `UserError` on unequal shapes.
    Sun et al. 2024, https://arxiv.org/abs/2408.07703.

    >>> z = torch.tensor([[9.0, 3.0, 1.0, 20.0]]).log()
    >>> rld_correlation(torch.zeros(1, 4), z, torch.tensor([0]), temperature=1.0)
    tensor([0.1308])
    """
    student, teacher = pair("rld_correlation", student, teacher)
    hot, ignored = one_hot("rld_correlation", student, labels)
    at_label = torch.where(hot, teacher, 0.0).sum(-1, keepdim=True)
    out = hot | (teacher >= at_label)
    none = ignored | out.all(-1)
    out = out & ~none.unsqueeze(-1)
    log_q, log_p = (without_target(x / temperature, out) for x in (student, teacher))
    return (temperature**2 * kl_of_logs(log_p, log_q)).masked_fill(none, 0.0)


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source=WKD)
def target_cross_entropy(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], labels: Int[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """The teacher's belief in the label as a weight of the task: −p_y log q_y, both at T = 1.

    The part that NKD and WKD-L give to the target class. student, teacher: logits. labels: class numbers.
    Raises `UserError` on unequal shapes. Lv, Yang & Li 2024, https://arxiv.org/abs/2412.08139.

    >>> target_cross_entropy(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log(), torch.tensor([0]))
    tensor([0.5199])
    """
    log_q, log_p = log_pair("target_cross_entropy", student, teacher, 1.0)
    hot, ignored = one_hot("target_cross_entropy", student, labels)
    return -weighed(torch.where(hot, log_p.exp(), 0.0), log_q).masked_fill(ignored, 0.0)


@loss(family="transport", knowledge=None, over="classes", minimum=None, source=WKD)
def transport(
    student: Float[Tensor, "n classes"],
    teacher: Float[Tensor, "n classes"],
    labels: Int[Tensor, "n"],
    cost: Float[Tensor, "classes classes"],
    *,
    temperature: float = 2.0,
    regularisation: float = 0.05,
    iterations: int = 10,
) -> Float[Tensor, "n"]:
    """WKD-L between the other classes: Σ_ij F_ij c_ij, F the Sinkhorn plan between q̂ and p̂ (without the label).

    F = diag(u) exp(−c/η) diag(v) after `iterations` rounds that start from u = 1 and end with u, so that its rows
    are q̂ exactly; computed on logs, where the code adds 1e-8. Not zero at a match: η spreads the plan.
    cost: c ≥ 0 between classes (`class_costs`). student, teacher: logits. labels: class numbers. temperature: T > 0.
    regularisation: η > 0, the code's 0.05. iterations: its 10. Memory n C². Raises `UserError` on unequal shapes.

    >>> far = 1 - torch.eye(3)
    >>> teacher = torch.tensor([[0.0, 9.0, 0.0]])
    >>> transport(torch.tensor([[0.0, 0.0, 9.0]]), teacher, torch.tensor([0]), far, temperature=1.0)
    tensor([0.9998])
    """
    student, teacher = pair("transport", student, teacher)
    hot, ignored = one_hot("transport", student, labels)
    rows, columns = ((x / temperature).masked_fill(hot, -torch.inf).log_softmax(-1) for x in (student, teacher))
    fixed = upcast(cost).clamp_min(0.0)
    kernel = -fixed / regularisation
    log_u = torch.zeros_like(rows).masked_fill(hot, -torch.inf)
    log_v = columns
    for _ in range(iterations):
        log_v = columns - (kernel + log_u.unsqueeze(-1)).logsumexp(-2)
        log_u = rows - (kernel + log_v.unsqueeze(-2)).logsumexp(-1)
    plan = (log_u.unsqueeze(-1) + kernel + log_v.unsqueeze(-2)).exp()
    return (plan * fixed).sum((-2, -1)).masked_fill(ignored, 0.0)


@loss(
    family="squares",
    knowledge=None,
    over="classes",
    source="Laine & Aila 2017 (temporal ensembling), https://arxiv.org/abs/1610.02242",
)
def mse_to_probabilities(student: Float[Tensor, "*n classes"], probabilities: Float[Tensor, "*n classes"]) -> Float[Tensor, "*n"]:
    """Consistency with given probabilities: (1/C) Σ_j (q_j − p_j)², zero when softmax(z_s) = p.

    student: logits. probabilities: p ≥ 0, rows summing to 1 (not checked). Raises `UserError` on unequal shapes.

    >>> mse_to_probabilities(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([0.2500])
    """
    student, probabilities = pair("mse_to_probabilities", student, probabilities)
    return (student.softmax(-1) - probabilities).square().mean(-1)
