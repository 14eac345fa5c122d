"""What a loss promises and is: a decorator that attaches a frozen `Traits`, and `traits_of` to read it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, ParamSpec

from torch import Tensor

from limbeck.transforms.facts import Facts, Knowledge, attach, facts_of, one_of

Family = Literal[
    "absolute", "angle", "contrast", "correlation", "divergence", "judge", "margin", "order", "penalty", "squares", "transport"
]
Compares = Literal["classes", "values"]
P = ParamSpec("P")


@dataclass(frozen=True, kw_only=True)
class Traits(Facts):
    """The declared properties of a loss; `tests/laws/test_losses.py` checks those that can be checked, both ways.

    family: how it compares. over: "classes" if an input must be class logits, probabilities or labels, "values" if it
    compares any values. knowledge: what it makes of what it is given; None is decided by where that is read.
    minimum: the value when the student equals the teacher; None promises nothing (cross-entropies).
    symmetric: exchanging student and teacher leaves the value unchanged. raw: of an answer it compares the values, not
    the probabilities. knobs: inputs that say how it compares, not with what. source: the paper, and the code where a
    constant or reading was taken from it. batchwise: a sample's value depends on the other samples of the batch. summed: it takes
    the mask itself and gives the sum over what counts.
    """

    family: Family
    over: Compares
    minimum: float | None = 0.0
    symmetric: bool = False
    raw: bool = False
    knobs: tuple[str, ...] = ()
    source: str = ""
    summed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("family of losses", self.family, Family)
        one_of("kind of input (over)", self.over, Compares)


def loss(
    *,
    family: Family,
    knowledge: Knowledge | None,
    over: Compares,
    batchwise: bool = False,
    minimum: float | None = 0.0,
    symmetric: bool = False,
    raw: bool = False,
    knobs: tuple[str, ...] = (),
    source: str = "",
) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """State the `Traits` of a loss function where it is defined; nothing is registered or wrapped.

    >>> @loss(family="absolute", knowledge=None, over="values", symmetric=True)
    ... def gap(student, teacher):
    ...     return (student - teacher).abs()
    >>> traits_of(gap).family
    'absolute'
    """
    traits = Traits(
        family=family,
        knowledge=knowledge,
        over=over,
        batchwise=batchwise,
        minimum=minimum,
        symmetric=symmetric,
        raw=raw,
        knobs=knobs,
        source=source,
    )
    return lambda fn: attach(fn, traits)


def traits_of(fn: Callable[..., Tensor]) -> Traits | None:
    """The traits of a loss, also through `functools.partial`; None for a function that states none.

    >>> from functools import partial
    >>> from limbeck.losses import kl
    >>> traits_of(partial(kl, temperature=2.0)).minimum
    0.0
    """
    found = facts_of(fn)
    return found if isinstance(found, Traits) else None
