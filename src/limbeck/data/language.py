"""Texts for a task of next tokens: documents, prompts with their completions and conversations as rows of a tokenizer's tokens.

A row is written as in `limbeck.data.tokens`, 1 + token + V x part: where documents share a row, `part` turns from 0 to 1 and back
at every border, so that a model can be kept from looking across it. The label of a place is the token that follows it in the
same document, -100 where none follows or where it is not to be learned: prompts, and what stands behind the end. Which places
count is so decided by lengths, never by a token's value. Letters: n rows, T places, V tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from limbeck.data.assemble import ORDER, Raw
from limbeck.data.splits import size_of
from limbeck.data.text import TextColumns
from limbeck.data.tokens import TokenFacts, Tokenizer, Tokens
from limbeck.errors import UserError, reason
from limbeck.tasks.next_token import NextToken
from limbeck.transforms.draws import order

BLOCK = 256  # tokens of a row where nobody says how many
PIECE = 200_000  # characters of a document that are given to a tokenizer at once
SAMPLE = 100  # texts that are kept to tell tokenizers apart
HELD_OUT = 0.1  # of the text, where the source has no test part


@dataclass(frozen=True)
class Document:
    """A text as it came: a string, a pair of a prompt and its completion, or a conversation, a list of messages."""

    text: str = ""
    prompt: str | None = None
    messages: tuple[Mapping[str, str], ...] = ()


@dataclass
class Encoded:
    """A document's tokens, which of them are learned, and how many UTF-8 bytes these spell."""

    ids: list[int]
    learned: list[bool]
    bytes: float
    characters: float


@dataclass
class _Counts:
    documents: int = 0
    labels: int = 0
    bytes: float = 0.0
    characters: float = 0.0
    cut: int = 0

    def __str__(self) -> str:
        said = f"{self.labels:,} tokens to predict ({self.characters:,.0f} characters, {self.bytes:,.0f} bytes)"
        return f"{said} in {self.documents:,} document{'' if self.documents == 1 else 's'}"


def language(source: str, parts: Mapping[str, Sequence[Document]], how: TextColumns, test: float | None, seed: int) -> Raw:
    """Documents of each part as rows (n, T) of tokens, with labels (n, T).

    Args:
        source: where they came from, for messages. how: tokenizer, and T in `longest`. seed: of what is held out.
        test: share or number of documents that are held out where there is no test part, or of the text where it is one document.

    Raises:
        UserError: no tokenizer, nothing to learn in a document, a prompt that fills a row.
    """
    if not how.tokenizer:
        raise UserError(
            f"{source} holds texts of which the next tokens are to be predicted, which needs a tokenizer; give a folder of "
            "transformers as teacher or student, or set data.tokenizer"
        )
    tokenizer = Tokenizer(how.tokenizer)
    width = min(how.longest or BLOCK, tokenizer.facts["longest"])
    if how.longest is not None and how.longest > width:
        raise UserError(
            f"data.longest = {how.longest}, but the model of {how.tokenizer[-80:]} reads at most {width} tokens; lower it"
        )
    notes: list[str] = []
    encoder = Encoder(tokenizer, source)
    found = {part: [encoder(k, one) for k, one in enumerate(documents, start=1)] for part, documents in parts.items()}
    if "test" not in found:
        found, said = _held_out(found, test, seed)
        notes.append(said)
    packs = all(one.prompt is None and not one.messages for documents in parts.values() for one in documents)
    counted = {part: _Counts() for part in found}
    lay = partial(_blocks, width=width) if packs else partial(_rows, width=width, source=source)
    rows = {part: lay(each, counts=counted[part]) for part, each in found.items()}
    if not packs:
        width = max(len(ids) for each in rows.values() for ids, _ in each)
    borders = packs and any(count.documents > 1 for count in counted.values())
    many = tokenizer.facts["vocabulary"]
    made = {part: _tensors(each, width, many) for part, each in rows.items()}
    judged = counted["test"]
    task = NextToken(vocabulary=many, bytes_per_token=round(judged.bytes / max(1, judged.labels), 6))
    notes = [*notes, *_told(counted, packs, width, how.tokenizer, tokenizer)]
    sample = tuple(_plain(one)[:2000] for one in list(parts["train"])[:SAMPLE])
    facts: TokenFacts = {**tokenizer.facts, "longest": width, "types": False, "documents": borders}
    return Raw(
        made,
        (),
        "text",
        test_share=0,
        held_out="test" not in parts,
        notes=notes,
        task=task,
        tokens=Tokens(how.tokenizer, facts, sample),
    )


