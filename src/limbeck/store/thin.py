"""Soft labels of many classes, kept as k classes that were drawn from them, or as the k most probable and their rest.

The k most probable alone say nothing of the order among the others, which may hold most of the mass; classes that are drawn say a
little of all, and on average the truth (Anshumann et al. 2025, ACL, arXiv 2503.16870). Letters: n samples, V classes.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod

import torch
from torch import Tensor

from limbeck import losses
from limbeck.losses.traits import loss
from limbeck.plan import Method, Term
from limbeck.plan.taps import Field, Source, Tap, Via, detach
from limbeck.transforms import top_k_with_tail
from limbeck.transforms.draws import Draw
from limbeck.transforms.facts import plain

FACTOR: dict[object, int] = {losses.soft_target: 2, losses.kl: 0}  # the power of T that each multiplies by
CHUNK = 128  # places at a time


def top_of(logits: Tensor, *, k: int, temperature: float) -> Tensor:
    """(*n, classes) logits as (*n, 2 k) float32: class numbers (exact below 2^24), then probabilities at T."""
    indices, kept, _ = top_k_with_tail(logits, min(k, logits.shape[-1]), temperature=temperature)
    return torch.cat([indices.float(), kept.float()], -1)


@loss(family="divergence", knowledge=None, over="classes", source="`top_k_kl`")
def soft_top(student: Tensor, top: Tensor, *, temperature: float, power: int) -> Tensor:
    """T^power KL of the student to what `top_of` kept: one value per sample, stationary at a perfect match."""
    indices, kept = top.chunk(2, dim=-1)
    return temperature**power * losses.top_k_kl(student, indices.long(), kept, temperature=temperature)


def drawn_of(logits: Tensor, index: Tensor, *, k: int, temperature: float) -> Tensor:
    """(n, *places, k) int64 classes drawn from softmax(z / T), logits (n, *places, V), the same for the same sample number.

    A single random number for each place, from `index` (n,) alone, spaces k equal steps over the distribution: every class is
    drawn as often as its probability says, on average, and never more than one time too often or too seldom.
    """
    places = int(prod(logits.shape[1:-1]))
    start = Draw.of(0, index.to(logits.device), 0).uniform("words of a teacher", places).flatten()
    rows, found = logits.flatten(0, -2), []
    steps = torch.arange(k, device=logits.device, dtype=torch.float64)
    for first in range(0, len(rows), CHUNK):
        some = slice(first, first + CHUNK)
        whole = (rows[some].double() / temperature).softmax(-1).cumsum(-1)
        points = (steps + start[some, None]) / k * whole[:, -1:]
        found.append(torch.searchsorted(whole, points, right=True).clamp_max(logits.shape[-1] - 1))
    return torch.cat(found).view(*logits.shape[:-1], k)


def drawn(method: Method, k: int, frozen: set[str]) -> tuple[Method, dict[Term, Term]]:
    """The method with every KL to a frozen role replaced by one to k classes drawn from it, and what they stood for."""
    origins: dict[Term, Term] = {}

    def change(term: Term) -> Term:
        temperature = _temperature(term, frozen)
        if temperature is None:
            return term
        words = term.inputs["teacher"].via(partial(drawn_of, k=k, temperature=temperature), Field("index"))
        by = partial(losses.drawn_cross_entropy, temperature=temperature, power=float(FACTOR[plain(term.by)]))
        found = term.but(by=by, inputs={"student": term.inputs["student"], "words": words})
        origins[found] = term
        return found

    return _changed(method, change), origins


def thin(method: Method, k: int, frozen: set[str]) -> Method:
    """The method with every KL to a frozen role's logits replaced by one to its top k and their tail."""
    return _changed(method, partial(_thinned, k=k, frozen=frozen))


def _changed(method: Method, change: Callable[[Term], Term]) -> Method:
    stages = (replace(s, updates=tuple(replace(u, terms=tuple(map(change, u.terms))) for u in s.updates)) for s in method.stages)
    return replace(method, stages=tuple(stages))


def _thinned(term: Term, *, k: int, frozen: set[str]) -> Term:
    temperature = _temperature(term, frozen)
    if temperature is None:
        return term
    top = term.inputs["teacher"].via(partial(top_of, k=k, temperature=temperature))
    rule = partial(soft_top, temperature=temperature, power=FACTOR[plain(term.by)])
    return term.but(by=rule, inputs={"student": term.inputs["student"], "top": top})


def _temperature(term: Term, frozen: set[str]) -> float | None:
    """The temperature of a KL to a frozen role's logits; None for any other term."""
    by, bound = plain(term.by), term.by.keywords if isinstance(term.by, partial) else {}
    if by not in FACTOR or set(term.inputs) != {"student", "teacher"} or not _is_answer(term.inputs["teacher"], frozen):
        return None
    found: float = bound.get("temperature", 4.0 if by is losses.soft_target else 1.0)
    return found


def _is_answer(source: Source, frozen: set[str]) -> bool:
    """Whether a source is the logits of one frozen role, at most detached."""
    while isinstance(source, Via) and source.fn is detach:
        source = source.sources[0]
    return isinstance(source, Tap) and not source.path and source.role in frozen
