"""The page of a folder, whichever it is: of a run or of a comparison."""

from pathlib import Path

from limbeck.comparison.board import render_board, write_board
from limbeck.comparison.board_read import read_board
from limbeck.report.page import render, write_report
from limbeck.report.read import read_run


def is_comparison(folder: Path) -> bool:
    return (folder / "comparison.json").exists()


def page_of(folder: Path, live: str = "") -> str:
    """The HTML of the page; live: see `frame.fill`."""
    return render_board(read_board(folder), live) if is_comparison(folder) else render(read_run(folder), live)


def write_page(folder: Path) -> Path:
    """Write `report.html` into the folder anew, from what it holds, and return its path.

    Raises `UserError` if it is no such folder, or cannot be written to.
    """
    return write_board(folder) if is_comparison(folder) else write_report(folder)