class Encoder:
    """Documents as tokens, with the special tokens that the tokenizer itself puts around a text, and its end of a text."""

    def __init__(self, tokenizer: Tokenizer, source: str):
        self.inner, self.source = tokenizer.tokenizer, source
        whole, bare = self._ids("a", add_special_tokens=True), self._ids("a")
        start = next((k for k in range(len(whole)) if whole[k : k + len(bare)] == bare), 0)
        self.before, self.after = whole[:start], whole[start + len(bare) :]
        end = self.inner.eos_token_id
        if end is not None and not self.after:
            self.after = [int(end)]

    def __call__(self, number: int, one: Document) -> Encoded:
        """The tokens of the document of that number, from 1. Raises `UserError` where it has nothing to learn."""
        if one.messages:
            return self._conversation(number, one.messages)
        if not one.text.strip():
            what = "a text" if one.prompt is None else "a completion"
            raise UserError(f"{self.source}: document {number} has {what} that is empty; complete or remove it")
        ids = self._pieces(one.text)
        size, letters = len(one.text.encode("utf-8", "replace")), len(one.text)
        if one.prompt is not None:
            asked = self.prompt(one.prompt)
            return Encoded(asked + ids + self.after, [False] * len(asked) + [True] * (len(ids) + len(self.after)), size, letters)
        first = "" if self.before else self.inner.decode(ids[:1])  # nothing stands before it
        learned = [False] * len(self.before) + [bool(self.before)] * min(1, len(ids)) + [True] * (len(ids) - 1 + len(self.after))
        return Encoded(self.before + ids + self.after, learned, size - len(first.encode()), letters - len(first))

    def prompt(self, text: str) -> list[int]:
        """A text that is to be gone on with: with what stands before a text, and without its end."""
        return [*self.before, *self._pieces(text)]

    def _ids(self, text: str, **how: Any) -> list[int]:
        try:
            found: list[int] = self.inner(text, **{"add_special_tokens": False, "verbose": False, **how})["input_ids"]
        except Exception as error:  # a tokenizer of somebody's own
            raise UserError(f"the tokenizer cannot read the texts of {self.source} ({reason(error)})") from error
        return found

    def _pieces(self, text: str) -> list[int]:
        """The tokens of a text, of a long one piece by piece: cut where a line begins with a letter, as tokens end there too."""
        found: list[int] = []
        start = 0
        while start < len(text):
            end = start + PIECE
            while end < len(text) and not (text[end - 1] == "\n" and text[end].isalnum()):
                end += 1
            found += self._ids(text[start:end])
            start = end
        return found

    def _conversation(self, number: int, messages: Sequence[Mapping[str, str]]) -> Encoded:
        """A conversation by the tokenizer's own template: what the assistant says is learned, found by asking the template for
        the conversation before and after each of its turns."""
        where = f"{self.source}: conversation {number}"
        if not any(one["role"] == "assistant" and one["content"].strip() for one in messages):
            raise UserError(f"{where} has no answer of the assistant, so there is nothing to learn; complete or remove it")
        whole = self._templated(messages, where)
        learned = [False] * len(whole)
        for k, one in enumerate(messages):
            if one["role"] != "assistant":
                continue
            before = self._templated(messages[:k], where, add_generation_prompt=True)
            after = self._templated(messages[: k + 1], where)
            if whole[: len(before)] != before or whole[: len(after)] != after:
                raise UserError(
                    f"{where}: the tokenizer's chat template writes earlier turns otherwise once others follow, so what the "
                    "assistant says cannot be told from the rest; give rows of prompt and completion"
                )
            learned[len(before) : len(after)] = [True] * (len(after) - len(before))
        said = "".join(one["content"] for one in messages if one["role"] == "assistant")
        return Encoded(whole, learned, len(said.encode("utf-8", "replace")), len(said))

    def _templated(self, messages: Sequence[Mapping[str, str]], where: str, **how: Any) -> list[int]:
        if not getattr(self.inner, "chat_template", None):
            raise UserError(f"{where}: the tokenizer has no chat template; give rows of prompt and completion, or text")
        try:
            text = self.inner.apply_chat_template([dict(one) for one in messages], tokenize=False, **how)
        except Exception as error:  # a template is a program of somebody's, run in a sandbox by transformers
            raise UserError(
                f"{where}: the tokenizer's chat template refuses it ({reason(error)}); correct or remove it"
            ) from error
        return self._ids(text)


