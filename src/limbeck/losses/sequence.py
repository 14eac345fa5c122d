"""Losses on sequences: alignments, shifts in time, sparse teachers, and whole-sequence likelihoods.

Letters: n sequences, t steps, C classes; logits have the classes last: (n, t, C).
"""
# ruff: noqa: F722, F821

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.errors import UserError, need_same_shape
from limbeck.losses.response import ROUNDING, cross_entropy, kl_of_logs, log_pair, weighed
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import upcast


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source="Graves et al. 2006 (CTC), ICML")
def ctc(
    student: Float[Tensor, "n t classes"],
    labels: Int[Tensor, "n l"],
    student_lengths: Int[Tensor, "n"] | None = None,
    label_lengths: Int[Tensor, "n"] | None = None,
    *,
    blank: int = 0,
) -> Float[Tensor, "n"]:
    """Connectionist temporal classification: −log of the summed probability of all alignments of the labels.

    student: logits, n first. labels: without blanks, padded; -100 marks padding when no label_lengths come.
    student_lengths: valid steps, all by default. blank: its class number. Not divided by the length; infinite
    where the labels do not fit into the steps. Graves et al. 2006, ICML.

    >>> ctc(torch.zeros(1, 2, 2), torch.tensor([[1, -100]]))
    tensor([0.2877])
    """
    if student.ndim != 3 or labels.ndim != 2 or student.shape[0] != labels.shape[0]:
        shapes = f"student {tuple(student.shape)} and labels {tuple(labels.shape)}"
        raise UserError(f"ctc: {shapes} do not fit; give logits (n, t, classes) and padded labels (n, l)")
    if student_lengths is None:
        student_lengths = torch.full((student.shape[0],), student.shape[1], device=student.device)
    if label_lengths is None:
        label_lengths = (labels != -100).sum(1)
    log_q = upcast(student).log_softmax(-1).transpose(0, 1)
    filled = labels.masked_fill(labels == -100, 1 if blank == 0 else 0)
    return F.ctc_loss(log_q, filled, student_lengths, label_lengths, blank=blank, reduction="none")


@loss(family="divergence", knowledge=None, over="classes", source="Kurata & Audhkhasi 2018, SLT")
def delayed_kl(
    student: Float[Tensor, "n t classes"], teacher: Float[Tensor, "n t classes"], *, delay: int = 4, temperature: float = 1.0
) -> Float[Tensor, "n t"]:
    """KL to the best of the next student frames: min_{0≤d≤D} KL(p_t ‖ q_{t+d}) for every teacher frame t.

    A one-directional student answers later than its bidirectional teacher. student, teacher: logits. delay: D ≥ 0
    frames (a reading of the paper; 4 is limbeck's choice). temperature: T > 0. Frames past the end do not count.
    Zero at a match. Raises `UserError` on unequal shapes. Kurata & Audhkhasi 2018, SLT.

    >>> late = torch.tensor([[[0.0, 0.0], [2.0, 0.0]]])
    >>> delayed_kl(late, late.flip(1), delay=1)
    tensor([[0.0000, 0.4338]])
    """
    log_q, log_p = log_pair("delayed_kl", student, teacher, temperature)
    steps = torch.arange(log_q.shape[1], device=log_q.device)
    shifted = steps.unsqueeze(1) + torch.arange(delay + 1, device=log_q.device)
    late = log_q[:, shifted.clamp_max(len(steps) - 1)]
    values = kl_of_logs(log_p.unsqueeze(2), late)
    return values.masked_fill(shifted >= len(steps), torch.inf).amin(-1)


@loss(family="divergence", knowledge=None, over="classes", source="tail bucket as in huggingface/trl server distillation")
def top_k_kl(
    student: Float[Tensor, "*n classes"],
    indices: Int[Tensor, "*n k"],
    probabilities: Float[Tensor, "*n k"],
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "*n"]:
    """KL to a stored top-k answer: Σ_k p_k log(p_k/q_k) + r log(r/r_q), r = 1 − Σ p_k and r_q the student's mass elsewhere.

    The tail bucket makes a perfect match a stationary point, which plain top-k (renormalised or not) is not.
    student: logits. indices: distinct classes. probabilities: the teacher's, at the same temperature T > 0.
    Raises `UserError` if indices and probabilities differ in shape or do not fit the logits.

    >>> top_k_kl(torch.zeros(1, 4), torch.tensor([[2]]), torch.tensor([[0.5]]))
    tensor([0.1438])
    """
    need_same_shape("top_k_kl", indices, probabilities)
    if indices.shape[:-1] != student.shape[:-1]:
        need_same_shape("top_k_kl", student, indices)
    probabilities = upcast(probabilities)
    log_q = (upcast(student) / temperature).log_softmax(-1)
    value = torch.xlogy(probabilities, probabilities).sum(-1) - weighed(probabilities, log_q.gather(-1, indices))
    if indices.shape[-1] == student.shape[-1]:
        return value
    tail = (1 - probabilities.sum(-1)).clamp_min(0.0)
    others = log_q.scatter(-1, indices, -torch.inf)
    none = others.isneginf().all(-1) & (tail < ROUNDING)  # a tail that neither side has
    log_tail = others.masked_fill(none.unsqueeze(-1), 0.0).logsumexp(-1)
    return value + (torch.xlogy(tail, tail) - tail * log_tail).masked_fill(none, 0.0)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    minimum=None,
    source="Kim & Rush 2016 (SeqKD), https://arxiv.org/abs/1606.07947",
)
def sequence_nll(
    student: Float[Tensor, "n t classes"], labels: Int[Tensor, "n t"], *, per_token: bool = False
) -> Float[Tensor, "n"]:
    """Negative log-likelihood of a whole sequence: −Σ_t log q_t(y_t), for labels a teacher wrote.

    student: logits. labels: class numbers; -100 is left out. per_token: divide by the number of labels left.
    Raises `UserError` if the labels do not fit. Kim & Rush 2016, https://arxiv.org/abs/1606.07947.

    >>> sequence_nll(torch.zeros(1, 3, 2), torch.tensor([[1, 0, -100]]))
    tensor([1.3863])
    """
    total = cross_entropy(student, labels).sum(-1)
    return total / (labels != -100).sum(-1).clamp_min(1) if per_token else total


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    minimum=None,
    source="Mun'im, Inoue & Shinoda 2019, https://arxiv.org/abs/1811.04531",
)
def n_best_nll(
    student: Float[Tensor, "n k t classes"], labels: Int[Tensor, "n k t"], shares: Float[Tensor, "n k"]
) -> Float[Tensor, "n"]:
    """Negative log-likelihood of the k best strings a teacher wrote: −Σ_k w_k Σ_t log q_t(ŷ_k,t).

    student: logits of each string's words, knowing those before them. labels: class numbers; -100 is left out.
    shares: w ≥ 0 of each string. Raises `UserError` if the labels do not fit. Mun'im et al. 2019, ICASSP.

    >>> n_best_nll(torch.zeros(1, 2, 2, 2), torch.tensor([[[1, 0], [1, -100]]]), torch.tensor([[0.5, 0.5]]))
    tensor([1.0397])
    """
    if shares.shape != labels.shape[:2]:
        shapes = f"labels {tuple(labels.shape)} and shares {tuple(shares.shape)}"
        raise UserError(f"n_best_nll: {shapes} do not fit; give a share for each of the k strings of a sample")
    return (shares * cross_entropy(student, labels).sum(-1)).sum(-1)
