"""Divergences of rows of log-probabilities with their slopes, worked out in place: what `limbeck.losses.chunked` runs on a chunk.

A rule takes log q and log p (c, V) at one temperature and a spare tensor of that size, all of which it may overwrite, and gives
the values (c,) and their slopes with respect to the student's logits over T, (c, V). Letters: c rows of a chunk, V words.
"""

from collections.abc import Callable
from functools import partial
from math import log

import torch
from torch import Tensor

from limbeck.losses import divergence, response
from limbeck.losses.response import ROUNDING
from limbeck.transforms.facts import plain

Rule = Callable[..., tuple[Tensor, Tensor]]


def kl(log_q: Tensor, log_p: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
    """KL(p || q)."""
    p = torch.exp(log_p, out=spare)
    value = _dot(p, _where(p, log_p.sub_(log_q)))
    return value, log_q.exp_().sub_(p)


def reverse_kl(log_q: Tensor, log_p: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
    """KL(q || p)."""
    q = torch.exp(log_q, out=spare)
    slope = _where(q, log_q.sub_(log_p))
    value = _dot(q, slope)
    return value, slope.sub_(value[:, None]).mul_(q)


def jsd(beta: float) -> Rule:
    """b KL(p || m) + (1 - b) KL(q || m), m = b p + (1 - b) q, 0 < b < 1."""

    def rule(log_q: Tensor, log_p: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
        log_m = torch.logaddexp(log_p + log(beta), log_q + log(1 - beta))
        p, q = torch.exp(log_p, out=spare), log_q.exp()
        slope = _where(q, log_q.sub_(log_m))  # log q - log m
        inner = _dot(q, slope)
        value = beta * _dot(p, _where(p, log_p.sub_(log_m))) + (1 - beta) * inner
        return value, slope.sub_(inner[:, None]).mul_(q).mul_(1 - beta)

    return rule


def skew(alpha: float) -> Rule:
    """KL(p || a p + (1 - a) q), 0 <= a < 1."""

    def rule(log_q: Tensor, log_p: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
        mixed = log_q + log(1 - alpha)
        log_m = torch.logaddexp(log_p + log(alpha), mixed) if alpha else mixed
        p = torch.exp(log_p, out=spare)
        value = _dot(p, _where(p, log_p.sub_(log_m)))
        pull = _where(p, mixed.sub_(log_m).exp_()).mul_(p)  # p (1 - a) q / m
        return value, log_q.exp_().mul_(pull.sum(1, keepdim=True)).sub_(pull)

    return rule


def skew_reverse(alpha: float) -> Rule:
    """KL(q || a q + (1 - a) p), 0 < a < 1."""

    def rule(log_q: Tensor, log_p: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
        own = log_q + log(alpha)
        log_m = torch.logaddexp(log_p.add_(log(1 - alpha)), own)
        q = torch.exp(log_q, out=spare)
        gap = _where(q, log_q.sub_(log_m))  # log q - log m
        value = _dot(q, gap)
        slope = gap.sub_(_where(q, own.sub_(log_m).exp_()))  # with what m moves along: - a q / m, whose constant falls out
        return value, slope.sub_(_dot(q, slope)[:, None]).mul_(q)

    return rule


def total_variation(log_q: Tensor, log_p: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
    """Half of the sum of |p - q|."""
    q = log_q.exp_()
    gap = torch.sub(q, log_p.exp_(), out=spare)
    value = gap.abs().sum(1) / 2
    slope = gap.sign_().div_(2)
    return value, slope.sub_(_dot(q, slope)[:, None]).mul_(q)


def top_k(log_q: Tensor, indices: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """The KL between k kept words (c, k) and one bucket for the rest of the mass."""
    kept = log_q.gather(1, indices)
    others = log_q.scatter(1, indices, float("-inf"))
    log_rest = others.logsumexp(1)
    rest = (1 - p.sum(1)).clamp_min(0)
    tiny = torch.finfo(p.dtype).tiny
    value = (p * _where(p, p.clamp_min(tiny).log() - kept)).sum(1)
    there = (rest > 0) & ~(log_rest.isneginf() & (rest < ROUNDING))  # else a rest that neither side has
    value = value + torch.where(there, rest * (rest.clamp_min(tiny).log() - log_rest), 0.0)
    slope = torch.exp(log_q)
    slope -= rest[:, None] * (others - log_rest[:, None]).exp_().nan_to_num_(0.0)
    slope.scatter_(1, indices, kept.exp() - p)
    return value, slope


def right(log_q: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """-log q of the right word (c,); 0 where the label is -100."""
    known, place = labels != -100, labels.clamp_min(0)[:, None]
    value = torch.where(known, -log_q.gather(1, place)[:, 0], 0.0)
    slope = log_q.exp_()
    slope.scatter_add_(1, place, torch.full_like(place, -1, dtype=slope.dtype))
    return value, slope.mul_(known[:, None])


def of_drawn(log_q: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of -log q over k words (c, k) that were drawn from p: an unbiased estimate of the cross-entropy to p."""
    share = 1 / words.shape[1]
    value = -log_q.gather(1, words).mean(1)
    slope = log_q.exp_()
    return value, slope.scatter_add_(1, words, torch.full_like(words, -share, dtype=slope.dtype))


def rule_of(by: Callable[..., Tensor]) -> tuple[Rule, float, float] | None:
    """The rule of a loss of two sides' logits, its temperature, and what multiplies it; None where there is none.

    >>> rule_of(partial(response.soft_target, temperature=2.0))[1:]
    (2.0, 4.0)
    """
    given = dict(by.keywords) if isinstance(by, partial) else {}
    base = plain(by)
    heat = float(given.get("temperature", 4.0 if base is response.soft_target else 1.0))
    if base is response.kl or base is response.soft_target:
        return kl, heat, heat**2 if base is response.soft_target else 1.0
    if base is response.reverse_kl:
        return reverse_kl, heat, 1.0
    if base is divergence.total_variation:
        return total_variation, heat, 1.0
    alpha = float(given.get("alpha", 0.1))
    if base is divergence.skew_kl:
        return skew(alpha), heat, 1.0
    if base is divergence.skew_reverse_kl:
        return skew_reverse(alpha) if alpha else reverse_kl, heat, 1.0
    if base is divergence.jsd:
        beta = float(given.get("beta", 0.5))
        if beta in (0.0, 1.0):
            return kl if beta == 0 else reverse_kl, heat, 1.0
        return jsd(beta), heat, 1 / (beta * (1 - beta)) if given.get("normalised") else 1.0
    return None


def _where(p: Tensor, values: Tensor) -> Tensor:
    """Values in place, 0 where p = 0: a class that is ruled out adds nothing, though its logarithm is −inf."""
    return values.masked_fill_(p == 0, 0.0)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Row by row sum of a * b, (c, V) and (c, V) -> (c,), without a third tensor of that size."""
    return torch.bmm(a[:, None], b[:, :, None])[:, 0, 0]
