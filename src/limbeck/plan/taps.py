"""WHERE: sources name what is compared; `observe` reads them all with one forward per role and view.

A source is a frozen value. Equal sources are evaluated once per step, so a declaration may repeat them.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.errors import UserError, unknown
from limbeck.plan.roles import Cast, role_of, submodule
from limbeck.transforms.facts import call_text

Batch = Mapping[str, Any]


class Source:
    """Base of the four kinds of source; gives them `.via`, `.detach` and `[i]`."""

    def via(self, fn: "Callable[..., Any] | str", *others: "Source", answers: bool = False) -> "Via":
        """Apply a function, or a module of the cast by name, to this source (and others).

        answers: what comes out is a classifier's answer, as of a role's own head: `via("teacher.fc", answers=True)`.
        """
        return Via(fn, (self, *others), answers)

    def detach(self) -> "Via":
        """The same value without its graph: a mentor does not learn from its learner."""
        return Via(detach, (self,))

    def __getitem__(self, item: int) -> "Via":
        return Via(Item(item), (self,))


@dataclass(frozen=True)
class Tap(Source):
    """What a role says at one place when it sees one view of the batch.

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


@dataclass(frozen=True, eq=False)
class Via(Source):
    """A function of other sources; a string names a module of the cast ("gate", "teacher.linear").

    Equal if function and sources are; two `functools.partial`s are, that bind the same values. answers: a classifier's
    answer comes out.
    """

    fn: Callable[..., Any] | str
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


def _key(fn: Any) -> Any:
    """What makes two functions the same: Python compares partials by identity alone."""
    if not isinstance(fn, functools.partial):
        return fn
    bound = (_key(fn.func), fn.args, tuple(sorted(fn.keywords.items())))
    try:
        hash(bound)
    except TypeError:  # a list or the like is bound
        return fn
    return bound


def detach(value: Any) -> Any:
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
    """Picks one element of a tuple: `source[i]`."""

    index: int

    def __call__(self, value: Any) -> Any:
        return value[self.index]


def leaves(source: Source) -> Iterable[Source]:
    """Every Tap, Field and State below a source, in order of appearance (repeats kept)."""
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


def functions_of(source: Source) -> Iterable[Callable[..., Any]]:
    """Every function that a source passes through, modules aside."""
    if isinstance(source, Via):
        if not isinstance(source.fn, str):
            yield source.fn
        for inner in source.sources:
            yield from functions_of(inner)


@dataclass
class _Capture:
    tap: Tap
    value: Any = None
    versions: tuple[tuple[Tensor, int], ...] = ()
    calls: int = 0


class _Reached(Exception):  # noqa: N818  control flow: every wanted activation has been seen
    pass


def observe(cast: Cast, batch: Batch, sources: Iterable[Source], *, learns: Iterable[str] = (), shorten: bool = False) -> "Scene":
    """Run each (role, view) that the sources ask for once and return a `Scene` to read them from.

    learns: roles or sub-paths that train now. A graph is recorded for a role only if it learns or if
        its input requires a gradient; all else runs without one.
    shorten: stop a forward as soon as its last tap was read. Only for roles whose taps were seen to
        fire once (the engine's first, checked step): a second call could no longer be noticed.
    Raises `UserError` if a tap never ran, ran more than once without `call=`, or was overwritten in
    place by a later layer.
    """
    learning = {role_of(path) for path in learns}
    groups: dict[tuple[str, str], dict[Tap, None]] = {}
    for source in sources:
        for leaf in leaves(source):
            if isinstance(leaf, Tap):
                groups.setdefault((leaf.role, leaf.on), {})[leaf] = None
    seen: dict[Source, Any] = {}
    for (role, view), taps in groups.items():
        if role not in cast:
            raise unknown("role", role, cast.keys())
        if view not in batch:
            raise unknown("view", view, batch.keys(), "a Method names its views in `views`")
        recording = role in learning or needs_grad(batch[view])
        run = functools.partial(_forward, cast, role, batch[view], shorten=shorten)
        with torch.set_grad_enabled(recording and torch.is_grad_enabled()):
            if role in cast.heard and not recording:
                seen.update(cast.heard[role].ask(cast[role], batch[view], list(taps), run))
            else:
                seen.update(run(list(taps)))
    return Scene(cast, batch, seen)


def needs_grad(value: Any) -> bool:
    """Whether any tensor in a value has a graph behind it or is a parameter that learns."""
    if isinstance(value, Tensor):
        return value.requires_grad
    if isinstance(value, Mapping):
        return any(map(needs_grad, value.values()))
    return isinstance(value, tuple | list) and any(map(needs_grad, value))


