"""Sentences of words with a tag each, as a tokenizer's pieces: a word's tag stands at its first piece.

Letters: n sentences, L places.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from limbeck.data.assemble import Raw, in_order
from limbeck.data.text import TextColumns
from limbeck.data.tokens import Tokenizer, Tokens
from limbeck.errors import UserError, reason
from limbeck.tasks.token_classification import TokenClassification

Tagged = tuple[Sequence[str], Sequence[str]]
"""The words of a sentence, and their tags."""


def tagged(source: str, parts: Mapping[str, Sequence[Tagged]], how: TextColumns, labels_from: str) -> Raw:
    """Sentences by part as numbers (n, L) of pieces, with labels (n, L): classes at first pieces, else -100.

    Raises `UserError` for words without tags, and where no tokenizer is given that knows which piece is of which word.
    """
    _complete(source, parts)
    if not how.tokenizer:
        raise UserError(
            f"{source} holds words with tags, which needs a tokenizer: give a folder of transformers as teacher or student, or "
            "set data.tokenizer"
        )
    tokenizer = Tokenizer(how.tokenizer, how.longest)
    classes = in_order({tag for rows in parts.values() for _, tags in rows for tag in tags})
    at = {tag: k for k, tag in enumerate(classes)}
    pieces = {part: [split(tokenizer, words) for words, _ in rows] for part, rows in parts.items()}
    width = max(len(numbers) for rows in pieces.values() for numbers, _ in rows)
    made: dict[str, tuple[Tensor, Tensor | None]] = {}
    lost = 0
    for part, rows in parts.items():
        inputs = tokenizer.tensor([numbers for numbers, _ in pieces[part]], width)
        labels = torch.full((len(rows), width), -100)
        for row, ((_, firsts), (_, tags)) in enumerate(zip(pieces[part], rows, strict=True)):
            shift = int((inputs[row] == 0).sum()) if tokenizer.tokenizer.padding_side == "left" else 0
            for word, place in firsts.items():
                labels[row, place + shift] = at[tags[word]]
            lost += len(tags) - len(firsts)
        made[part] = (inputs, labels)
    facts, every = tokenizer.facts, sum(len(tags) for rows in parts.values() for _, tags in rows)
    notes = [
        f"words as tokens of {how.tokenizer} ({facts['tokenizer']}), at most {facts['longest']} a sentence and {width} here; a "
        f"word's tag stands at its first piece; {lost:,} of {every:,} words were cut off or have no piece, and are not judged"
    ]
    task = TokenClassification(names=classes)
    return Raw(made, classes, "text", notes=notes, task=task, labels_from=labels_from, tokens=Tokens(how.tokenizer, facts))


def split(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[list[int], dict[int, int]]:
    """The numbers of a sentence's pieces, and the place of each word's first one, of those that have any."""
    known, facts = tokenizer.tokenizer, tokenizer.facts
    if not getattr(known, "is_fast", False):
        raise UserError(f"the tokenizer of {tokenizer.source[-80:]} does not say which piece is of which word; give a fast one")
    try:
        found: Any = known(list(words), is_split_into_words=True, truncation=True, max_length=facts["longest"], verbose=False)
        owners = found.word_ids()
    except Exception as error:  # one that wants spaces before words, and says so in its own way
        raise UserError(
            f"the tokenizer of {tokenizer.source[-80:]} cannot read words one by one ({reason(error)[:120]})"
        ) from error
    firsts: dict[int, int] = {}
    for place, word in enumerate(owners):
        if word is not None:
            firsts.setdefault(word, place)
    return [1 + number for number in found["input_ids"]], firsts


def _complete(source: str, parts: Mapping[str, Sequence[Tagged]]) -> None:
    for part, rows in parts.items():
        if not rows:
            raise UserError(f"{source}: {part} has no sentences; give some, or remove it")
        for k, (words, tags) in enumerate(rows, start=1):
            if len(words) != len(tags) or not words or not all(tags):
                raise UserError(
                    f"{source}: sentence {k} of {part} has {len(words)} words and {len(tags)} tags; give each word one"
                )