def _held_out(found: Mapping[str, list[Encoded]], test: float | None, seed: int) -> tuple[dict[str, list[Encoded]], str]:
    """The parts with a test part: whole documents that are drawn, or the end of the text where it is one."""
    train = found["train"]
    if len(train) > 1:
        count = size_of(test or HELD_OUT, len(train), "test")
        drawn = set(order(seed, len(train), "test documents")[:count].tolist())
        shown = {"train": [one for k, one in enumerate(train) if k not in drawn], "test": [train[k] for k in sorted(drawn)]}
        return {
            **found,
            **shown,
        }, f"no test part at the source: {count} of {len(train):,} documents were held out, split seed {seed}"
    (one,) = train
    count = size_of(test or HELD_OUT, len(one.ids), "test")
    cut = len(one.ids) - count
    share = count / len(one.ids)
    rest = Encoded(one.ids[:cut], one.learned[:cut], one.bytes * (1 - share), one.characters * (1 - share))
    last = Encoded(one.ids[cut:], [False, *one.learned[cut + 1 :]], one.bytes * share, one.characters * share)
    return {**found, "train": [rest], "test": [last]}, f"no test part at the source: the last {count:,} tokens were held out"


Row = tuple[list[int], list[int]]  # numbers as in a row, and labels


def _blocks(found: Sequence[Encoded], width: int, counts: _Counts) -> list[Row]:
    """Documents one behind the other, cut into blocks; what is learned of a document depends on that document alone."""
    stream: list[int] = []
    labels: list[int] = []
    sides: list[int] = []
    for k, one in enumerate(found):
        stream += one.ids
        labels += [*(i if on else -100 for i, on in zip(one.ids[1:], one.learned[1:], strict=True)), -100]
        sides += [k % 2] * len(one.ids)
        _count(counts, one)
    made = []
    for start in range(0, len(stream), width):
        cut = slice(start, start + width)
        if any(label != -100 for label in labels[cut]):
            made.append(([2 * i + side for i, side in zip(stream[cut], sides[cut], strict=True)], labels[cut]))
    return made


def _rows(found: Sequence[Encoded], width: int, source: str, counts: _Counts) -> list[Row]:
    """A row for each document, cut behind `width` places."""
    made = []
    for number, one in enumerate(found, start=1):
        labels = [i if on else -100 for i, on in zip(one.ids[1:], one.learned[1:], strict=True)]
        if not any(label != -100 for label in labels[:width]):
            first = next((k for k, on in enumerate(one.learned) if on), len(one.ids))
            raise UserError(
                f"{source}: document {number} has {first:,} tokens before the first that is learned, but a row has {width}; set "
                "data.longest higher, or shorten or remove it"
            )
        counts.cut += len(labels) > width
        kept = sum(label != -100 for label in labels[:width]) / sum(label != -100 for label in labels)
        _count(counts, replace(one, bytes=one.bytes * kept, characters=one.characters * kept), labels[:width])
        made.append(([2 * i for i in one.ids[:-1][:width]], labels[:width]))
    return made


def _count(counts: _Counts, one: Encoded, labels: list[int] | None = None) -> None:
    counts.documents += 1
    counts.labels += sum(one.learned[1:]) if labels is None else sum(label != -100 for label in labels)
    counts.bytes += one.bytes
    counts.characters += one.characters


def _tensors(rows: Sequence[Row], width: int, many: int) -> tuple[Tensor, Tensor]:
    """Rows as (n, T) numbers, 0 behind the end, and (n, T) labels."""
    inputs = torch.zeros(len(rows), width, dtype=torch.int64)
    labels = torch.full((len(rows), width), -100, dtype=torch.int64)
    for k, (numbers, own) in enumerate(rows):
        given = torch.tensor(numbers, dtype=torch.int64)
        inputs[k, : len(numbers)] = 1 + given // 2 + many * (given % 2)
        labels[k, : len(own)] = torch.tensor(own, dtype=torch.int64)
    return inputs, labels


def _told(counted: Mapping[str, _Counts], packs: bool, width: int, name: str, tokenizer: Tokenizer) -> list[str]:
    """What was made of the texts, in sentences."""
    facts = tokenizer.facts
    each = ", ".join(f"{part} {counted[part]}" for part in ORDER if part in counted)
    how = f"documents one behind the other in blocks of {width}" if packs else f"a row of at most {width} for each document"
    notes = [
        f"next tokens by the tokenizer of {name[-80:]} ({facts['tokenizer']}, {facts['vocabulary']:,} tokens), {how}; {each}"
    ]
    cut = sum(count.cut for count in counted.values())
    if cut:
        notes.append(f"{cut:,} documents were cut behind {width} tokens (data.longest)")
    if tokenizer.tokenizer.eos_token_id is None:
        notes.append("the tokenizer has no token for the end of a text, so none is learned")
    return notes


def _plain(one: Document) -> str:
    return (one.prompt or "") + one.text if not one.messages else "\n".join(str(each["content"]) for each in one.messages)
