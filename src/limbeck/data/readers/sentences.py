"""Sentences with a label each: a .tsv with the columns `sentence` and `label`, or a folder of train and dev (or test) .tsv.

Letters: n sentences, l places.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.data.assemble import Raw
from limbeck.data.readers.pairs import words
from limbeck.errors import UserError

SPECIAL = ("<pad>", "<unk>", "<cls>", "<sep>")
"""What the class numbers 0 to 3 mean; words follow, the most frequent of the training file first."""
LONGEST, VOCABULARY = 32, 8000
_NAMES = {"sst2": ("negative", "positive")}


class Words(nn.Module):
    """Class numbers (n, l), 0 behind the end, as transformers' text models take them: input_ids and attention_mask."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"input_ids": x.long(), "attention_mask": (x != 0).long()}


def read(path: Path, name: str = "") -> Raw:
    """Read sentences as class numbers (n, 32): <cls>, words of a vocabulary of at most 8,000, <sep>; longer ones are cut.

    A part named dev is the test part where there is none of that name: the labels of GLUE's test parts are not published.
    """
    files = {"train": path} if path.is_file() else {part: _file(path, stems) for part, stems in _PARTS.items()}
    found = {part: _rows(file) for part, file in files.items() if file is not None}
    if "train" not in found:
        raise UserError(f"{path} has no train.tsv (or ..._train.tsv); give the file or folder that holds the sentences")
    known = _vocabulary([sentence for sentence, _ in found["train"]])
    labels = sorted({label for rows in found.values() for _, label in rows})
    parts = {}
    for part, rows in found.items():
        inputs = torch.stack([_numbers(sentence, known) for sentence, _ in rows])
        parts[part] = (inputs, torch.tensor([labels.index(label) for _, label in rows]))
    cut = sum(len(sentence) > LONGEST - 2 for rows in found.values() for sentence, _ in rows)
    notes = [f"sentences as at most {LONGEST} of {len(known)} words, the most frequent of the training file; {cut} were cut"]
    given = _NAMES.get(name, ())
    return Raw(parts, given if len(given) == len(labels) else tuple(labels), "text", notes=notes, words=tuple(known))


def numbered(sentences: Sequence[str], vocabulary: Sequence[str]) -> Tensor:
    """Return sentences as a student takes them, (n, 32); `vocabulary` is the list `words` in its student.json.

    >>> numbered(["A film"], ["<pad>", "<unk>", "<cls>", "<sep>", "film"])[0, :5]
    tensor([2, 1, 4, 3, 0])
    """
    known = {word: number for number, word in enumerate(vocabulary)}
    return torch.stack([_numbers(words(sentence), known) for sentence in sentences])


_PARTS = {"train": ("train",), "test": ("test", "dev", "val")}


def _file(folder: Path, stems: tuple[str, ...]) -> Path | None:
    files = sorted(folder.glob("*.tsv"))
    return next((f for stem in stems for f in files if f.stem == stem or f.stem.endswith(f"_{stem}")), None)


def _rows(file: Path) -> list[tuple[list[str], str]]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read: {error}; replace it") from error
    if not rows or not {"sentence", "label"} <= set(rows[0]):
        raise UserError(f"{file} needs a first line with the columns sentence and label, split by tabs, and lines below it")
    for number, row in enumerate(rows, start=2):
        if not row["sentence"] or not row["label"]:
            raise UserError(f"{file}: line {number} lacks a sentence or a label; complete or remove it")
    return [(words(row["sentence"]), row["label"]) for row in rows]


def _vocabulary(sentences: list[list[str]]) -> dict[str, int]:
    counted = Counter(word for sentence in sentences for word in sentence)
    common = sorted(counted, key=lambda word: (-counted[word], word))[: VOCABULARY - len(SPECIAL)]
    return {word: number for number, word in enumerate((*SPECIAL, *common))}


def _numbers(sentence: list[str], known: dict[str, int]) -> Tensor:
    numbers = [2, *(known.get(word, 1) for word in sentence[: LONGEST - 2]), 3]
    return torch.tensor(numbers + [0] * (LONGEST - len(numbers)))


__all__ = ["LONGEST", "SPECIAL", "VOCABULARY", "Words", "numbered", "read"]
