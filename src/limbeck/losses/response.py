"""Losses on what a network answers: logits and probabilities, over the last dimension.

Letters: n samples (or tokens, pixels: `*n`), C classes, z_s and z_t the logits, T the temperature,
q = softmax(z_s/T) and p = softmax(z_t/T). Logits are finite, or −inf for a class that is ruled out (0 log 0 = 0).
"""
# ruff: noqa: F722, F821

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import pair, upcast

HINTON = "Hinton, Vinyals & Dean 2015, https://arxiv.org/abs/1503.02531"


ROUNDING = 1e-6  # of a sum of probabilities that should be 1


def log_pair(who: str, student: Tensor, teacher: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities (log q, log p) of both sides at one temperature."""
    student, teacher = pair(who, student, teacher)
    return (student / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)


def kl_of_logs(log_target: Tensor, log_input: Tensor) -> Tensor:
    """Σ_j exp(log_target) (log_target − log_input) over the last dimension: KL(target‖input)."""
    return expected(log_target, log_target - log_input)


def expected(log_p: Tensor, values: Tensor) -> Tensor:
    """Σ_j exp(log_p) values over the last dimension; a class with p = 0 adds nothing, whatever its value."""
    return weighed(log_p.exp(), values)


def weighed(weights: Tensor, values: Tensor) -> Tensor:
    """Σ_j weights · values over the last dimension; a class of weight 0 adds nothing, whatever its value (−inf times 0 too)."""
    return (weights * values.masked_fill(weights == 0, 0.0)).sum(-1)


@loss(family="divergence", knowledge=None, over="classes", source=HINTON)
def kl(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 1.0
) -> Float[Tensor, "*n"]:
    """Kullback-Leibler divergence of the student from the teacher: KL(p‖q) = Σ_j p_j (log p_j − log q_j).

    student, teacher: logits. temperature: T > 0; no T² factor (see `soft_target`). Raises `UserError` on
    unequal shapes. Hinton et al. 2015, https://arxiv.org/abs/1503.02531.

    >>> kl(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([0.8287])
    """
    log_q, log_p = log_pair("kl", student, teacher, temperature)
    return kl_of_logs(log_p, log_q)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    knobs=("uncertainty",),
    batchwise=True,
    source="Kimura et al. 2018, https://arxiv.org/abs/1802.03039",
)
def fidelity_kl(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    uncertainty: Float[Tensor, "*n"],
    *,
    highest: float = 1.0,
    typical: float = 0.5,
) -> Float[Tensor, "*n"]:
    """`kl`, weighed down where the teacher is unsure: w KL(p‖q) with w = highest (typical / highest)^(σ / σ̄).

    student, teacher: logits. uncertainty: σ ≥ 0 per sample; σ̄ is its mean over the batch, where the paper takes it
    over all pseudo inputs. highest: the weight at σ = 0. typical: at σ = σ̄; 0 < typical ≤ highest. The paper writes
    w = λ̂ exp(−log(λ̂/λ̄) σ/σ̄). Raises `UserError` on unequal shapes. Kimura et al. 2018, https://arxiv.org/abs/1802.03039.

    >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    >>> fidelity_kl(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), z, torch.tensor([0.0, 2.0]))
    tensor([0.8287, 0.2072])
    """
    if not 0 < typical <= highest:
        raise UserError(f"fidelity_kl: give 0 < typical <= highest, got {typical} and {highest}")
    log_q, log_p = log_pair("fidelity_kl", student, teacher, 1.0)
    if uncertainty.shape != log_q.shape[:-1]:
        raise UserError(
            f"fidelity_kl: uncertainty {tuple(uncertainty.shape)} and samples {tuple(log_q.shape[:-1])} differ; "
            "give one number per sample"
        )
    spread = upcast(uncertainty)
    relative = spread / spread.mean().clamp_min(1e-30)
    return highest * (typical / highest) ** relative * kl_of_logs(log_p, log_q)


@loss(family="divergence", knowledge=None, over="classes", source=HINTON + "; code megvii-research/mdistiller KD.py")
def soft_target(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 4.0
) -> Float[Tensor, "*n"]:
    """Hinton's distillation loss: T² KL(p‖q); T² keeps the gradient's size when T changes.

    student, teacher: logits. temperature: T > 0; 4 is what RepDistiller and mdistiller use on CIFAR-100.
    Raises `UserError` on unequal shapes. Hinton et al. 2015, https://arxiv.org/abs/1503.02531.

    >>> soft_target(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]), temperature=2.0)
    tensor([1.0296])
    """
    log_q, log_p = log_pair("soft_target", student, teacher, temperature)
    return temperature**2 * kl_of_logs(log_p, log_q)


@loss(family="divergence", knowledge=None, over="classes", source="Gu et al. 2024 (MiniLLM), https://arxiv.org/abs/2306.08543")
def reverse_kl(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 1.0
) -> Float[Tensor, "*n"]:
    """The other direction, mode-seeking: KL(q‖p) = Σ_j q_j (log q_j − log p_j).

    student, teacher: logits. temperature: T > 0, no T² factor. Raises `UserError` on unequal shapes.
    Gu et al. 2024, https://arxiv.org/abs/2306.08543.

    >>> reverse_kl(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([1.0068])
    """
    log_q, log_p = log_pair("reverse_kl", student, teacher, temperature)
    return kl_of_logs(log_q, log_p)


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source=HINTON)
def soft_cross_entropy(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 1.0
) -> Float[Tensor, "*n"]:
    """Cross-entropy to the teacher's answer: −Σ_j p_j log q_j = KL(p‖q) + entropy(p).

    Same gradient as `kl`, but not zero at a match: there it is the teacher's entropy.
    student, teacher: logits. temperature: T > 0, no T² factor. Raises `UserError` on unequal shapes.

    >>> soft_cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]]))
    tensor([0.6931])
    """
    log_q, log_p = log_pair("soft_cross_entropy", student, teacher, temperature)
    return -expected(log_p, log_q)


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source=HINTON + "; code yzd-v/cls_KD kd.py")
def soft_target_cross_entropy(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 4.0
) -> Float[Tensor, "*n"]:
    """`soft_target` without subtracting the teacher's entropy: −T² Σ_j p_j log q_j. Not zero at a match.

    student, teacher: logits. temperature: T > 0. Raises `UserError` on unequal shapes.

    >>> soft_target_cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 0.0]]), temperature=2.0)
    tensor([2.7726])
    """
    log_q, log_p = log_pair("soft_target_cross_entropy", student, teacher, temperature)
    return -(temperature**2) * expected(log_p, log_q)


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source=HINTON)
def soft_labels_cross_entropy(
    student: Float[Tensor, "*n classes"], probabilities: Float[Tensor, "*n classes"]
) -> Float[Tensor, "*n"]:
    """Cross-entropy to given probabilities: −Σ_j p_j log q_j. At a match it is their entropy, not zero.

    student: logits. probabilities: p ≥ 0, rows summing to 1 (not checked). Raises `UserError` on unequal shapes.

    >>> soft_labels_cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.3, 0.7]]))
    tensor([0.6931])
    """
    student, probabilities = pair("soft_labels_cross_entropy", student, probabilities)
    return -(probabilities * student.log_softmax(-1)).sum(-1)


@loss(family="divergence", knowledge=None, over="classes", source=HINTON)
def kl_to_probabilities(student: Float[Tensor, "*n classes"], probabilities: Float[Tensor, "*n classes"]) -> Float[Tensor, "*n"]:
    """KL to given probabilities: Σ_j p_j (log p_j − log q_j), with 0 log 0 = 0; zero when softmax(z_s) = p.

    student: logits. probabilities: p ≥ 0, rows summing to 1 (not checked). Raises `UserError` on unequal shapes.

    >>> kl_to_probabilities(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([0.6931])
    """
    student, probabilities = pair("kl_to_probabilities", student, probabilities)
    return (torch.xlogy(probabilities, probabilities) - probabilities * student.log_softmax(-1)).sum(-1)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    minimum=None,
    source="label smoothing: Szegedy et al. 2016, https://arxiv.org/abs/1512.00567",
)
def cross_entropy(
    student: Float[Tensor, "*n classes"],
    labels: Int[Tensor, "*n"] | Float[Tensor, "*n classes"],
    *,
    label_smoothing: float = 0.0,
    weights: Sequence[float] = (),
) -> Float[Tensor, "*n"]:
    """Cross-entropy to labels: −Σ_j w_j t_j log q_j with t = (1−ε) onehot(y) + ε/C. Zero only in the limit.

    student: logits. labels: class numbers `*n`, where -100 gives value 0 (leave it out of a mean with a
    mask), or probabilities `*n classes`. label_smoothing: ε in [0, 1]. weights: w of each class; () for 1. Raises `UserError` if
    they do not fit.

    >>> cross_entropy(torch.zeros(2, 2), torch.tensor([1, -100]))
    tensor([0.6931, 0.0000])
    """
    log_q = upcast(student).log_softmax(-1)
    if weights:
        if len(weights) != log_q.shape[-1]:
            raise UserError(f"cross_entropy: {len(weights)} weights for {log_q.shape[-1]} classes; give one for each")
        log_q = log_q * torch.tensor(weights, dtype=log_q.dtype, device=log_q.device)
    smooth = -log_q.mean(-1)
    if labels.is_floating_point():
        log_q, labels = pair("cross_entropy", log_q, labels)
        return (1 - label_smoothing) * -(labels * log_q).sum(-1) + label_smoothing * smooth
    hot, ignored = one_hot("cross_entropy", student, labels)
    exact = -torch.where(hot, log_q, 0.0).sum(-1)
    return ((1 - label_smoothing) * exact + label_smoothing * smooth).masked_fill(ignored, 0.0)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    minimum=None,
    source="Anshumann et al. 2025 (Sparse Logit Sampling), ACL, https://arxiv.org/abs/2503.16870",
)
def drawn_cross_entropy(
    student: Float[Tensor, "*n classes"], words: Int[Tensor, "*n k"], *, temperature: float = 1.0, power: float = 0.0
) -> Float[Tensor, "*n"]:
    """T^power times the mean of −log q over k classes drawn from the teacher's p at T: on average the cross-entropy to p.

    Its gradient is on average that of `kl` (times T^power); its value is larger by the entropy of p. student: logits. words:
    class numbers, drawn with replacement. temperature: T > 0. power: 2 for the gradient of `soft_target`.
    Raises `UserError` where the shapes do not fit.

    >>> drawn_cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([[1, 1, 0]]))
    tensor([0.6931])
    """
    if words.shape[:-1] != student.shape[:-1]:
        raise UserError(
            f"drawn_cross_entropy: student {tuple(student.shape)} and words {tuple(words.shape)} do not fit; give k for each row"
        )
    log_q = (upcast(student) / temperature).log_softmax(-1)
    return -(temperature**power) * log_q.gather(-1, words.long()).mean(-1)


def one_hot(who: str, student: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(true at the label, true where the label is -100); labels must have one class number per row of logits."""
    if labels.is_floating_point() or labels.shape != student.shape[:-1]:
        raise UserError(
            f"{who}: student {tuple(student.shape)} and labels {tuple(labels.shape)} do not fit; "
            f"give integer labels of shape {tuple(student.shape[:-1])}"
        )
    classes = torch.arange(student.shape[-1], device=student.device)
    return labels.unsqueeze(-1) == classes, labels == -100


