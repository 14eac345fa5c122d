"""Texts as class numbers: words of a vocabulary made from the training part.

Letters: n texts, l places.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from limbeck.data.assemble import Raw
from limbeck.data.words import words
from limbeck.errors import UserError
from limbeck.tasks.classify import CLASSIFY

SPECIAL = ("<pad>", "<unk>", "<cls>", "<sep>")
"""What the class numbers 0 to 3 mean; words follow, the most frequent of the training file first."""
LONGEST, VOCABULARY = 32, 8000


class Words(nn.Module):
    """Class numbers (n, l), 0 behind the end, as transformers' text models take them: input_ids and attention_mask."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"input_ids": x.long(), "attention_mask": (x != 0).long()}


def texts(source: str, parts: Mapping[str, Sequence[tuple[str, str]]], classes: tuple[str, ...] = ()) -> Raw:
    """Texts (text, label) by part as class numbers (n, 32): <cls>, words of a vocabulary of at most 8,000, <sep>; cut if longer.

    classes: names in the order of the sorted labels, where they are as many.
    """
    found = {part: [(words(text), label) for text, label in rows] for part, rows in parts.items()}
    for part, rows in found.items():
        wrong = next((k for k, (text, label) in enumerate(rows, start=1) if not text or not label), None)
        if wrong is not None:
            raise UserError(f"{source}: sample {wrong} of {part} lacks a text or a label; complete or remove it")
    known = _vocabulary([text for text, _ in found["train"]])
    every, labels = CLASSIFY.read(source, {"label": [label for rows in found.values() for _, label in rows]})
    told = dict(zip(found, every.split([len(rows) for rows in found.values()]), strict=True))
    made = {part: (torch.stack([_numbers(text, known) for text, _ in rows]), told[part]) for part, rows in found.items()}
    cut = sum(len(text) > LONGEST - 2 for rows in found.values() for text, _ in rows)
    notes = [f"sentences as at most {LONGEST} of {len(known)} words, the most frequent of the training file; {cut} were cut"]
    named = classes if len(classes) == len(labels) else tuple(labels)
    return Raw(made, named, "text", notes=notes, words=tuple(known))


def numbered(sentences: Sequence[str], vocabulary: Sequence[str]) -> Tensor:
    """Return sentences as a student takes them, (n, 32); `vocabulary` is the list `words` in its student.json.

    >>> numbered(["A film"], ["<pad>", "<unk>", "<cls>", "<sep>", "film"])[0, :5]
    tensor([2, 1, 4, 3, 0])
    """
    known = {word: number for number, word in enumerate(vocabulary)}
    return torch.stack([_numbers(words(sentence), known) for sentence in sentences])


def _vocabulary(sentences: list[list[str]]) -> dict[str, int]:
    counted = Counter(word for sentence in sentences for word in sentence)
    common = sorted(counted, key=lambda word: (-counted[word], word))[: VOCABULARY - len(SPECIAL)]
    return {word: number for number, word in enumerate((*SPECIAL, *common))}


def _numbers(sentence: list[str], known: dict[str, int]) -> Tensor:
    numbers = [2, *(known.get(word, 1) for word in sentence[: LONGEST - 2]), 3]
    return torch.tensor(numbers + [0] * (LONGEST - len(numbers)))
