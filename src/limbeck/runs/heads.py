"""Language models without full logits: terms that compare answers become terms on what goes into the models' last layers.

Which layer that is, is not looked up by a model's name: a linear layer is taken for a role's head where the role's own logits are
what it makes of its input, on a few tokens of the data, and terms are replaced where they give the same value there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from limbeck.engine.check import quiet
from limbeck.losses.heads import Head, OnHeads, Part
from limbeck.losses.traits import traits_of
from limbeck.plan import Method, Term
from limbeck.plan.kinds import Batch
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Weight
from limbeck.plan.taps import Source, State, Tap, Via, detach, modules_of

FEW = 8  # tokens on which a head is tried
SAME = 1e-3  # relative to the largest logit, or to the value of a term


@dataclass(frozen=True)
class Heads:
    """The heads that were found, by role, and a sentence for each role that has none."""

    found: Mapping[str, Head]
    notes: tuple[str, ...] = ()

    def lean(self, method: Method, *, join: bool = True) -> Method:
        """The method with its terms on heads; join: those of an update that count the same tokens as one term."""
        if not self.found:
            return method
        made = partial(_joined, heads=self.found, join=join)
        stages = (
            replace(s, updates=tuple(u if u.apply else replace(u, terms=made(u.terms)) for u in s.updates)) for s in method.stages
        )
        return method.but(stages=tuple(stages))


def find_heads(cast: Cast, batch: Batch, words: int) -> Heads:
    """Look for every role's head on the first tokens of a batch.

    Args:
        batch: with inputs (n, T) and labels (n, T). words: V of the data, the logits that are read.
    """
    few = {key: value[:1, :FEW] if value.dim() > 1 else value[:1] for key, value in batch.items() if isinstance(value, Tensor)}
    found, notes = {}, []
    for role in cast:
        head = _head(cast, role, few["inputs"], words)
        if head is not None:
            found[role] = head
        elif any(True for _ in cast[role].parameters()):
            notes.append(f"{role}: its logits are not those of one linear layer, so all of them are kept at every step")
    return Heads(found, tuple(notes))


def _head(cast: Cast, role: str, inputs: Tensor, words: int) -> Head | None:
    """The last linear layer whose output is the role's logits, up to a factor and the cap that its configuration names."""
    module, seen = cast[role], []
    hooks = [
        layer.register_forward_hook(lambda _m, args, _out, path=path: seen.append((path, args[0])))
        for path, layer in module.named_modules()
        if type(layer) is nn.Linear and layer.out_features >= words and path
    ]
    try:
        with quiet(cast), torch.no_grad():
            wanted = cast.adapter_of(role).find_logits(cast.feed(role, inputs), role).flatten(0, 1)
    finally:
        for hook in hooks:
            hook.remove()
    paths = [path for path, _ in seen]
    for path, given in reversed(seen):
        if paths.count(path) == 1 and given.dim() == 3 and given.shape[:2].numel() == len(wanted):
            head = _fitted(module, path, given.flatten(0, 1), wanted, words)
            if head is not None:
                return head
    return None


def _fitted(module: nn.Module, path: str, given: Tensor, wanted: Tensor, words: int) -> Head | None:
    layer = module.get_submodule(path)
    assert isinstance(layer, nn.Linear)
    names = {id(tensor): name for name, tensor in (*module.named_parameters(), *module.named_buffers())}
    weight, bias = names.get(id(layer.weight)), "" if layer.bias is None else names.get(id(layer.bias))
    if weight is None or bias is None or layer._forward_hooks or layer._forward_pre_hooks:
        return None
    kind = torch.promote_types(layer.weight.dtype, torch.float32)
    given, wanted = given.to(kind), wanted.to(kind)
    with torch.no_grad():
        plain = torch.nn.functional.linear(given, layer.weight.to(kind), None if layer.bias is None else layer.bias.to(kind))
    plain, room = plain[:, :words], SAME * max(float(wanted.abs().max()), 1e-6)
    cap = getattr(getattr(module, "config", None), "final_logit_softcapping", None)
    flat = wanted if not cap else cap * (wanted / cap).clamp(-1 + 1e-6, 1 - 1e-6).atanh()
    scale = float((flat * plain).sum() / plain.square().sum().clamp_min(1e-12))
    scale = 1.0 if abs(scale - 1) < 1e-5 else float(f"{scale:.6g}")
    for limit in dict.fromkeys((cap or None, None)):
        made = plain * scale if limit is None else limit * (plain * scale / limit).tanh()
        if made.shape == wanted.shape and float((made - wanted).abs().max()) <= room:
            return Head(path, weight, bias, words, scale, limit)
    return None


# ---------------------------------------------------------------- terms


