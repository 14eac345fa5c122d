"""How limbeck says no: one sentence with who, what was expected, what came and what to do."""

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line starts without PyTorch
    from torch import Tensor


LONG = 60  # characters of a word that is shown in full, where room is short
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class UserError(ValueError):
    """Something the caller gave cannot be used; the message is one sentence meant for a person.

    The command line prints the message alone and exits with code 2; Python callers may catch it
    as a plain `ValueError`. Broken invariants of our own stay `AssertionError`.
    """


def visible(text: str) -> str:
    r"""Text of others for a terminal: what would move the cursor, colour, or turn the direction of writing is replaced.

    >>> visible("a\x1b[31mb")
    'a�[31mb'
    """
    return _HIDDEN.sub("�", text)


def sentence(text: str, most: int = 300) -> str:
    r"""One line for a terminal of at most `most` characters: long words lose their middle, then the text does.

    >>> sentence("a\nb"), sentence("no " + "x" * 400 + " here, give another", 100)
    ('a b', 'no xxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxx here, give another')
    """
    words = " ".join(visible(text).split())
    if len(words) > most:
        words = " ".join(w if len(w) <= LONG or "/" in w else f"{w[:24]}...{w[-14:]}" for w in words.split(" "))
    if len(words) > most:
        kept = most * 2 // 5
        words = f"{words[: most - kept - 5].rstrip()} ... {words[-kept:].lstrip()}"
    return words


def reason(error: BaseException, most: int = 120) -> str:
    """What an exception says, in one line of at most `most` characters; with its kind where it is a word, not a sentence.

    >>> reason(KeyError("x")), reason(RuntimeError("no luck\\nat all"))
    ("KeyError: 'x'", 'no luck')
    """
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    text = first if " " in first else f"{type(error).__name__}: {first}" if first else type(error).__name__
    return (text if len(text) <= most else text[: most - 3] + "...").rstrip(".;")


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> UserError:
    """The error for a name nobody knows: offers the closest known names.

    >>> print(unknown("method", "hintn", ["hinton", "dkd"]))
    unknown method 'hintn'; did you mean 'hinton'?
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        advice = "did you mean " + " or ".join(repr(c) for c in close) + "?"
    elif len(names) <= 12:
        advice = "known: " + ", ".join(names) if names else "none is known here"
    else:
        advice = "known: " + ", ".join(names[:12]) + f" and {len(names) - 12} more"
    return UserError(f"unknown {kind} {name!r}; {advice}" + (f" ({hint})" if hint else ""))


def need_same_shape(who: str, student: "Tensor", teacher: "Tensor") -> None:
    """Refuse to compare tensors of different shapes: broadcasting would give a silent wrong number.

    >>> import torch
    >>> need_same_shape("mse", torch.zeros(32), torch.zeros(32, 1))
    Traceback (most recent call last):
    limbeck.errors.UserError: mse: student (32,) and teacher (32, 1) differ; add a connector or a transform that makes them equal
    """
    if student.shape != teacher.shape:
        raise UserError(
            f"{who}: student {tuple(student.shape)} and teacher {tuple(teacher.shape)} differ; "
            "add a connector or a transform that makes them equal"
        )
