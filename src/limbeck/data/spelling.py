"""How a tokenizer spells bytes, and where the tokens of two tokenizers begin and end in the same text.

Letters: V tokens; a text of B bytes. A special token stands for no bytes: it takes one place of the text by itself.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from limbeck.data.tokens import Tokenizer
from limbeck.errors import UserError

SPACE = "\u2581"  # how sentencepiece writes a space


def byte_alphabet() -> dict[str, int]:
    """The byte that each letter of a byte-level tokenizer stands for: printable ones for themselves, the letters from 256 on for
    the others in order (Radford et al. 2019, GPT-2).

    >>> found = byte_alphabet()
    >>> len(found), found["a"], found["\u0120"]
    (256, 97, 32)
    """
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + k): byte for k, byte in enumerate(rest)}


@dataclass(frozen=True)
class Spelt:
    """Tokens of a text and where each ends: a token that spells nothing, before a text, ends where it begins."""

    ids: tuple[int, ...]
    ends: tuple[int, ...]


class Spelling:
    """What each token of a tokenizer spells.

    words: (V,) the bytes of each token; b"" of special tokens and of those that are not known. special: special tokens by what
    is written for them. spaced: whether the tokenizer writes a space before a text.

    Raises:
        UserError: a tokenizer whose tokens are not pieces of the text's bytes (one that lowers case, or is written in Python).
    """

    def __init__(self, tokenizer: Tokenizer):
        self.source, self.outer = tokenizer.source, tokenizer.tokenizer
        backend = getattr(self.outer, "backend_tokenizer", None)
        written = {} if backend is None else json.loads(backend.to_str())
        decoder = json.dumps(written.get("decoder"), ensure_ascii=False)
        self.inner: Any = None if backend is None else backend.model
        self.byte_level = '"ByteLevel"' in decoder
        if not self.byte_level and SPACE not in decoder:
            raise UserError(
                f"the tokens of {self.source[-80:]} cannot be told as pieces of a text's bytes; take a model whose tokenizer is "
                "a byte-level or sentencepiece one"
            )
        special = {int(k): str(token.content) for k, token in self.outer.added_tokens_decoder.items() if token.special}
        self.special = {text: k for k, text in special.items()}
        known = self.outer.get_vocab()
        self.words = [b""] * (max(known.values(), default=0) + 1)
        for text, k in known.items():
            if k not in special:
                self.words[k] = self._bytes(text, k)
        bare = self.outer("a", add_special_tokens=False, verbose=False)["input_ids"]
        self.spaced = b"".join(self.words[k] for k in bare) == b" a"  # writes a space where a text begins

    def _bytes(self, text: str, k: int) -> bytes:
        if not self.byte_level and len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            return bytes([int(text[3:5], 16)])
        if k in self.outer.added_tokens_decoder:
            return text.encode()  # added as it is
        if self.byte_level:
            return bytes(_ALPHABET[letter] for letter in text) if all(letter in _ALPHABET for letter in text) else b""
        return text.replace(SPACE, " ").encode()

    @cached_property
    def _single(self) -> dict[int, int]:
        """The token of each byte."""
        return {word[0]: k for k, word in enumerate(self.words) if len(word) == 1}

    def spell(self, text: bytes) -> Spelt | None:
        """The tokens of a piece of text and where each ends; bytes that are no UTF-8 one by one. None where it cannot be."""
        ids: list[int] = []
        ends: list[int] = []
        place = 0
        for piece, whole in _readable(text):
            if whole:
                found = self.outer(piece.decode(), add_special_tokens=False, verbose=False)["input_ids"]
            else:
                found = [self._single.get(byte, -1) for byte in piece]
            words = [self.words[k] if 0 <= k < len(self.words) else b"" for k in found]
            joined = b"".join(words)
            if joined == b" " + piece:
                words[0] = words[0][1:]  # the space that it writes where a text begins
            elif joined != piece:
                return None
            for k, word in zip(found, words, strict=True):
                place += len(word)
                ids.append(k)
                ends.append(place)
        return Spelt(tuple(ids), tuple(ends))

    def first_of(self, other: "Spelling") -> list[int]:
        """(V of the other,) the token of this tokenizer with which each token of another begins, as this one splits its bytes; -1
        where there is none."""
        matched = dict(self.pairs(other))
        return [self._first(word) if word else matched.get(k, -1) for k, word in enumerate(other.words)]

    def pairs(self, other: "Spelling") -> Iterator[tuple[int, int]]:
        """Special tokens of another tokenizer with those of this one that mean the same: those that are written alike, the
        beginning and the end of a text."""
        for text, k in other.special.items():
            if text in self.special:
                yield k, self.special[text]
        ours, theirs = self.outer, other.outer
        for mine, k in ((ours.bos_token_id, theirs.bos_token_id), (ours.eos_token_id, theirs.eos_token_id)):
            if mine is not None and k is not None:
                yield int(k), int(mine)

    def _first(self, word: bytes) -> int:
        text = word.decode("utf-8", "replace")
        if self.byte_level:
            text = "".join(_LETTERS[byte] for byte in word)
        elif text.encode() != word:
            return self._single.get(word[0], -1)
        else:
            text = text.replace(" ", SPACE)
        try:
            found = self.inner.tokenize(text)
        except Exception:  # a letter that the model does not know
            return -1
        return int(found[0].id) if found and self.words[found[0].id] == word[: len(self.words[found[0].id])] else -1


_ALPHABET = byte_alphabet()
_LETTERS = {byte: letter for letter, byte in _ALPHABET.items()}


def _readable(text: bytes) -> Iterator[tuple[bytes, bool]]:
    """Pieces of bytes and whether each is UTF-8.

    >>> list(_readable("\u00e9a".encode()[1:]))
    [(b'\\xa9', False), (b'a', True)]
    """
    while text:
        try:
            text.decode()
        except UnicodeDecodeError as error:
            if error.start:
                yield text[: error.start], True
            yield text[error.start : error.end], False
            text = text[error.end :]
        else:
            yield text, True
            return


@dataclass(frozen=True)
class Place:
    """What a teacher can say of the token that follows a place of the student's text.

    row: its own place that has read the same text, or the last that has read no more. label: the student's next token; -1 where
    the text ends. inside: bytes that the student has read beyond that place: its next token must begin with them. path: where the
    next token reaches beyond the teacher's: (rows, tokens) that it goes through; rest: bytes with which the last one begins.
    """

    row: int
    label: int
    inside: bytes = b""
    path: tuple[tuple[int, int], ...] = ()
    rest: bytes = b""


def places(student: Spelt, teacher: Spelt, words: Sequence[bytes], text: bytes) -> list[Place | None]:
    """For every token of the student, what the teacher can say of the next one; None where it can say nothing.

    Args:
        words: what the student's tokens spell, b"" for special ones. text: what both spell, one byte for each special token.
    """
    found: list[Place | None] = []
    for k, end in enumerate(student.ends):
        row = bisect_right(teacher.ends, end) - 1
        if row < 0:
            found.append(None)
            continue
        begin = teacher.ends[row]
        last = k + 1 == len(student.ids)
        label = -1 if last else student.ids[k + 1]
        stop = end if last else student.ends[k + 1]
        path: list[tuple[int, int]] = []
        at = row
        while not last and at + 1 < len(teacher.ids) and teacher.ends[at + 1] < stop:
            path.append((at, teacher.ids[at + 1]))
            at += 1
        more = not last and bool(path or end > begin)
        if more and not words[label]:
            found.append(None)  # a special token, before which the teacher would have to end its own
        else:
            found.append(Place(row, label, text[begin:end], tuple(path), text[teacher.ends[at] : stop] if more else b""))
    return found


class Prefixes:
    """Tokens by the bytes with which they begin.

    >>> Prefixes([b"a", b"ab", b"b", b""]).starting(b"a")
    [0, 1]
    """

    def __init__(self, words: Sequence[bytes]):
        self.order = sorted((k for k, word in enumerate(words) if word), key=lambda k: words[k])
        self.sorted = [words[k] for k in self.order]

    def starting(self, prefix: bytes) -> list[int]:
        low = bisect_left(self.sorted, prefix)
        high = bisect_left(self.sorted, _after(prefix)) if _after(prefix) else len(self.sorted)
        return self.order[low:high]


def _after(prefix: bytes) -> bytes:
    """The first bytes behind all that begin with these; b"" where there are none."""
    while prefix and prefix[-1] == 255:
        prefix = prefix[:-1]
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b""
