"""Pairs of sentences: files of one sentence per line, `train.de` beside `train.en`, packed with gzip or not.

Letters: n pairs, l places of the source, t places of the target.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from limbeck.data.core import Data, Partition
from limbeck.data.words import lines, words
from limbeck.errors import UserError
from limbeck.tasks.translate import Translate
from limbeck.transforms.draws import order

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
"""What the class numbers 0 to 3 mean; words follow, the most frequent first."""
_PARTS = {"train": ("train",), "validation": ("val", "valid", "dev"), "test": ("test",)}


def translation(
    path: str | Path,
    source: str,
    target: str,
    *,
    longest: int = 12,
    vocabulary: int = 3000,
    limit: int | None = None,
    split_seed: int = 0,
) -> Data:
    """Load pairs of sentences as strings of class numbers, to be translated: inputs (l,), labels (t,).

    Every language has a vocabulary of its own (`words` and `classes` of the data), the most frequent words of the training
    part; others are <unk>. Pairs with a sentence of more than `longest` words are left out, of every part, so figures do
    not compare with those on all.

    Args:
        path: a folder with train.SOURCE, train.TARGET, and val and test likewise (test_ANYTHING.SOURCE too; of several, the
            first by name), each with .gz behind it or not.
        source, target: the endings of the files, such as de and en.
        vocabulary: class numbers of each language at most, the four special ones among them.
        limit: use so many training pairs, drawn by `split_seed`.

    Raises:
        UserError: files that are missing, damaged, or of different length.
    """
    place = Path(path).expanduser()
    text = {part: _pairs(place, part, source, target) for part in _PARTS}
    if not text["train"]:
        raise UserError(f"{place} has no train.{source} and train.{target} (or .gz); give the folder that holds them")
    known = {k: [p for p in v if 0 < len(p[0]) <= longest and 0 < len(p[1]) <= longest] for k, v in text.items()}
    if limit is not None:
        known["train"] = [known["train"][row] for row in order(split_seed, len(known["train"]), "limit")[:limit].tolist()]
    if not known["train"]:
        raise UserError(f"{place}: no training pair has at most {longest} words on both sides; take longer ones")
    sides = [_vocabulary((pair[side] for pair in known["train"]), vocabulary) for side in (0, 1)]
    parts, start = {}, 0
    for name, pairs in known.items():
        if not pairs:
            continue
        inputs = _numbers([pair[0] for pair in pairs], sides[0], longest, 0, ())
        labels = _numbers([pair[1] for pair in pairs], sides[1], longest + 1, -100, (2,))
        parts[name] = Partition(name, inputs, labels, torch.arange(start, start + len(pairs)))
        start += len(pairs)
    notes = [f"{source} to {target}: pairs of at most {longest} words on both sides; {len(sides[0])} and {len(sides[1])} words"]
    name = f"{place.name} {source}-{target}"
    return Data(name, "other", tuple(sides[1]), (longest,), (), (), parts, tuple(notes), split_seed, Translate(), tuple(sides[0]))


def _pairs(place: Path, part: str, source: str, target: str) -> list[tuple[list[str], list[str]]]:
    files = {p.name.removesuffix(".gz"): p for p in sorted(place.iterdir())} if place.is_dir() else {}
    stems = [name.removesuffix(f".{source}") for name in files if name.endswith(f".{source}")]
    stem = next((s for s in stems if re.match(rf"({'|'.join(_PARTS[part])})(\b|_)", s) and f"{s}.{target}" in files), None)
    if stem is None:
        return []
    one, other = (_lines(files[f"{stem}.{language}"]) for language in (source, target))
    if len(one) != len(other):
        raise UserError(f"{place}: {stem}.{source} has {len(one)} lines and {stem}.{target} {len(other)}; they must go together")
    return [(words(a), words(b)) for a, b in zip(one, other, strict=True)]


def _lines(file: Path) -> list[str]:
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        return lines(content.decode("utf-8-sig"))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}; replace it") from error


def _vocabulary(sentences: Iterable[list[str]], size: int) -> dict[str, int]:
    counted = Counter(word for sentence in sentences for word in sentence)
    common = sorted(counted, key=lambda word: (-counted[word], word))[: max(0, size - len(SPECIAL))]
    return {word: number for number, word in enumerate((*SPECIAL, *common))}


def _numbers(sentences: list[list[str]], known: dict[str, int], width: int, behind: int, end: tuple[int, ...]) -> Tensor:
    out = torch.full((len(sentences), width), behind)
    for row, sentence in enumerate(sentences):
        numbers = [*(known.get(word, 3) for word in sentence), *end]
        out[row, : len(numbers)] = torch.tensor(numbers)
    return out


__all__ = ["SPECIAL", "translation", "words"]
