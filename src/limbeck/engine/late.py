"""Values of a step that are read some steps later, so that an accelerator never waits for Python."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Finish = Callable[[dict[str, float]], None]
LAG = 2  # steps that may be under way before the values of an older one are read


@dataclass
class _Step:
    names: Sequence[str]
    values: Tensor  # in the host's memory; filled once `copied` has happened
    copied: torch.cuda.Event
    finish: Finish


class Late:
    """The newest steps' values on their way from a GPU, in order.

    >>> len(Late())
    0
    """

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque()

    def __len__(self) -> int:
        return len(self._steps)

    def put(self, values: dict[str, Tensor], finish: Finish) -> None:
        """Send the mean of every term to the host without a wait; `finish` is called with them when they are read."""
        made = torch.stack([value.detach().float() for value in values.values()])
        host = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
        host.copy_(made, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._steps.append(_Step(tuple(values), host, event, finish))

    def read(self, *, all_of_them: bool = False) -> None:
        """Read the values that are old enough, or all: raises what `finish` raises, in the order of the steps."""
        while len(self._steps) > (0 if all_of_them else LAG):
            step = self._steps.popleft()
            step.copied.synchronize()
            try:
                step.finish(dict(zip(step.names, step.values.tolist(), strict=True)))
            except Exception:
                self._steps.clear()
                raise
