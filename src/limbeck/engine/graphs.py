"""Training steps recorded as CUDA graphs: forward, losses and backward of a step replayed without Python between kernels.

Only what is known to do the same in every step is recorded; everything else runs as it is.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from limbeck.plan import Stage, Term
from limbeck.plan.kinds import Batch, Value
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Field, Now, Source, Tap, functions_of, leaves, modules_of

WARM = 3  # steps of a kind that run as they are before one is recorded
KINDS = 4  # how many kinds of step (shapes, active terms) are recorded
_KNOWN = ("torch.nn.", "limbeck.models.", "limbeck.plan.roles", "limbeck.data.views.seen")
_PLAIN_PARTS = ("limbeck.connectors.join", "limbeck.connectors.branches", "limbeck.connectors.review")

Compute = Callable[[Batch, Sequence[tuple[Term, float | Tensor]], Mapping[Source, Value]], tuple[Tensor, dict[str, Tensor]]]
"""(batch, weighted terms, answers known beforehand) -> (the weighted total, each term's mean)."""


def recordable(stage: Stage, cast: Cast, parts: Mapping[str, object]) -> bool:
    """Whether every step of a stage does the same work, as far as can be known: one update on real batches, networks and
    connectors of this package or of torch, functions without a moment of the run in them."""
    if len(stage.updates) != 1 or stage.after_step:
        return False
    (update,) = stage.updates
    if update.apply is not None or callable(update.source) or update.optimizer is not None:
        return False
    sources = [source for term in update.terms for source in term.sources]
    if any(isinstance(leaf, Now) for source in sources for leaf in leaves(source)):
        return False
    functions = [fn for source in sources for fn in functions_of(source)] + [term.by for term in update.terms]
    roles = {leaf.role for source in sources for leaf in leaves(source) if isinstance(leaf, Tap)}
    named = {name.partition(".")[0] for source in sources for name in modules_of(source)}
    return (
        all(_of_ours(fn) for fn in functions)
        and all(_known(cast[role], _KNOWN) for role in (roles | named) - set(parts))
        and all(_known(cast[name], (*_KNOWN, *_PLAIN_PARTS)) for name in named & set(parts))
    )


def _of_ours(fn: object) -> bool:
    inner = getattr(fn, "func", fn)
    return str(getattr(inner, "__module__", type(inner).__module__)).startswith(("limbeck.", "torch"))


def _known(module: nn.Module, places: tuple[str, ...]) -> bool:
    return all(type(part).__module__.startswith(places) for part in module.modules())


@dataclass
class _Recorded:
    graph: torch.cuda.CUDAGraph
    batch: dict[str, Value]
    known: dict[Source, Value]
    weights: Tensor
    grads: Sequence[Tensor | None]
    values: dict[str, Tensor]
    asked: dict[str, int]  # samples that each role is run on in one step


@dataclass
class Graphs:
    """The recorded steps of one update."""

    cast: Cast
    parameters: list[nn.Parameter]
    compute: Compute
    say: Callable[[str], None]
    recorded: dict[object, _Recorded] = field(default_factory=dict)
    seen: dict[object, int] = field(default_factory=dict)
    off: bool = False

    def step(self, batch: Batch, terms: list[tuple[Term, float]], known: Mapping[Source, Value]) -> dict[str, Tensor] | None:
        """The terms' means of a step with all gradients in place, by replay; None where the step must run as it is."""
        if self.off:
            return None
        used = self._used(batch, terms)
        kind = (tuple(t.name for t, _ in terms), *((k, _shape(v)) for k, v in (*used.items(), *known.items())))
        if kind not in self.recorded:
            self.seen[kind] = self.seen.get(kind, 0) + 1
            if self.seen[kind] <= WARM or len(self.recorded) >= KINDS:
                return None
            try:
                self.recorded[kind] = self._record(used, terms, known)
            except (RuntimeError, TypeError) as error:
                self.off = True
                self.say(f"steps run one operation at a time: they cannot be recorded as a CUDA graph ({str(error)[:100]})")
                torch.cuda.synchronize()
                _end_recording(self.parameters[0].device)
                return None
        return self._replay(self.recorded[kind], used, terms, known)

    def _used(self, batch: Batch, terms: list[tuple[Term, float]]) -> dict[str, Value]:
        inside = [leaf for term, _ in terms for source in term.sources for leaf in leaves(source)]
        names = {leaf.key if isinstance(leaf, Field) else leaf.on for leaf in inside if isinstance(leaf, Field | Tap)}
        return {name: batch[name] for name in sorted(names)}

    def _record(self, used: dict[str, Value], terms: list[tuple[Term, float]], known: Mapping[Source, Value]) -> _Recorded:
        device = self.parameters[0].device
        batch = {name: _twin(value) for name, value in used.items()}
        given = {source: _twin(value) for source, value in known.items()}
        weights = torch.tensor([weight for _, weight in terms], device=device)
        weighted: list[tuple[Term, float | Tensor]] = [(term, weights[i]) for i, (term, _) in enumerate(terms)]
        torch.cuda.synchronize()
        graph, before = torch.cuda.CUDAGraph(), dict(self.cast.answered)
        with _no_collection(), torch.cuda.graph(graph):
            total, values = self.compute(batch, weighted, given)
            grads = list(torch.autograd.grad(total, self.parameters, allow_unused=True))
        asked = {role: count - before.get(role, 0) for role, count in self.cast.answered.items()}
        self.cast.answered = before  # nothing was run yet
        return _Recorded(graph, batch, given, weights, grads, {name: value.detach() for name, value in values.items()}, asked)

    def _replay(
        self, made: _Recorded, used: dict[str, Value], terms: list[tuple[Term, float]], known: Mapping[Source, Value]
    ) -> dict[str, Tensor]:
        for name, value in used.items():
            _fill(made.batch[name], value)
        for source, value in known.items():
            _fill(made.known[source], value)
        made.weights.copy_(torch.tensor([weight for _, weight in terms]), non_blocking=True)
        made.graph.replay()
        for role, count in made.asked.items():
            self.cast.answered[role] = self.cast.answered.get(role, 0) + count
        for parameter, grad in zip(self.parameters, made.grads, strict=True):
            parameter.grad = grad
        return made.values


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing is collected inside: a graph of an earlier run that is destroyed while another is recorded spoils it."""
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _end_recording(device: torch.device) -> None:
    """After a recording that failed, random numbers still count as recorded; an empty recording that succeeds ends that."""
    with contextlib.suppress(RuntimeError), _no_collection(), torch.cuda.graph(torch.cuda.CUDAGraph()):
        torch.zeros(1, device=device)


def _shape(value: Value) -> object:
    """What must be the same for a recorded step to serve."""
    if isinstance(value, Tensor):
        return (tuple(value.shape), value.dtype, value.device, value.stride())
    if isinstance(value, Mapping):
        return tuple((k, _shape(v)) for k, v in value.items())
    return ("other", repr(value))


def _twin(value: Value) -> Value:
    if isinstance(value, Tensor):
        return value.detach().clone()
    return {k: _twin(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _fill(kept: Value, value: Value) -> None:
    if isinstance(kept, Tensor):
        kept.copy_(value, non_blocking=True)
    elif isinstance(kept, Mapping):
        for name, inner in kept.items():
            _fill(inner, value[name])


def shared_taps(cast: Cast, terms: list[tuple[Term, float]]) -> list[Tap]:
    """What is asked of frozen roles that several share, or that look their answers up: outside of the recorded step."""
    inside = (leaf for term, _ in terms for source in term.sources for leaf in leaves(source))
    outside = (leaf for leaf in inside if isinstance(leaf, Tap) and (leaf.role in cast.shared or cast.fed(leaf.role) != "inputs"))
    return list(dict.fromkeys(outside))
