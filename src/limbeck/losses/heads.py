"""Losses of whole answers, worked out from what goes into a network's last layer: chunk by chunk of tokens, never all logits.

Where a role's logits are a linear layer of what is tapped before it, every loss of one value per token can be had from there: the
logits of a chunk, the values and their slopes, and at once the gradients of that layer and of its input. What comes out is the
SUM over the tokens that count, so that batches cut into pieces, or spread over processes, give the gradient of the whole.
Letters: n rows, T places, t of the n T tokens count, d and e widths of student and teacher, V words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limbeck.losses import response, rules
from limbeck.losses.chunked import factors, log_softmax_, product
from limbeck.losses.traits import Traits, traits_of
from limbeck.transforms.facts import attach, call_text, plain

CHUNK = {"cpu": 128}  # tokens at a time; 512 elsewhere
Reader = Callable[[Callable[[object], object]], object]


@dataclass(frozen=True)
class Head:
    """A role's last layer: logits z = cap tanh(s (W h + b) / cap), of which the first `words` are read; cap None for none.

    path: the layer. weight, bias: its parameters by path, "" where it has none.
    """

    path: str
    weight: str
    bias: str
    words: int
    scale: float = 1.0
    cap: float | None = None


@dataclass(frozen=True)
class Part:
    """A loss of answers: weight x by(**inputs). inputs: by name, a function from (what an answer or a value is) to the input.

    logits: names of inputs that are a role's plain logits, with the role and whether it learns from this. others: names of inputs
    that are values, with theirs.
    """

    name: str
    weight: float
    by: Callable[..., Tensor]
    inputs: Mapping[str, Reader]
    logits: Mapping[str, tuple[str, bool]]
    others: Mapping[str, str]


class OnHeads:
    """The weighted sum of losses over all tokens that count, from inputs of heads.

    Called with `ROLE hidden` (n, T, d) for every role of `heads`, `ROLE weight` (V or more, d), `ROLE bias` where it has one, the
    values that parts read, and mask (n, T). Returns the sum; `sums` then holds that of each part, without its weight.
    """

    def __init__(self, parts: Sequence[Part], heads: Mapping[str, Head]):
        self.parts, self.heads = tuple(parts), dict(heads)
        self.sums: dict[str, Tensor] = {}
        found = [traits_of(part.by) for part in parts]
        first = next((traits for traits in found if traits is not None), None)
        attach(self, Traits(family=first.family if first else "divergence", over="classes", knowledge=None, summed=True))

    @property
    def __name__(self) -> str:
        return " + ".join(call_text(part.by) for part in self.parts)

    def __call__(self, *, mask: Tensor, **values: Tensor) -> Tensor:
        counts = mask.flatten().bool()
        chosen = counts.nonzero()[:, 0] if counts.device.type == "cpu" and not bool(counts.all()) else None
        names, tensors = [], []
        for name, value in values.items():
            rows = isinstance(value, Tensor) and value.shape[: mask.dim()] == mask.shape
            flat = value.flatten(0, mask.dim() - 1) if rows else value
            names.append((name, rows))
            tensors.append(flat[chosen] if rows and chosen is not None else flat)
        share = counts if chosen is None else None
        total, *sums = _Sum.apply(self, tuple(names), share, *tensors)
        self.sums = {part.name: value for part, value in zip(self.parts, sums, strict=True)}
        return total


class _Side:
    """One role's head on the rows of a chunk, and the gradients that gather in it."""

    def __init__(self, head: Head, given: Mapping[str, Tensor], role: str, learns: bool, room: int):
        hidden, weight = given[f"{role} hidden"], given[f"{role} weight"]
        bias = given.get(f"{role} bias")
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        self.head, self.dtype = head, dtype
        self.states, self.w = factors(hidden.detach(), weight.detach()[: head.words], dtype)
        self.b = None if bias is None else bias.detach()[: head.words].to(dtype)
        self.buffer = torch.empty(room, len(self.w), dtype=dtype, device=hidden.device)
        self.hidden = torch.empty_like(self.states) if learns else None
        self.weight = torch.zeros_like(weight, dtype=self.w.dtype) if learns else None
        self.bias = None if self.b is None or not learns else torch.zeros_like(bias, dtype=dtype)  # type: ignore[arg-type]

    def logits(self, rows: slice) -> Tensor:
        h = self.states[rows]
        z = self.buffer[: len(h)]
        product(h, self.w.T, z)
        if self.b is not None:
            z.add_(self.b)
        if self.head.scale != 1.0:
            z.mul_(self.head.scale)
        if self.head.cap is not None:
            z.div_(self.head.cap).tanh_().mul_(self.head.cap)
        return z

    def back(self, slope: Tensor, bend: Tensor | None, rows: slice) -> None:
        """Gather the gradients; slope (c, V) with respect to the logits, bend: the slope of the cap."""
        if bend is not None:
            slope = slope * bend
        if self.head.scale != 1.0:
            slope = slope * self.head.scale
        slope = slope.to(self.states.dtype)
        assert self.hidden is not None and self.weight is not None
        torch.mm(slope, self.w, out=self.hidden[rows])
        self.weight[: self.head.words].addmm_(slope.T, self.states[rows])
        if self.bias is not None:
            self.bias[: self.head.words] += slope.sum(0).to(self.bias.dtype)


