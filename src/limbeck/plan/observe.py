"""Sources are read: one forward for each role and view, whatever is asked of it."""

import functools
import inspect
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from limbeck.errors import UserError, unknown
from limbeck.plan.kinds import Batch, Value
from limbeck.plan.roles import Cast, role_of, submodule
from limbeck.plan.schedules import Progress
from limbeck.plan.taps import Field, Now, Source, State, Tap, Via, leaves


@runtime_checkable
class TapReader(Protocol):
    """What runs in a role's place and reads its taps itself, as compiled code must."""

    def serves(self, taps: Iterable[Tap]) -> bool: ...

    def read(self, tap: Tap) -> Value: ...

    def __call__(self, *args: Value, **kwargs: Value) -> Value: ...


@dataclass
class _Capture:
    tap: Tap
    value: Value = None
    versions: tuple[tuple[Tensor, int], ...] = ()
    calls: int = 0


class _Reached(BaseException):
    """Control flow: every wanted activation has been seen; no Exception, which a network may catch."""


def observe(
    cast: Cast,
    batch: Batch,
    sources: Iterable[Source],
    *,
    learns: Iterable[str] = (),
    shorten: bool = False,
    now: Progress | None = None,
    known: Mapping[Source, Value] | None = None,
) -> "Scene":
    """Run each (role, view) that the sources ask for once and return a `Scene` to read them from.

    learns: roles or sub-paths that train now. A graph is recorded for a role only if it learns or if
        its input requires a gradient; all else runs without one.
    shorten: stop a forward as soon as its last tap was read. Only for roles whose taps were seen to
        fire once (the engine's first, checked step): a second call could no longer be noticed. Roles all of whose taps name
        their call are always stopped there.
    now: the moment of the run that `Now` reads.
    known: values of taps that were observed before, which are not asked for again.
    Raises `UserError` if a tap never ran, ran more than once without `call=`, or was overwritten in
    place by a later layer.
    """
    learning = {role_of(path) for path in learns}
    groups: dict[tuple[str, str], dict[Tap, None]] = {}
    seen: dict[Source, Value] = dict(known or {})
    for source in sources:
        for leaf in leaves(source):
            if isinstance(leaf, Tap) and leaf not in seen:
                groups.setdefault((leaf.role, leaf.on), {})[leaf] = None
    for (role, view), taps in groups.items():
        if role not in cast:
            raise unknown("role", role, cast.keys())
        if view not in batch:
            raise unknown("view", view, batch.keys(), "a Method names its views in `views`")
        recording = role in learning or needs_grad(batch[view])
        run = functools.partial(_forward, cast, role, batch[view], shorten=shorten)
        with torch.set_grad_enabled(recording and torch.is_grad_enabled()):
            if role in cast.shared and not recording:
                seen.update(cast.shared[role].ask(cast[role], batch[view], list(taps), run))
            else:
                seen.update(run(list(taps)))
    return Scene(cast, batch, seen, now)


def needs_grad(value: object) -> bool:
    """Whether any tensor in a value has a graph behind it or is a parameter that learns."""
    if isinstance(value, Tensor):
        return value.requires_grad
    if isinstance(value, Mapping):
        return any(map(needs_grad, value.values()))
    return isinstance(value, tuple | list) and any(map(needs_grad, value))


def _forward(cast: Cast, role: str, inputs: Value, taps: list[Tap], *, shorten: bool) -> dict[Source, Value]:
    if isinstance(caller := cast.callers.get(role), TapReader):
        return _compiled(cast, role, caller, inputs, taps)
    inner = [_Capture(tap) for tap in taps if tap.path]
    chosen = role not in cast.callers and all(tap.call is not None for tap in taps)  # no other call could be missed
    shorten = (shorten or chosen) and len(inner) == len(taps)
    with ExitStack() as stack:
        for capture in inner:
            module = submodule(cast.acting(role), capture.tap.path, role)
            stack.callback(_hook(module, capture, inner if shorten else None).remove)
        try:
            output = cast.feed(role, inputs)
        except _Reached:
            output = None
    found: dict[Source, Value] = {}
    for capture in inner:
        _check_capture(capture)
        found[capture.tap] = capture.value
    for tap in taps:
        if not tap.path:
            found[tap] = inputs if tap.io == "input" else cast.adapter_of(role).find_logits(output, role)
    return found


