"""Entities in tagged sentences: which words they span, and how many of them a model finds.

Tags are O, or a type behind B- (begins), I- (inside), E- or L- (ends), S- or U- (single). Letters: n sentences, C tags.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

BEGINS, ENDS = frozenset("BSU"), frozenset("ELSU")
Entity = tuple[str, int, int]
"""A type, and the first and last word."""


def spelt(names: Sequence[str]) -> bool:
    """Whether tags name entities: O, or a letter and a hyphen before a type.

    >>> spelt(["O", "B-PER", "I-PER"]), spelt(["NOUN", "VERB"])
    (True, False)
    """
    return any("-" in name for name in names) and all(name == "O" or name[:2] in _PREFIXES for name in names)


_PREFIXES = tuple(f"{letter}-" for letter in "BIELSU")


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of a sentence, as conlleval and seqeval's default read them: an I- behind another type, or behind nothing,
    begins one, too. L- ends as E- does, U- stands alone as S- does.

    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [('PER', 0, 1), ('LOC', 3, 3), ('LOC', 4, 4)]
    """
    found, start, before = [], 0, ("O", "")
    for place, tag in enumerate([*tags, "O"]):
        now = ("O", "") if tag == "O" else (tag[0], tag[2:])
        if before[0] != "O" and _over(before, now):
            found.append((before[1], start, place - 1))
        if now[0] != "O" and _new(before, now):
            start = place
        before = now
    return found


def _over(before: tuple[str, str], now: tuple[str, str]) -> bool:
    return now[0] == "O" or now[0] in BEGINS or before[0] in ENDS or before[1] != now[1]


def _new(before: tuple[str, str], now: tuple[str, str]) -> bool:
    return before[0] == "O" or _over(before, now)


def counts(answers: Tensor, labels: Tensor, names: Sequence[str]) -> tuple[tuple[str, ...], Tensor]:
    """Types of entities, and (n, types, 3) int64: of each sentence and type those found rightly, found, and there.

    Args:
        answers, labels: (n, L) class numbers; places with the label -100 are no words of their own.
        names: of the C tags. Where these name no entities, every word is one, of its tag; O is none.
    """
    told = spelt(names)
    types = tuple(dict.fromkeys(name[2:] if told else name for name in names if name != "O"))
    at, total = {kind: k for k, kind in enumerate(types)}, torch.zeros(len(labels), len(types), 3, dtype=torch.int64)
    read = entities if told else _words
    for row, (answer, label) in enumerate(zip(answers, labels, strict=True)):
        words = label != -100
        said, there = (set(read([names[k] for k in side[words].tolist()])) for side in (answer, label))
        for place, group in enumerate((said & there, said, there)):
            for kind, _, _ in group:
                total[row, at[kind], place] += 1
    return types, total


def _words(tags: Sequence[str]) -> list[Entity]:
    return [(tag, k, k) for k, tag in enumerate(tags) if tag != "O"]


def f1(sums: Tensor) -> Tensor:
    """2 right / (found + there) of sums (..., 3); NaN where there is nothing to find and nothing found.

    >>> f1(torch.tensor([[1.0, 2.0, 2.0]]))
    tensor([0.5000])
    """
    return 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2])
