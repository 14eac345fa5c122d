"""WHERE, and WHEN: sources name what is compared; `observe` reads them all with one forward per role and view.

A source is a frozen value. Equal sources are evaluated once per step, so a declaration may repeat them.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from limbeck.errors import UserError
from limbeck.plan.kinds import Function, Value
from limbeck.plan.schedules import Progress
from limbeck.transforms.facts import call_text, one_of


class Source:
    """Base of the five kinds of source; gives them `.via`, `.detach` and `[i]`."""

    def via(self, fn: Function | str, *others: "Source", answers: bool = False) -> "Via":
        """Apply a function, or a module of the cast by name, to this source (and others).

        answers: what comes out is a classifier's answer, as of a role's own head: `via("teacher.fc", answers=True)`.
        """
        return Via(fn, (self, *others), answers)

    def detach(self) -> "Via":
        """The same value without its graph: a mentor does not learn from its learner."""
        return Via(detach, (self,))

    def __getitem__(self, item: int | str) -> "Via":
        return Via(Item(item), (self,))


@dataclass(frozen=True)
class Tap(Source):
    """A role's activation at one place for one view of the batch.

    role: a name of the cast. path: a sub-module, "" for the role's logits. on: the view it is fed.
    io: the module's "output" or its first "input". call: which of several calls, if it runs often.
    """

    role: str
    path: str = ""
    on: str = "inputs"
    io: str = "output"
    call: int | None = None

    def __str__(self) -> str:
        text = self.role + ("." + self.path if self.path else "")
        text += " (input)" if self.io == "input" else ""
        text += f" (call {self.call})" if self.call is not None else ""
        return text + (f" on {self.on}" if self.on != "inputs" else "")


@dataclass(frozen=True)
class Field(Source):
    """A field of the batch: labels, a mask, stored teacher answers."""

    key: str

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class State(Source):
    """A parameter or buffer of a role: batch-norm statistics, a head's weight."""

    role: str
    path: str

    def __str__(self) -> str:
        return f"{self.role}.{self.path}"


@dataclass(frozen=True)
class Now(Source):
    """Where the stage stands, as a number without dimensions: what a method is may follow time, not its weights alone.

    of: "fraction" (of the stage, from 0 to just under 1), "step" or "epoch" (of the stage, from 0), or a schedule, as for a
    weight: `Now(linear(0.4, 1.0))`. It is never stored by sample.

    >>> str(Now("epoch")), Now("fraction").at(Progress("kd", step=3, steps=12))
    ('now epoch', 0.25)
    """

    of: Literal["fraction", "step", "epoch"] | Callable[[Progress], float] = "fraction"

    def __post_init__(self) -> None:
        if isinstance(self.of, str):
            one_of("moment", self.of, Literal["fraction", "step", "epoch"])
        elif call_text(self.of) == "<lambda>":
            raise UserError("Now(...): a lambda cannot be printed or stored; give a schedule or a named function")

    def at(self, now: Progress) -> float:
        return float(self.of(now) if callable(self.of) else getattr(now, self.of))

    def __str__(self) -> str:
        return f"now {call_text(self.of)}"


@dataclass(frozen=True, eq=False)
class Via(Source):
    """A function of other sources; a string names a module of the cast ("gate", "teacher.linear").

    Equal if function and sources are; two `functools.partial`s are, that bind the same values. answers: a classifier's
    answer comes out.
    """

    fn: Function | str
    sources: tuple[Source, ...]
    answers: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Via) and _key(self.fn) == _key(other.fn) and self.sources == other.sources

    def __hash__(self) -> int:
        return hash((_key(self.fn), self.sources))

    def __str__(self) -> str:
        if self.fn is detach:
            return str(self.sources[0])
        if isinstance(self.fn, Item):
            return f"{self.sources[0]}[{self.fn.index}]"
        return f"{call_text(self.fn)}({', '.join(map(str, self.sources))})"


def _key(fn: object) -> object:
    """What makes two functions the same: Python compares partials by identity alone."""
    if not isinstance(fn, functools.partial):
        return fn
    bound = (_key(fn.func), fn.args, tuple(sorted(fn.keywords.items())))
    try:
        hash(bound)
    except TypeError:  # a list or the like is bound
        return fn
    return bound


def detach(value: Value) -> Value:
    """The value without its graph (tensors, and tuples, lists or mappings of them)."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return type(value)(detach(v) for v in value)
    if isinstance(value, Mapping):
        return {k: detach(v) for k, v in value.items()}
    return value


@dataclass(frozen=True)
class Item:
    """Picks one element of a tuple, mapping or dataclass: `source[i]`, `source["key"]`."""

    index: int | str

    def __call__(self, value: Value) -> Value:
        return element(value, self.index)


def element(value: Value, key: int | str) -> Value:
    """One element of a tuple, a mapping or an object with attributes.

    Raises `UserError` if it has none of that name or place.
    """
    try:
        by_name = isinstance(key, str) and not isinstance(value, Mapping) and hasattr(value, key)
        return getattr(value, str(key)) if by_name else value[key]
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"there is nothing at {key!r} in a {type(value).__name__}") from error


def leaves(source: Source) -> Iterable[Source]:
    """Every Tap, Field, State and Now below a source, in order of appearance (repeats kept)."""
    if isinstance(source, Via):
        for inner in source.sources:
            yield from leaves(inner)
    else:
        yield source


def reads_labels(source: Source) -> bool:
    """Whether the batch's labels are anywhere below a source."""
    return any(isinstance(leaf, Field) and leaf.key == "labels" for leaf in leaves(source))


def modules_of(source: Source) -> Iterable[str]:
    """Every module of the cast that a source passes through by name."""
    if isinstance(source, Via):
        if isinstance(source.fn, str):
            yield source.fn
        for inner in source.sources:
            yield from modules_of(inner)


def functions_of(source: Source) -> Iterable[Function]:
    """Every function that a source passes through, modules aside."""
    if isinstance(source, Via):
        if not isinstance(source.fn, str):
            yield source.fn
        for inner in source.sources:
            yield from functions_of(inner)


def replaced(source: Source, swap: Mapping[Source, Source]) -> Source:
    """The source with every occurrence of the swapped ones replaced."""
    if source in swap:
        return swap[source]
    if isinstance(source, Via):
        return Via(source.fn, tuple(replaced(inner, swap) for inner in source.sources), source.answers)
    return source