def _forward(cast: Cast, role: str, inputs: Any, taps: list[Tap], *, shorten: bool) -> dict[Source, Any]:
    caller: Any = cast.callers.get(role)
    if hasattr(caller, "serves"):
        return _compiled(cast, role, inputs, taps)
    inner = [_Capture(tap) for tap in taps if tap.path]
    shorten = shorten and len(inner) == len(taps)
    with ExitStack() as stack:
        for capture in inner:
            module = submodule(cast.acting(role), capture.tap.path, role)
            stack.callback(_hook(module, capture, inner if shorten else None).remove)
        try:
            output = cast.feed(role, inputs)
        except _Reached:
            output = None
    found: dict[Source, Any] = {}
    for capture in inner:
        _check_capture(capture)
        found[capture.tap] = capture.value
    for tap in taps:
        if not tap.path:
            found[tap] = inputs if tap.io == "input" else cast.adapter_of(role).find_logits(output, role)
    return found


def _compiled(cast: Cast, role: str, inputs: Any, taps: list[Tap]) -> dict[Source, Any]:
    """A role compiled with its taps is read from the compiled code; asked otherwise, it runs as it is."""
    caller: Any = cast.callers[role]
    if not caller.serves(taps):
        del cast.callers[role]
        try:
            return _forward(cast, role, inputs, taps, shorten=False)
        finally:
            cast.callers[role] = caller
    output = cast.feed(role, inputs)
    whole = [tap for tap in taps if not tap.path]
    said = {tap: inputs if tap.io == "input" else cast.adapter_of(role).find_logits(output, role) for tap in whole}
    return said | {tap: caller.read(tap) for tap in taps if tap.path}


def _hook(module: nn.Module, capture: _Capture, stop_after: list[_Capture] | None) -> Any:
    def keep(value: Any) -> None:
        if capture.tap.call is None or capture.tap.call == capture.calls:
            capture.value = value
            capture.versions = tuple((t, t._version) for t in _tensors(value))
        capture.calls += 1
        if stop_after is not None and all(c.calls > (c.tap.call or 0) for c in stop_after):
            raise _Reached

    if capture.tap.io == "input":
        return module.register_forward_pre_hook(lambda _, args: keep(args[0]))
    return module.register_forward_hook(lambda _m, _args, output: keep(output))


def _tensors(value: Any) -> Iterable[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for v in value:
            yield from _tensors(v)
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from _tensors(v)


def _check_capture(capture: _Capture) -> None:
    tap = capture.tap
    if capture.calls == 0 or (tap.call is not None and capture.calls <= tap.call):
        raise UserError(f"tap {tap} never ran: the layer is not used in this forward (or was compiled before it was tapped)")
    if tap.call is None and capture.calls > 1:
        raise UserError(f"tap {tap} is ambiguous: the layer ran {capture.calls} times; choose one with call=0, 1, ...")
    if any(tensor._version != version for tensor, version in capture.versions):
        raise UserError(
            f"tap {tap} was overwritten in place by a later layer (an in-place ReLU?); "
            "tap that later layer instead, or build the model with inplace=False"
        )


@dataclass
class Scene:
    """What was observed: call it with a source to read its value; every source is evaluated once."""

    cast: Cast
    batch: Batch
    seen: dict[Source, Any] = field(default_factory=dict)

    def __call__(self, source: Source) -> Any:
        if source not in self.seen:
            self.seen[source] = self._evaluate(source)
        return self.seen[source]

    def _evaluate(self, source: Source) -> Any:
        if isinstance(source, Field):
            if source.key not in self.batch:
                raise unknown("batch field", source.key, self.batch.keys())
            return self.batch[source.key]
        if isinstance(source, State):
            return state_of(self.cast, source)
        if isinstance(source, Via):
            values = [self(inner) for inner in source.sources]
            if not isinstance(source.fn, str):
                return source.fn(*values)
            module = self.cast.callers.get(source.fn) or self.cast.find(source.fn)
            return module(*values)
        raise UserError(f"{source} was not observed; name it among the sources of observe")


def state_of(cast: Cast, source: State) -> Tensor:
    """The parameter or buffer a `State` names; unknown names offer the closest ones."""
    module = cast.find(source.role)
    known = dict(module.named_parameters()) | dict(module.named_buffers())
    if source.path not in known:
        raise unknown(f"parameter or buffer of role {source.role!r}", source.path, known)
    return known[source.path]


def replaced(source: Source, swap: Mapping[Source, Source]) -> Source:
    """The source with every occurrence of the swapped ones replaced."""
    if source in swap:
        return swap[source]
    if isinstance(source, Via):
        return Via(source.fn, tuple(replaced(inner, swap) for inner in source.sources), source.answers)
    return source
