"""Texts as class numbers: words of a vocabulary made from the training part, or a tokenizer's tokens (see `limbeck.data.tokens`).

Letters: n texts, l places.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from limbeck.data.assemble import Raw
from limbeck.data.tokens import Text, Tokenizer, Tokens
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


@dataclass(frozen=True)
class TextColumns:
    """How texts are read. tokenizer: its folder or name, "" for words. longest: most tokens. columns: which hold the texts."""

    tokenizer: str = ""
    longest: int | None = None
    columns: tuple[str, ...] = ()


def texts(
    source: str,
    parts: Mapping[str, Sequence[tuple[Text, str]]],
    classes: tuple[str, ...] = (),
    how: TextColumns = TextColumns(),  # noqa: B008  it is frozen
) -> Raw:
    """Texts (text, label) by part as class numbers: <cls>, words of a vocabulary of at most 8,000, <sep>, cut to 32; or as a
    tokenizer has them. The labels of a part "unlabelled" are not read.

    classes: names in the order of the sorted labels, where they are as many. Where no text has a label, there are none.
    """
    if not how.tokenizer:
        raw = _worded(source, parts)
    else:
        _complete(source, parts)
        raw = _tokenized(parts, how)
    kept = {part: [text for text, _ in rows] for part, rows in parts.items()}
    if _bare(parts):
        return replace(raw, parts={part: (inputs, None) for part, (inputs, _) in raw.parts.items()}, texts=kept)
    known = {part: rows for part, rows in parts.items() if part != "unlabelled"}
    every, labels = CLASSIFY.read(source, {"label": [label for rows in known.values() for _, label in rows]})
    told = dict(zip(known, every.split([len(rows) for rows in known.values()]), strict=True))
    named = classes if len(classes) == len(labels) else tuple(labels)
    made = {part: (inputs, told.get(part)) for part, (inputs, _) in raw.parts.items()}
    return replace(raw, parts=made, classes=named, texts=kept)


def _bare(parts: Mapping[str, Sequence[tuple[object, str]]]) -> bool:
    """Whether no text at all has a label."""
    return not any(label for rows in parts.values() for _, label in rows)


def _complete(source: str, parts: Mapping[str, Sequence[tuple[object, str]]]) -> None:
    bare = _bare(parts)
    for part, rows in parts.items():
        for k, (text, label) in enumerate(rows, start=1):
            whole = all(text) if isinstance(text, tuple) else bool(text)
            if not whole or not (label or bare or part == "unlabelled"):
                raise UserError(f"{source}: sample {k} of {part} lacks a text or a label; complete or remove it")


def _worded(source: str, parts: Mapping[str, Sequence[tuple[Text, str]]]) -> Raw:
    if any(not isinstance(text, str) for rows in parts.values() for text, _ in rows):
        raise UserError(f"{source}: pairs of texts need a tokenizer; give data.tokenizer, or a teacher that brings one")
    found = {part: [(words(str(text)), label) for text, label in rows] for part, rows in parts.items()}
    _complete(source, found)
    known = _vocabulary([text for text, _ in found["train"]])
    made = {part: (torch.stack([_numbers(text, known) for text, _ in rows]), None) for part, rows in found.items()}
    cut = sum(len(text) > LONGEST - 2 for rows in found.values() for text, _ in rows)
    notes = [f"sentences as at most {LONGEST} of {len(known)} words, the most frequent of the training file; {cut} were cut"]
    return Raw(made, (), "text", notes=notes, words=tuple(known))


def _tokenized(parts: Mapping[str, Sequence[tuple[Text, str]]], how: TextColumns) -> Raw:
    tokenizer = Tokenizer(how.tokenizer, how.longest)
    facts, found, cut = tokenizer.facts, {}, 0
    for part, rows in parts.items():
        found[part], short = tokenizer.rows([text for text, _ in rows])
        cut += short
    width, count = max(len(row) for rows in found.values() for row in rows), sum(map(len, found.values()))
    made = {part: (tokenizer.tensor(rows, width), None) for part, rows in found.items()}
    notes = [
        f"texts as tokens of {how.tokenizer} ({facts['tokenizer']}, {facts['vocabulary']:,} tokens), at most {facts['longest']} "
        f"each and {width} here, special ones included; {cut:,} of {count:,} rows ({cut / count:.1%}) were cut off"
    ]
    if not tokenizer.padded:
        notes.append(f"the tokenizer has no token for padding: {facts['pad']} stands behind the end and is masked")
    return Raw(made, (), "text", notes=notes, tokens=Tokens(how.tokenizer, facts))


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
