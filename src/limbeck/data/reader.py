"""What a reader of data is: one layout of files, how it is recognised, and what is made of it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from limbeck.data.assemble import ORDER, Raw
from limbeck.data.tables import LabelColumns
from limbeck.data.text import TextColumns

MEMORY = 4.0  # GiB


@dataclass(frozen=True)
class How:
    """What a user says of the reading: `size` (height, width) that images are scaled to, `void` a value of masks that is not
    counted, `columns` of a table that are labels, and of which task, `texts` which columns are texts, and by which tokenizer.
    `test`, `split_seed`: what a reader holds out that cannot leave it to others (see `limbeck.data.load`). `unlabelled`: whether
    files without labels will do. `memory`: GiB of pictures, beyond which those of a folder stay in their files."""

    size: tuple[int, int] | None = None
    void: int | None = None
    columns: LabelColumns = LabelColumns()
    texts: TextColumns = TextColumns()
    test: float | None = None
    split_seed: int = 0
    unlabelled: bool = False
    memory: float = MEMORY


class Reader(ABC):
    """One layout, in one file of `data/readers` (or in a package of yours: entry points of the group `limbeck.readers`).

    name: as data.name spells it beside a path; several readers may share one, and the first that recognises the files reads them.
    layout: in words, for messages. order: who is asked first where a path alone is given; the most specific have the lowest.
    takes: which of `size` and `void` it uses; others are said to be unused.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    order: ClassVar[int] = 50
    takes: ClassVar[tuple[str, ...]] = ()

    def serves(self, how: How) -> bool:
        """Whether what it reads is of the kind that was asked for; one that does not is passed over."""
        return True

    @abstractmethod
    def recognises(self, path: Path) -> bool:
        """Whether a file or folder that exists has this layout, by its header and content."""

    @abstractmethod
    def read(self, path: Path, how: How) -> Raw:
        """Read it. Raises `UserError` saying what is wrong."""


SYNONYMS = {"train": ("train",), "validation": ("validation", "val", "dev"), "test": ("test",), "unlabelled": ("unlabelled",)}


def part_files(path: Path, *endings: str) -> dict[str, Path]:
    """The files of a layout that is one file for each part: one alone is the training part; a folder has train.ENDING, ...

    >>> part_files(Path("nowhere"), ".jsonl")
    {}
    """
    if path.is_file():
        return {"train": path} if path.name.lower().endswith(endings) else {}
    named = {part: [path / f"{name}{ending}" for name in SYNONYMS[part] for ending in endings] for part in ORDER}
    found = {part: next((file for file in files if file.is_file()), None) for part, files in named.items()}
    return {part: file for part, file in found.items() if file is not None} if found["train"] else {}