class _Sum(torch.autograd.Function):
    """(loss, names, share, tensors) -> the weighted total and each part's sum; gradients are formed on the way."""

    @staticmethod
    def forward(ctx: Any, loss: OnHeads, names: tuple[tuple[str, bool], ...], share: Tensor | None, *tensors: Any) -> Any:
        given = {name: tensor for (name, _), tensor in zip(names, tensors, strict=True)}
        by_rows = {name for name, rows in names if rows}
        place = {name: k for k, (name, _) in enumerate(names)}
        needs = {name: bool(ctx.needs_input_grad[3 + k]) for name, k in place.items()}
        first = given[f"{next(iter(loss.heads))} hidden"]
        count, chunk = len(first), CHUNK.get(first.device.type, 512)
        learns = {role: needs[f"{role} hidden"] or needs[f"{role} weight"] for role in loss.heads}
        room = min(chunk, count)
        sides = {role: _Side(head, given, role, learns[role], room) for role, head in loss.heads.items()}
        totals = [first.new_zeros((), dtype=torch.promote_types(first.dtype, torch.float32)) for _ in loss.parts]
        with torch.autocast(first.device.type, enabled=False):
            for start in range(0, count, chunk):
                rows = slice(start, start + chunk)
                values = {name: tensor[rows] if name in by_rows else tensor for name, tensor in given.items()}
                _chunk(loss, sides, learns, values, None if share is None else share[rows], rows, totals)
        saved, kinds = [], []
        for name, _ in names:
            role, _, what = name.rpartition(" ")
            grad = getattr(sides[role], what) if role in sides and what in ("hidden", "weight", "bias") and needs[name] else None
            saved.append(grad)
            kinds.append(given[name].dtype if isinstance(given[name], Tensor) else None)
        ctx.where = [k for k, grad in enumerate(saved) if grad is not None]
        ctx.kinds, ctx.count = kinds, len(names)
        ctx.save_for_backward(*(grad for grad in saved if grad is not None))
        weighted = torch.stack([part.weight * total for part, total in zip(loss.parts, totals, strict=True)]).sum()
        ctx.mark_non_differentiable(*totals)
        return (weighted, *totals)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor, *_: Any) -> Any:
        found: list[Tensor | None] = [None] * ctx.count
        plain_one = upstream.device.type == "cpu" and bool(upstream == 1)
        for k, grad in zip(ctx.where, ctx.saved_tensors, strict=True):
            found[k] = (grad if plain_one else grad * upstream).to(ctx.kinds[k])
        return (None, None, None, *found)


