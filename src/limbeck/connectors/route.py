"""How far along a teacher's route the student may go next."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from limbeck.plan.kinds import Batch
from limbeck.plan.method import Term
from limbeck.plan.observe import Scene
from limbeck.plan.roles import Cast


class AnchorChoice(nn.Module):
    """Which of the anchors teaches: `index`, counted from 0; `taken` is the one that does already."""

    index: Tensor
    taken: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("index", torch.zeros((), dtype=torch.int64))
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))


def farthest(hardness: Sequence[float], current: int, threshold: float) -> int:
    """The last anchor whose hardness is at most `threshold` times the current one's; the next one if none after it is.

    >>> farthest([1.0, 1.2, 1.9, 1.4, 3.0], current=0, threshold=1.5), farthest([1.0, 2.0, 3.0], 0, 1.5), farthest([1.0], 0, 2.0)
    (3, 1, 0)
    """
    near = [k for k, value in enumerate(hardness) if k > current and value <= threshold * hardness[current]]
    return max(near, default=min(current + 1, len(hardness) - 1))


def advance(
    cast: Cast,
    trains: tuple[str, ...],
    batch: Batch,
    scene: Scene,
    terms: Sequence[tuple[Term, float]],
    *,
    threshold: float = 1.5,
) -> None:
    """Move an `AnchorChoice` on by `farthest`: there is one term per anchor, in order, whose mean is its hardness."""
    choice = cast.find(trains[0])
    assert isinstance(choice, AnchorChoice)
    values = [term.by(**{key: scene(source) for key, source in term.inputs.items()}).mean().item() for term, _ in terms]
    choice.index.fill_(farthest(values, int(choice.index), threshold))