def _joined(terms: Sequence[Term], heads: Mapping[str, Head], join: bool) -> tuple[Term, ...]:
    """The terms that can be read from heads, joined where mask and steady weight allow; the others as they are."""
    groups: dict[tuple[str, str], list[Term]] = {}
    for term in terms:
        if _readable(term, heads):
            alone = "" if join and not callable(term.weight) else term.name
            groups.setdefault((str(term.mask), alone), []).append(term)
    made: list[Term] = []
    done: set[str] = set()
    for term in terms:
        group = next((group for group in groups.values() if term in group), None)
        if group is None:
            made.append(term)
        elif group[0].name not in done:
            done.add(group[0].name)
            made.append(_on_heads(group, heads))
    return tuple(made)


def _readable(term: Term, heads: Mapping[str, Head]) -> bool:
    """Whether a term compares answers token by token, all of them of roles with a head, through functions alone."""
    traits = traits_of(term.by)
    if term.mask is None or traits is None or traits.batchwise or traits.summed or traits.over != "classes":
        return False
    inside = [end for source in term.inputs.values() for end in _ends(source, heads)]
    taps = [end for end in inside if isinstance(end, Tap)]
    plain = bool(taps) and all(_of_head(tap, heads) for tap in taps)
    through = any(True for source in term.inputs.values() for _ in modules_of(source))
    return plain and not through and not term.batchwise and not any(isinstance(end, State) for end in inside)


def _of_head(source: Source, heads: Mapping[str, Head]) -> bool:
    """Whether a source is the answer of a role with a head."""
    if not isinstance(source, Tap) or source.role not in heads:
        return False
    return not source.path and source.io == "output" and source.on == "inputs"


def _ends(source: Source, heads: Mapping[str, Head]) -> Iterator[Source]:
    """What a source is worked out from: answers of heads, and what is read as it is: fields, and what nothing learns from."""
    if isinstance(source, Via) and (source.fn is not detach or _of_head(source.sources[0], heads)):
        for inner in source.sources:
            yield from _ends(inner, heads)
    else:
        yield source


def _on_heads(group: Sequence[Term], heads: Mapping[str, Head]) -> Term:
    """One term for a group of terms with the same mask."""
    sources: dict[str, Source] = {}
    others: dict[Source, str] = {}
    parts = []
    steady = len(group) > 1 or not callable(group[0].weight)
    for term in group:
        for end in (end for source in term.inputs.values() for end in _ends(source, heads)):
            if isinstance(end, Tap):
                sources |= _reading(end, heads[end.role])
            elif end not in others:
                others[end] = f"value {len(others)}"
        ends = {key: source for key, source in term.inputs.items() if source not in others}
        logits = {key: found for key, source in ends.items() if (found := _logits(source)) is not None}
        plain = {key: others[source] for key, source in term.inputs.items() if source in others}
        readers = {key: partial(_read, source, others) for key, source in term.inputs.items()}
        every = dict(logits) | _inner(term, logits, heads)
        own = float(term.weight) if steady and not callable(term.weight) else 1.0
        parts.append(Part(term.name, own, term.by, readers, every, plain))
    read = (end for term in group for source in term.inputs.values() for end in _ends(source, heads))
    roles = {end.role: heads[end.role] for end in read if isinstance(end, Tap)}
    sources |= {name: source for source, name in others.items()}
    weight: Weight = 1.0 if steady else group[0].weight
    name = " + ".join(term.name for term in group)
    return Term(name, OnHeads(parts, roles), weight=weight, mask=group[0].mask, **sources)


def _reading(tap: Tap, head: Head) -> dict[str, Source]:
    found: dict[str, Source] = {
        f"{tap.role} hidden": Tap(tap.role, head.path, on=tap.on, io="input", call=0),
        f"{tap.role} weight": State(tap.role, head.weight),
    }
    return found | ({f"{tap.role} bias": State(tap.role, head.bias)} if head.bias else {})


def _logits(source: Source) -> tuple[str, bool] | None:
    """(role, whether it learns) where a source is a role's answer as it is, or that without its graph."""
    learns = True
    while isinstance(source, Via) and source.fn is detach:
        source, learns = source.sources[0], False
    return (source.role, learns) if isinstance(source, Tap) else None


def _inner(term: Term, known: Mapping[str, tuple[str, bool]], heads: Mapping[str, Head]) -> dict[str, tuple[str, bool]]:
    """The answers that inputs are made of, which are no answers themselves."""
    rest = [source for key, source in term.inputs.items() if key not in known]
    roles = dict.fromkeys(end.role for source in rest for end in _ends(source, heads) if isinstance(end, Tap))
    return {f"in {role}": (role, False) for role in roles}


def _read(source: Source, others: Mapping[Source, str], value: Callable[[object], object]) -> object:
    """A source's value, where `value` knows roles' logits by role and other leaves by their names."""
    if source in others:
        return value(others[source])
    if isinstance(source, Tap):
        return value(source.role)
    assert isinstance(source, Via) and callable(source.fn)
    return source.fn(*(_read(inner, others, value) for inner in source.sources))
