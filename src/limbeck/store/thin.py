"""Soft labels of many classes, kept as the k most probable and one bucket for the rest of the mass."""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from limbeck import losses
from limbeck.plan import Method, Term
from limbeck.plan.taps import Source, Tap, Via, detach
from limbeck.transforms import top_k_with_tail

FACTOR = {losses.soft_target: 2, losses.kl: 0}  # the power of T that each multiplies by


def top_of(logits: Tensor, *, k: int, temperature: float) -> Tensor:
    """(*n, classes) logits as (*n, 2 k) float32: class numbers (exact below 2^24), then probabilities at T."""
    indices, kept, _ = top_k_with_tail(logits, min(k, logits.shape[-1]), temperature=temperature)
    return torch.cat([indices.float(), kept.float()], -1)


def soft_top(student: Tensor, top: Tensor, *, temperature: float, power: int) -> Tensor:
    """T^power KL of the student to what `top_of` kept: one value per sample, stationary at a perfect match."""
    indices, kept = top.chunk(2, dim=-1)
    return temperature**power * losses.top_k_kl(student, indices.long(), kept, temperature=temperature)


def thin(method: Method, k: int, frozen: set[str]) -> Method:
    """The method with every KL to a frozen role's logits replaced by one to its top k and their tail."""
    change = partial(_thinned, k=k, frozen=frozen)
    stages = (replace(s, updates=tuple(replace(u, terms=tuple(map(change, u.terms))) for u in s.updates)) for s in method.stages)
    return replace(method, stages=tuple(stages))


def _thinned(term: Term, *, k: int, frozen: set[str]) -> Term:
    by, bound = (term.by.func, term.by.keywords) if isinstance(term.by, partial) else (term.by, {})
    if by not in FACTOR or set(term.inputs) != {"student", "teacher"} or not _is_answer(term.inputs["teacher"], frozen):
        return term
    temperature: float = bound.get("temperature", 4.0 if by is losses.soft_target else 1.0)
    top = term.inputs["teacher"].via(partial(top_of, k=k, temperature=temperature))
    rule = partial(soft_top, temperature=temperature, power=FACTOR[by])
    return term.but(by=rule, inputs={"student": term.inputs["student"], "top": top})


def _is_answer(source: Source, frozen: set[str]) -> bool:
    """Whether a source is the logits of one frozen role, at most detached."""
    while isinstance(source, Via) and source.fn is detach:
        source = source.sources[0]
    return isinstance(source, Tap) and not source.path and source.role in frozen
