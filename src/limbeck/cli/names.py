"""Names that help pages list, read from the folders that hold what is named: a help page needs no PyTorch."""

from pathlib import Path

PARTS = Path(__file__).parents[1]


def formats() -> list[str]:
    """The formats of exported students: each is a file of its name."""
    return sorted(file.stem for file in (PARTS / "deploy" / "formats").glob("[a-z]*.py") if file.stem not in ("format", "asking"))
