"""WHEN: who learns from what, in which order. A distillation method is a function that returns a `Method`.

Everything here is frozen data: it can be run, checked, printed, drawn, classified and searched over.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from limbeck.errors import UserError, unknown
from limbeck.plan.kinds import Batch, Value
from limbeck.plan.needs import Need, Stated
from limbeck.plan.roles import Cast, role_of
from limbeck.plan.schedules import Progress, Weight, times, weight_text
from limbeck.plan.taps import Source, State, Tap, functions_of, leaves, modules_of, replaced
from limbeck.transforms.facts import call_text, facts_of, plain

Rule = Callable[[int], tuple[float, str]]
"""From a number of classes to a setting's value, and why."""


class Term:
    """One comparison: `weight * mean(by(**inputs))`, over the samples or tokens that `mask` keeps.

    by: a loss that returns one value per sample or token (a `functools.partial` binds its settings).
    weight: a number, or a schedule called with the `Progress` of the stage.
    mask: a source of one entry per value; true or not 0 keeps the value (it chooses, it does not weigh).
    inputs: a source per tensor argument of `by`, checked against its signature here and now.
    """

    __slots__ = ("by", "inputs", "mask", "name", "weight")
    name: str
    by: Callable[..., Tensor]
    weight: Weight
    mask: Source | None
    inputs: Mapping[str, Source]

    def __init__(
        self, name: str, by: Callable[..., Tensor], *, weight: Weight = 1.0, mask: Source | None = None, **inputs: Source
    ):
        _check_keywords(name, by, inputs)
        for key, value in (("name", name), ("by", by), ("weight", weight), ("mask", mask), ("inputs", dict(inputs))):
            object.__setattr__(self, key, value)

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError("a Term cannot be changed; make a changed copy with Term.but(...)")

    def but(self, **changes: Value) -> "Term":
        """A copy with some of name, by, weight, mask, inputs changed."""
        now = {key: changes.get(key, getattr(self, key)) for key in Term.__slots__}
        return Term(now["name"], now["by"], weight=now["weight"], mask=now["mask"], **now["inputs"])

    def reading(self, swap: Mapping[Source, Source]) -> "Term":
        """The same term with other sources in place of the swapped ones."""
        mask = None if self.mask is None else replaced(self.mask, swap)
        return self.but(inputs={key: replaced(source, swap) for key, source in self.inputs.items()}, mask=mask)

    @property
    def sources(self) -> tuple[Source, ...]:
        return (*self.inputs.values(), *(() if self.mask is None else (self.mask,)))

    @property
    def batchwise(self) -> bool:
        """Whether a sample's value depends on its batch-mates: by the loss, or by what a source goes through."""
        through = (fn for source in self.sources for fn in functions_of(source))
        return any(facts_of(fn).batchwise for fn in (self.by, *through))

    def weight_at(self, progress: Progress) -> float:
        return float(self.weight(progress)) if callable(self.weight) else float(self.weight)

    def times(self, factor: float) -> "Term":
        """The same term with its weight times a number."""
        return self.but(weight=times(self.weight, factor) if callable(self.weight) else float(f"{self.weight * factor:.6g}"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        inputs = ", ".join(f"{k}={v}" for k, v in self.inputs.items())
        return f"{self.name}: {weight_text(self.weight)} x {call_text(self.by)}({inputs})" + (
            f" where {self.mask}" if self.mask is not None else ""
        )

    __repr__ = __str__


def _check_keywords(name: str, by: Callable[..., Tensor], inputs: Mapping[str, object]) -> None:
    for key, value in inputs.items():
        if not isinstance(value, Source):
            raise UserError(f"term {name!r}: input {key!r} must be a source (Tap, Field, State), not {type(value).__name__}")
    if getattr(plain(by), "__name__", "") == "<lambda>":
        raise UserError(f"term {name!r}: a lambda cannot be printed or stored; use a named function or a partial")
    try:
        parameters = inspect.signature(by).parameters
    except ValueError:
        raise UserError(
            f"term {name!r}: {call_text(by)} binds a setting that the function does not have; remove or rename it"
        ) from None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for key in inputs:
        if key not in parameters:
            raise unknown(f"input of {call_text(by)} in term {name!r}:", key, parameters)
    needed = [k for k, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    missing = [k for k in needed if k not in inputs]
    if missing:
        raise UserError(f"term {name!r}: {call_text(by)} also needs {', '.join(missing)}; pass a source for each")


@dataclass(frozen=True)
class Update:
    """One optimiser step: what is in `trains` follows the sum of `terms`.

    trains: roles ("student"), sub-modules ("student.layer1"), or "student:layer2" for all layers up to and
        including that one. Exactly these move; all else is frozen and in evaluation mode.

    source: the partition it draws from (default "train"), several to be joined in one batch, or a
        callable `source(cast, draw, generator) -> batch` of its own (generated data).
    repeat: steps per turn. optimizer: a factory `params -> torch.optim.Optimizer` where the run's own
        will not do. apply: takes the place of backward-and-step for what does not learn by gradient;
        called as `apply(cast, trains, batch, scene, terms)`.
    """

    trains: tuple[str, ...]
    terms: tuple[Term, ...]
    source: str | tuple[str, ...] | Callable[..., Batch] | None = None
    repeat: int = 1
    optimizer: Callable[..., torch.optim.Optimizer] | None = None
    apply: Callable[..., None] | None = None

    @property
    def partitions(self) -> tuple[str, ...]:
        if self.source is None:
            return ("train",)
        if isinstance(self.source, str):
            return (self.source,)
        return self.source if isinstance(self.source, tuple) else ()


class Action(Protocol):
    """Something done to the cast between stages or steps (see `actions.py`); `role` is what it makes or changes, `now` when
    it is done: before a stage, step 0 of it and a seed of its own."""

    @property
    def role(self) -> str: ...

    def __call__(self, cast: Cast, now: Progress) -> None: ...


@dataclass(frozen=True)
class Stage:
    """A stretch of training with the same updates.

    share: the part of the run's budget that it uses. Shares add up to 1 where one student learns in
    several stages, and to more where further models are trained first (an assistant, an earlier
    generation): each then has a full budget, and the cost is reported. steps: a fixed number instead.
    before: actions on the cast at its start; after_step: after every step.
    """

    name: str
    updates: tuple[Update, ...]
    share: float = 1.0
    steps: int | None = None
    before: tuple[Action, ...] = ()
    after_step: tuple[Action, ...] = ()

    @property
    def trains(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for update in self.updates for path in update.trains))

    def start(self, steps: int = 1, seed: int = 0) -> Progress:
        """The moment before its first step."""
        return Progress(self.name, 0, steps, seed=seed)


@dataclass(frozen=True)
class Part:
    """A learned piece that belongs to the method: `build(*probed)` makes it, sized from a probe batch
    of the sources it joins (tensors; `build` looks at their shapes, or their values for a `State`).

    copies: layers of roles ("student.layer3"), of which `build` gets fresh, untrained copies after the
        probes: a branch that runs the rest of a network anew from a tap.
    """

    build: Callable[..., nn.Module]
    like: tuple[Source, ...] = ()
    copies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A distillation technique as one assignment of the general model's fields.

    deploys: the role that is kept, or a source over several (a mean, an exit). views: named versions of
    a sample beside "inputs" as their spelling (`{"strong": "crop,flip,cutout:8"}`; "default" is the run's
    own augmentation, drawn independently). exits: answers by name, from shallow to deep, at which a sample
    may leave early. serves: needs that the declaration does not show. stated: its place in the taxonomy where the author states
    it. by_classes: settings that follow the number of classes, with their rules. pull: how hard its lessons pulled where its
    weights were found (`limbeck.engine.balance`), None where that is not stated. declared: the function that made it. The last
    nine are filled in by `@method`.
    """

    stages: tuple[Stage, ...]
    parts: Mapping[str, Part] = field(default_factory=dict)
    deploys: str | Source = "student"
    views: Mapping[str, str] = field(default_factory=dict)
    exits: Mapping[str, Source] = field(default_factory=dict)
    name: str = ""
    arguments: Mapping[str, Value] = field(default_factory=dict)
    paper: str = ""
    year: int = 0
    serves: tuple[Need, ...] = ()
    stated: Stated = field(default_factory=Stated)
    by_classes: Mapping[str, Rule] = field(default_factory=dict)
    pull: float | None = None
    declared: "Callable[..., Method] | None" = field(default=None, compare=False, repr=False)

    def updates(self) -> Iterator[tuple[Stage, Update]]:
        return ((stage, update) for stage in self.stages for update in stage.updates)

    def terms(self) -> Iterator[tuple[Stage, Update, Term]]:
        return ((stage, update, term) for stage, update in self.updates() for term in update.terms)

    def sources(self) -> Iterator[Source]:
        for _, _, term in self.terms():
            yield from term.sources
        yield self.deployed

    @property
    def deployed(self) -> Source:
        return Tap(self.deploys) if isinstance(self.deploys, str) else self.deploys

    def taps(self) -> tuple[Tap, ...]:
        """Every place the method reads, once each."""
        found = (leaf for source in self.sources() for leaf in leaves(source) if isinstance(leaf, Tap))
        return tuple(dict.fromkeys(found))

    def roles(self) -> tuple[str, ...]:
        """The roles a caller must bring: named anywhere, and neither a learned part nor made by an action."""
        named: dict[str, None] = {}
        made: set[str] = set()
        for stage in self.stages:
            for action in stage.before:
                source = getattr(action, "source", None)
                if source:
                    if role_of(source) not in made:
                        named.setdefault(role_of(source))
                    made |= {action.role} - set(named)
            for update in stage.updates:
                for path in (*update.trains, *(p for t in update.terms for p in _roles_in(t.sources))):
                    if role_of(path) not in made:
                        named.setdefault(role_of(path))
        copied = (path for part in self.parts.values() for path in part.copies)
        for path in (*_roles_in((self.deployed, *(s for part in self.parts.values() for s in part.like))), *copied):
            if role_of(path) not in made:
                named.setdefault(role_of(path))
        return tuple(name for name in named if name not in self.parts)

    def but(self, **changes: Value) -> "Method":
        return replace(self, **changes)

    def fed(self, role: str, view: str) -> "Method":
        """The same method whose terms read a role's answers to this view, whichever view they read before."""
        found = (leaf for source in self.sources() for leaf in leaves(source))
        swap: dict[Source, Source] = {
            leaf: replace(leaf, on=view) for leaf in found if isinstance(leaf, Tap) and leaf.role == role and not leaf.path
        }

        def read(update: Update) -> Update:
            return replace(update, terms=tuple(term.reading(swap) for term in update.terms))

        stages = (replace(stage, updates=tuple(map(read, stage.updates))) for stage in self.stages)
        return self.but(stages=tuple(stages))


def _roles_in(sources: Iterable[Source]) -> Iterator[str]:
    for source in sources:
        for leaf in leaves(source):
            if isinstance(leaf, Tap | State):
                yield leaf.role
        yield from modules_of(source)


def single_stage(*terms: Term, trains: tuple[str, ...] = ("student",), name: str = "distil", **method_fields: Value) -> Method:
    """The commonest plan: one stage, one update."""
    return Method((Stage(name, (Update(trains, terms),)),), **method_fields)
