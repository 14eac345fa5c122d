"""Pictures without classes: a folder of them (or its .zip), in whatever sub-folders; for encoders, which need no labels.

ROOT/1.png ROOT/holiday/2.jpg ...            split by us
ROOT/train/1.png ... ROOT/test/9.png ...     (and val, valid or validation)  split by the source
"""

from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.reader import MEMORY, How, Reader
from limbeck.data.readers.images import ENDINGS, PARTS, Files, Member, holds_images, of_files
from limbeck.errors import UserError


class Pictures(Reader):
    """Pictures, in no class."""

    name = "folder"
    layout = "folders of pictures (without labels, for data.task = embed)"
    order = 79
    takes = ("size",)

    def recognises(self, path: Path) -> bool:
        if not path.is_dir() or holds_images(path):
            return False
        return any(f.suffix.lower() in ENDINGS and not f.name.startswith(".") for f in path.iterdir())

    def read(self, path: Path, how: How) -> Raw:
        if not how.unlabelled:
            raise UserError(
                f"{path} holds pictures without classes; put those of each class into a folder, or set data.task = embed, which "
                "needs no labels"
            )
        return read(path, how.size, how.memory)


def read(path: Path, wanted: tuple[int, int] | None = None, memory: float = MEMORY) -> Raw:
    """Read all pictures below a folder as uint8 of one size (see `limbeck.data.readers.images`)."""
    files = Files(path)
    if not files.all:
        raise UserError(f"{path} holds no pictures ({', '.join(ENDINGS[:3])}, ...)")
    split = {file[0].lower() for file in files.all} <= set(PARTS) and all(len(file) > 1 for file in files.all)
    members: list[Member] = [(PARTS[file[0].lower()] if split else "train", None, file) for file in files.all]
    if "train" not in {part for part, _, _ in members}:
        raise UserError(
            f"{path} has {' and '.join(sorted({part for part, _, _ in members}))} folders but no train folder; add one"
        )
    return of_files(files, members, (), wanted, memory)
