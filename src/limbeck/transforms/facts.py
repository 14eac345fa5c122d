"""The facts of functions and learned pieces, stated where these are defined and read by whoever describes a method."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from limbeck.errors import unknown

Knowledge = Literal[
    "activation boundaries",
    "attention maps",
    "factors",
    "features",
    "hard labels",
    "logits",
    "relations of channels",
    "relations of classes",
    "relations of layers",
    "relations of positions",
    "relations of samples",
    "soft labels",
]
T = TypeVar("T", bound=Callable[..., object])
_NAME = "facts"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts of a function between a tap and a loss, or of a learned piece there.

    knowledge: the kind of knowledge that a value is after it went through; None leaves it what it was.
    answers: its output is a classifier's answer, though it is read from inside a model.
    written: it reads strings that a model has written: the model's answer, too.
    boxes: it reads labels that are boxes.
    batchwise: a sample's value depends on the other samples of the batch; a term that goes through it is refused where a
        batch is cut into pieces, and its value is not stored by sample.
    """

    knowledge: Knowledge | None = None
    answers: bool = False
    written: bool = False
    boxes: bool = False
    batchwise: bool = False

    def __post_init__(self) -> None:
        one_of("knowledge", self.knowledge or "features", Knowledge)


def one_of(what: str, value: str, allowed: object) -> None:
    """Refuse a word that is none of a `Literal`'s, with the closest one."""
    if value not in get_args(allowed):
        raise unknown(what, value, get_args(allowed))


def attach(fn: T, facts: Facts) -> T:
    """The same function, class or partial with its facts; nothing is registered or wrapped."""
    setattr(fn, _NAME, facts)
    return fn


def transform(
    *,
    knowledge: Knowledge | None = None,
    answers: bool = False,
    written: bool = False,
    boxes: bool = False,
    batchwise: bool = False,
) -> Callable[[T], T]:
    """State the facts of a transform, or of a connector's class. What has none to state needs no decorator.

    >>> @transform(batchwise=True)
    ... def centred(features):
    ...     return features - features.mean(0)
    >>> facts_of(centred).batchwise
    True
    """
    facts = Facts(knowledge=knowledge, answers=answers, written=written, boxes=boxes, batchwise=batchwise)
    return lambda fn: attach(fn, facts)


connector = transform


def plain(fn: object) -> object:
    """The function inside a partial.

    >>> from functools import partial
    >>> plain(partial(partial(max, 1), 2))
    <built-in function max>
    """
    while hasattr(fn, "func"):
        fn = fn.func
    return fn


def call_text(fn: object) -> str:
    """A function as a person reads it: `soft_target[temperature=4.0]` for a partial, its name otherwise.

    >>> from functools import partial
    >>> call_text(partial(round, ndigits=2)), call_text(len), call_text("gate")
    ('round[ndigits=2]', 'len', 'gate')
    """
    if isinstance(fn, str):
        return fn
    if isinstance(fn, functools.partial):
        extra = ", ".join([*map(repr, fn.args), *(f"{k}={v!r}" for k, v in fn.keywords.items())])
        return f"{call_text(fn.func)}[{extra}]" if extra else call_text(fn.func)
    return getattr(fn, "__name__", None) or repr(fn)


def facts_of(fn: object) -> Facts:
    """The facts of a function, also through `functools.partial`; all defaults where it states none."""
    found = getattr(plain(fn), _NAME, None)
    return found if isinstance(found, Facts) else _NONE


_NONE = Facts()
