"""Language-model size: a linear head and a divergence together, in chunks of tokens, never two full logit tensors.

Letters: t tokens, d and e hidden sizes of student and teacher, V words, k kept words. The gradient is formed in
the forward pass, chunk by chunk and in place, so that nothing of size (t, V) is ever kept and nothing is computed
twice. Because the gradient of the head adds up over tokens, the tokens' weights must be known beforehand: the
result is one value, the weighted mean, not one value per token.
"""
# ruff: noqa: F722, F821

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import rules
from limbeck.losses.rules import Rule
from limbeck.losses.traits import loss


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    batchwise=True,
    source="Hinton et al. 2015; gradient in the forward pass after Hsu et al. 2024 (Liger), arXiv 2410.10989",
)
def linear_kl(
    student: Float[Tensor, "t d"],
    student_head: Float[Tensor, "V d"],
    teacher: Float[Tensor, "t e"],
    teacher_head: Float[Tensor, "V e"] | None = None,
    mask: Float[Tensor, "t"] | None = None,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> Float[Tensor, ""]:
    """Weighted mean over tokens of KL(p || q), q = softmax(h W^T / T), from hidden states and head.

    student, student_head: h and W; both receive gradients. teacher, teacher_head: the teacher's hidden states and
    head; without a head, `teacher` are its logits (t, V). mask: weight of each token, None for 1 each; their sum is
    the denominator. temperature: T > 0 (no T^2). chunk: tokens at a time, None for 128 on a CPU and
    512 elsewhere; memory is about 3 chunk V floats. 16-bit tensors on a GPU are multiplied as they are, with sums in float32; the
    gradient of the head is then rounded to 16 bits once per chunk.

    Raises `UserError` where the shapes do not fit.

    >>> h, w = torch.zeros(2, 3), torch.zeros(4, 3)
    >>> linear_kl(h, w, torch.zeros(2, 4))
    tensor(0.)
    """
    return _run(rules.kl, student, student_head, teacher, teacher_head, mask, temperature, chunk)


@loss(
    family="divergence",
    knowledge=None,
    over="classes",
    batchwise=True,
    source="Agarwal et al. 2024 (GKD), arXiv 2306.13649; the convention of `jsd`",
)
def linear_jsd(
    student: Float[Tensor, "t d"],
    student_head: Float[Tensor, "V d"],
    teacher: Float[Tensor, "t e"],
    teacher_head: Float[Tensor, "V e"] | None = None,
    mask: Float[Tensor, "t"] | None = None,
    *,
    beta: float = 0.5,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> Float[Tensor, ""]:
    """Weighted mean over tokens of b KL(p || m) + (1 - b) KL(q || m), m = b p + (1 - b) q, 0 < b < 1.

    The tensors are those of `linear_kl`.

    >>> linear_jsd(torch.zeros(2, 3), torch.zeros(4, 3), torch.zeros(2, 4))
    tensor(0.)
    """
    if not 0 < beta < 1:
        raise UserError(f"linear_jsd: beta must lie between 0 and 1, got {beta}; its ends are linear_kl and a reverse KL")
    return _run(rules.jsd(beta), student, student_head, teacher, teacher_head, mask, temperature, chunk)


@loss(family="divergence", knowledge=None, over="classes", batchwise=True, source="Ko et al. 2024 (DistiLLM), arXiv 2402.03898")
def linear_skew_kl(
    student: Float[Tensor, "t d"],
    student_head: Float[Tensor, "V d"],
    teacher: Float[Tensor, "t e"],
    teacher_head: Float[Tensor, "V e"] | None = None,
    mask: Float[Tensor, "t"] | None = None,
    *,
    alpha: float = 0.1,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> Float[Tensor, ""]:
    """Weighted mean over tokens of KL(p || a p + (1 - a) q), 0 <= a < 1. The tensors are those of `linear_kl`.

    >>> linear_skew_kl(torch.zeros(2, 3), torch.zeros(4, 3), torch.zeros(2, 4))
    tensor(0.)
    """
    if not 0 <= alpha < 1:
        raise UserError(f"linear_skew_kl: alpha must be at least 0 and below 1, got {alpha}")
    return _run(rules.skew(alpha), student, student_head, teacher, teacher_head, mask, temperature, chunk)


@loss(family="divergence", knowledge=None, over="classes", batchwise=True, source="`top_k_kl` on a linear head")
def linear_top_k_kl(
    student: Float[Tensor, "t d"],
    student_head: Float[Tensor, "V d"],
    indices: Int[Tensor, "t k"],
    probabilities: Float[Tensor, "t k"],
    mask: Float[Tensor, "t"] | None = None,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> Float[Tensor, ""]:
    """Weighted mean over tokens of the KL between k kept words and one bucket for the rest of the mass.

    indices, probabilities: the teacher's most probable words at this temperature, rows summing to at most 1; the
    remainder is the bucket's. A student that matches the teacher has a zero gradient.

    >>> h, w = torch.zeros(1, 3), torch.zeros(4, 3)
    >>> linear_top_k_kl(h, w, torch.tensor([[2, 0]]), torch.tensor([[0.25, 0.25]]))
    tensor(0.)
    """
    _fit("linear_top_k_kl", student, student_head, mask)
    if indices.shape != probabilities.shape or len(indices) != len(student):
        raise UserError(
            f"linear_top_k_kl: indices {tuple(indices.shape)} and probabilities {tuple(probabilities.shape)} must be (t, k)"
        )

    def rule(log_q: Tensor, rows: slice, *_: Tensor) -> tuple[Tensor, Tensor]:
        return rules.top_k(log_q, indices[rows], probabilities[rows].to(log_q.dtype))

    return _Chunked.apply(student, student_head, rule, _weights(student, mask), temperature, chunk)


# ------------------------------------------------------------------------------------------- the machinery


def _run(
    rule: Rule,
    student: Tensor,
    head: Tensor,
    teacher: Tensor,
    teacher_head: Tensor | None,
    mask: Tensor | None,
    temperature: float,
    chunk: int | None,
) -> Tensor:
    _fit("linear divergence", student, head, mask)
    width = teacher.shape[-1] if teacher_head is None else len(teacher_head)
    if (
        len(teacher) != len(student)
        or width != len(head)
        or (teacher_head is not None and teacher_head.shape[1] != teacher.shape[1])
    ):
        given = "" if teacher_head is None else f" with head {tuple(teacher_head.shape)}"
        raise UserError(
            f"linear divergence: teacher {tuple(teacher.shape)}{given} does not fit {len(student)} tokens and {len(head)} words"
        )

    def with_teacher(log_q: Tensor, rows: slice, other: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
        if teacher_head is None:
            other.copy_(teacher[rows].detach())
        else:
            z, w = factors(teacher[rows].detach(), teacher_head.detach(), log_q.dtype)
            product(z, w.T, other)
        return rule(log_q, *log_softmax_(other, temperature, spare))

    return _Chunked.apply(student, head, with_teacher, _weights(student, mask), temperature, chunk)


def _fit(who: str, student: Tensor, head: Tensor, mask: Tensor | None) -> None:
    if student.dim() != 2 or head.dim() != 2 or student.shape[1] != head.shape[1]:
        raise UserError(f"{who}: hidden states {tuple(student.shape)} and head {tuple(head.shape)} must be (t, d) and (V, d)")
    if mask is not None and mask.shape != student.shape[:1]:
        raise UserError(f"{who}: mask {tuple(mask.shape)} must have one weight per token, ({len(student)},)")


def _weights(student: Tensor, mask: Tensor | None) -> Tensor:
    dtype = torch.promote_types(student.dtype, torch.float32)
    weights = torch.ones(len(student), dtype=dtype, device=student.device) if mask is None else mask.to(dtype)
    total = weights.sum()
    return weights / torch.where(total > 0, total, torch.ones_like(total))


def log_softmax_(z: Tensor, temperature: float, spare: Tensor) -> tuple[Tensor, Tensor]:
    """log softmax(z / T) in one of the two, and the other one, which is free again."""
    if temperature != 1.0:
        z.div_(temperature)
    if z.device.type != "cpu":
        return torch.log_softmax(z, 1, out=spare), z
    z.sub_(z.amax(1, keepdim=True))
    return z.sub_(torch.exp(z, out=spare).sum(1, keepdim=True).log_()), spare


def factors(left: Tensor, right: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The two in one precision: 16 bits stay on a GPU, which sums their products in float32; all else becomes `dtype`."""
    short = left.dtype == right.dtype and left.dtype in (torch.bfloat16, torch.float16) and left.device.type == "cuda"
    return (left, right) if short else (left.to(dtype), right.to(dtype))


def product(left: Tensor, right: Tensor, out: Tensor) -> None:
    """left @ right into `out`, whose precision may be higher than the factors'."""
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    else:
        torch.mm(left, right, out.dtype, out=out)


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, rule: Rule, weights: Tensor, temperature: float, chunk: int | None
    ) -> Tensor:
        dtype, chunk = weights.dtype, chunk or (128 if hidden.device.type == "cpu" else 512)
        states, w = factors(hidden.detach(), head.detach(), dtype)
        need_hidden, need_head = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(states) if need_hidden else None
        grad_head = torch.zeros_like(w) if need_head else None
        total = weights.new_zeros(())
        buffers = [weights.new_empty(min(chunk, len(hidden)), len(w)) for _ in range(3)]
        for start in range(0, len(hidden), chunk):
            rows = slice(start, start + chunk)
            h = states[rows]
            z, other, spare = (buffer[: len(h)] for buffer in buffers)
            product(h, w.T, z)
            log_q, spare = log_softmax_(z, temperature, spare)
            value, slope = rule(log_q, rows, other, spare)
            share = weights[rows]
            used = share != 0
            total += torch.where(used, value, 0.0) @ share
            slope = slope.mul_((share / temperature)[:, None])
            if not bool(used.all()):
                slope[~used] = 0.0
            slope = slope.to(h.dtype)
            if grad_hidden is not None:
                torch.mm(slope, w, out=grad_hidden[rows])
            if grad_head is not None:
                grad_head.addmm_(slope.T, h)
        ctx.save_for_backward(*(g for g in (grad_hidden, grad_head) if g is not None))
        ctx.kinds = (hidden.dtype, head.dtype)
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        saved, plain, grads = list(ctx.saved_tensors), bool(upstream == 1), []
        for need, kind in zip(ctx.needs_input_grad, ctx.kinds, strict=False):
            grad = saved.pop(0) if need else None
            grads.append(grad if grad is None else (grad if plain else grad * upstream).to(kind))
        return (*grads, None, None, None, None)
