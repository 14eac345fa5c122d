"""What a loss promises: a decorator that attaches a frozen `Traits`, and `traits_of` to read it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

from torch import Tensor

P = ParamSpec("P")


@dataclass(frozen=True)
class Traits:
    """The declared properties of a loss; `tests/laws/test_losses.py` checks each of them, both ways.

    batchwise: a sample's value depends on the other samples of the batch.
    minimum: the value when the student equals the teacher; None promises nothing (cross-entropies).
    symmetric: exchanging student and teacher leaves the value unchanged.
    source: the paper, and the code where a constant or reading was taken from it.

    >>> Traits(minimum=None).minimum is None
    True
    """

    batchwise: bool = False
    minimum: float | None = 0.0
    symmetric: bool = False
    source: str = ""


def loss(
    *, batchwise: bool = False, minimum: float | None = 0.0, symmetric: bool = False, source: str = ""
) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Attach `Traits` to a loss function as `fn.traits`; nothing is registered or wrapped.

    >>> @loss(symmetric=True)
    ... def gap(student, teacher):
    ...     return (student - teacher).abs()
    >>> gap.traits.symmetric
    True
    """
    traits = Traits(batchwise, minimum, symmetric, source)

    def attach(fn: Callable[P, Tensor]) -> Callable[P, Tensor]:
        fn.traits = traits  # type: ignore[attr-defined]
        return fn

    return attach


def traits_of(fn: Callable[..., Tensor]) -> Traits:
    """The traits of a loss, also through `functools.partial`; a function without any promises nothing.

    Promising nothing means: minimum None, not symmetric, possibly batchwise.

    >>> from functools import partial
    >>> traits_of(partial(loss()(lambda s, t: s - t))).minimum
    0.0
    """
    while hasattr(fn, "func"):
        fn = fn.func
    return getattr(fn, "traits", Traits(batchwise=True, minimum=None))
