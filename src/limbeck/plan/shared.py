"""Frozen models' answers to the newest batches, so that several who ask about the same batch share one forward."""

from collections.abc import Callable, Iterable

from torch import nn

from limbeck.plan.kinds import Value
from limbeck.plan.taps import Source, Tap

Forward = Callable[[list[Tap]], dict[Source, Value]]


class SharedAnswers:
    """Frozen roles' answers to the newest batches: several updates, or several runs, share one forward.

    Runs that share one `SharedAnswers` must share the frozen modules and the batches themselves: an answer is known by
    module and input tensor. All that anybody wants of a module is read in its first forward.
    """

    KEPT = 4  # newest (module, input) pairs

    def __init__(self) -> None:
        self._wanted: dict[int, dict[int, tuple[Tap, ...]]] = {}
        self._answers: dict[tuple[int, int], tuple[object, dict[Source, Value]]] = {}

    def want(self, asker: object, module: nn.Module, taps: Iterable[Tap]) -> None:
        """Say which taps of a module somebody will ask for from now on; none ends it."""
        mine = self._wanted.setdefault(id(module), {})
        mine[id(asker)] = tuple(taps)
        if not mine[id(asker)]:
            del mine[id(asker)]

    def ask(self, module: nn.Module, inputs: object, taps: list[Tap], forward: Forward) -> dict[Source, Value]:
        """The taps' values, from an earlier answer or by `forward`."""
        key, others = (id(module), id(inputs)), self._wanted.get(id(module), {}).values()
        given, known = self._answers.get(key, (None, {}))
        if given is not inputs or any(tap not in known for tap in taps):
            every = dict.fromkeys(tap for wanted in (taps, *others) for tap in wanted if tap.on == taps[0].on)
            self._answers.pop(key, None)
            self._answers[key] = (inputs, known := forward(list(every)))
            while len(self._answers) > self.KEPT:
                del self._answers[next(iter(self._answers))]
        return {tap: known[tap] for tap in taps}