def _chunk(
    loss: OnHeads,
    sides: Mapping[str, _Side],
    learns: Mapping[str, bool],
    values: Mapping[str, Any],
    share: Tensor | None,
    rows: slice,
    totals: list[Tensor],
) -> None:
    """Values of one chunk go to the totals, slopes to the sides."""
    logits = {role: side.logits(rows) for role, side in sides.items()}
    bends = {role: None if side.head.cap is None else 1 - (logits[role] / side.head.cap).square() for role, side in sides.items()}
    uses = [role for part in loss.parts for role, _ in part.logits.values()]
    slopes: dict[str, Tensor] = {}

    def take(role: str) -> Tensor:
        """A role's logits, to be overwritten: the last who asks gets them as they are."""
        uses.remove(role)
        return logits[role].clone() if role in uses else logits[role]

    for k, part in enumerate(loss.parts):
        quick = _quick(part, values, take)
        value, own = quick if quick is not None else _slow(part, values, take, learns)
        if share is not None:
            value = torch.where(share, value, 0.0)
        totals[k] += value.sum()
        for role, slope in own.items():
            if share is not None:
                slope.masked_fill_(~share[:, None], 0.0)
            if part.weight != 1.0:
                slope.mul_(part.weight)
            slopes[role] = slope if role not in slopes else slopes[role].add_(slope)
    for role, slope in slopes.items():
        if learns[role]:
            sides[role].back(slope, bends[role], rows)


Values = tuple[Tensor, dict[str, Tensor]]


def _quick(part: Part, values: Mapping[str, Any], take: Callable[[str], Tensor]) -> Values | None:
    """By a rule that works in place, where a part has one."""
    base, student = plain(part.by), part.logits.get("student")
    if student is None or not student[1]:
        return None
    if base is response.cross_entropy and not getattr(part.by, "keywords", None) and "labels" in part.others:
        z = take(student[0])
        log_q, _ = log_softmax_(z, 1.0, torch.empty_like(z))
        value, slope = rules.right(log_q, values[part.others["labels"]])
        return value, {student[0]: slope}
    if base is response.drawn_cross_entropy and "words" in part.others:
        heat, power = (float(getattr(part.by, "keywords", {}).get(k, d)) for k, d in (("temperature", 1.0), ("power", 0.0)))
        z = take(student[0])
        log_q, _ = log_softmax_(z, heat, torch.empty_like(z))
        value, slope = rules.of_drawn(log_q, values[part.others["words"]].long())
        return value.mul_(heat**power), {student[0]: slope.mul_(heat ** (power - 1))}
    found = rules.rule_of(part.by)
    teacher = part.logits.get("teacher")
    if found is None or set(part.inputs) != {"student", "teacher"} or not (teacher or "teacher" in part.others):
        return None
    if teacher is not None and teacher[1]:
        return None
    rule, heat, factor = found
    z = take(student[0])
    other = take(teacher[0]) if teacher is not None else values[part.others["teacher"]].to(z.dtype).clone()
    log_q, spare = log_softmax_(z, heat, torch.empty_like(z))
    log_p, spare = log_softmax_(other, heat, spare)
    value, slope = rule(log_q, log_p, spare)
    return value.mul(factor) if factor != 1.0 else value, {student[0]: slope.mul_(factor / heat) if factor != heat else slope}


def _slow(part: Part, values: Mapping[str, Any], take: Callable[[str], Tensor], learns: Mapping[str, bool]) -> Values:
    """By differentiation of the loss itself, on the logits of this chunk alone."""
    roles = list(dict.fromkeys(role for role, _ in part.logits.values()))
    with torch.enable_grad():
        leaves = {}
        for role in roles:
            held = [take(role) for r, _ in part.logits.values() if r == role][-1]
            leaves[role] = held.detach().requires_grad_(learns[role])
        found = {name: read(lambda key: leaves[key] if key in leaves else values[str(key)]) for name, read in part.inputs.items()}
        value = part.by(**found)
        wanted = [role for role in roles if learns[role]]
        grads = (
            torch.autograd.grad(value.sum(), [leaves[role] for role in wanted], allow_unused=True) if value.requires_grad else ()
        )
    return value.detach(), {role: grad for role, grad in zip(wanted, grads, strict=False) if grad is not None}