@loss(
    family="squares",
    knowledge=None,
    over="classes",
    symmetric=True,
    source="mean teacher: Tarvainen & Valpola 2017, https://arxiv.org/abs/1703.01780",
)
def probability_mse(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 1.0
) -> Float[Tensor, "*n"]:
    """Consistency of a mean teacher: (1/C) Σ_j (q_j − p_j)², the authors' softmax_mse_loss.

    student, teacher: logits. temperature: T > 0. Raises `UserError` on unequal shapes.

    >>> probability_mse(torch.tensor([[0.0, 0.0]]), torch.tensor([[100.0, -100.0]]))
    tensor([0.2500])
    """
    log_q, log_p = log_pair("probability_mse", student, teacher, temperature)
    return (log_q.exp() - log_p.exp()).square().mean(-1)


@loss(
    family="squares",
    knowledge="logits",
    over="values",
    raw=True,
    symmetric=True,
    source="Kim et al. 2021, https://arxiv.org/abs/2105.08919",
)
def logit_mse(student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"]) -> Float[Tensor, "*n"]:
    """Mean squared difference of the logits: (1/C) Σ_j (z_s − z_t)_j².

    student, teacher: logits. Raises `UserError` on unequal shapes. Kim et al. 2021.

    >>> logit_mse(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([2.5000])
    """
    student, teacher = pair("logit_mse", student, teacher)
    return (student - teacher).square().mean(-1)


@loss(
    family="squares",
    knowledge="logits",
    over="values",
    raw=True,
    symmetric=True,
    source="Ba & Caruana 2014, https://arxiv.org/abs/1312.6184",
)
def logit_regression(student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"]) -> Float[Tensor, "*n"]:
    """Regression on logits: ½ ‖z_s − z_t‖², Ba & Caruana 2014 Eq. 1 (C/2 times `logit_mse`).

    student, teacher: logits. Raises `UserError` on unequal shapes.

    >>> logit_regression(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([2.5000])
    """
    student, teacher = pair("logit_regression", student, teacher)
    return (student - teacher).square().sum(-1) / 2