def _compiled(cast: Cast, role: str, caller: TapReader, inputs: Value, taps: list[Tap]) -> dict[Source, Value]:
    """A role compiled with its taps is read from the compiled code; asked otherwise, it runs as it is."""
    if not caller.serves(taps):
        del cast.callers[role]
        try:
            return _forward(cast, role, inputs, taps, shorten=False)
        finally:
            cast.callers[role] = caller
    output = cast.feed(role, inputs)
    whole = [tap for tap in taps if not tap.path]
    answers = {tap: inputs if tap.io == "input" else cast.adapter_of(role).find_logits(output, role) for tap in whole}
    return answers | {tap: caller.read(tap) for tap in taps if tap.path}


def _hook(module: nn.Module, capture: _Capture, stop_after: list[_Capture] | None) -> RemovableHandle:
    def keep(value: object) -> None:
        if capture.tap.call is None or capture.tap.call == capture.calls:
            capture.value = value
            capture.versions = tuple((t, t._version) for t in _tensors(value))
        capture.calls += 1
        if stop_after is not None and all(c.calls > (c.tap.call or 0) for c in stop_after):
            raise _Reached

    if capture.tap.io == "input":
        return module.register_forward_pre_hook(lambda m, args, kwargs: keep(first_input(m, args, kwargs)), with_kwargs=True)
    return module.register_forward_hook(lambda _m, _args, output: keep(output))


def first_input(layer: nn.Module, args: tuple[Value, ...], kwargs: Mapping[str, Value]) -> Value:
    """What a layer is called with first, by place or by keyword, in the order of its `forward`."""
    if args:
        return args[0]
    if not kwargs:
        raise UserError(f"a tapped layer ({type(layer).__name__}) is called without inputs; tap its output")
    named = (kwargs[name] for name in inspect.signature(layer.forward).parameters if name in kwargs)
    return next(named, next(iter(kwargs.values())))


def _tensors(value: object) -> Iterable[Tensor]:
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
        raise UserError(
            f"tap {tap} never ran: the layer is not used in this forward pass (or was compiled before it was tapped); "
            "tap another layer"
        )
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
    seen: dict[Source, Value] = field(default_factory=dict)
    now: Progress | None = None

    def __call__(self, source: Source) -> Value:
        if source not in self.seen:
            self.seen[source] = self._evaluate(source)
        return self.seen[source]

    def _evaluate(self, source: Source) -> Value:
        if isinstance(source, Field):
            if source.key not in self.batch:
                raise unknown("batch field", source.key, self.batch.keys())
            return self.batch[source.key]
        if isinstance(source, State):
            return state_of(self.cast, source)
        if isinstance(source, Now):
            if self.now is None:
                raise UserError(f"{source} has no value outside training; remove Now from what is deployed")
            return torch.full((), source.at(self.now), dtype=torch.float32, device=device_of(self.batch))
        if isinstance(source, Via):
            values = [self(inner) for inner in source.sources]
            if not isinstance(source.fn, str):
                return source.fn(*values)
            module = self.cast.callers.get(source.fn) or self.cast.find(source.fn)
            return module(*values)
        raise UserError(f"{source} was not observed; add it to the sources of observe")


def state_of(cast: Cast, source: State) -> Tensor:
    """The parameter or buffer a `State` names; unknown names offer the closest ones."""
    module = cast.find(source.role)
    known = dict(module.named_parameters()) | dict(module.named_buffers())
    if source.path not in known:
        raise unknown(f"parameter or buffer of role {source.role!r}", source.path, known)
    return known[source.path]


def device_of(value: object) -> torch.device | None:
    """The device of the first tensor in a batch; None where there is none."""
    if isinstance(value, Tensor):
        return value.device
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((found for part in parts if (found := device_of(part)) is not None), None)
