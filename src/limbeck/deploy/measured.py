"""`measured.json`: what a folder's exported files cost where they were measured, as types. Versioned."""

from collections.abc import Sequence
from pathlib import Path

from typing_extensions import TypedDict

from limbeck.deploy.device import Costs
from limbeck.errors import UserError
from limbeck.files import read_json, write_json

FILE, VERSION = "measured.json", 1
NEEDED = ("runtime", "machine", "latency_ms", "peak_bytes", "threads", "on", "bytes")  # of a row that was measured


class Measurement(Costs, total=False):
    """What one exported file costs, or why it could not be measured.

    tokens: of a row, for language models: a batch of b rows reads b x tokens in one call.
    """

    file: str
    format: str
    bytes: int
    threads: int
    on: str
    tokens: int
    error: str


class MeasuredFile(TypedDict):
    """What measured.json holds."""

    version: int
    rows: list[Measurement]


def read_measured(folder: Path) -> list[Measurement]:
    """The rows of a folder's measured.json; none where there is no such file. Raises `UserError` if it cannot be used."""
    path = folder / FILE
    rows = read_json(path, MeasuredFile, VERSION)["rows"] if path.exists() else []
    for row in rows:
        lacks = {"file", *(() if "error" in row else NEEDED)} - set(row)
        if lacks:
            raise UserError(f"{path} is damaged: a row lacks {', '.join(sorted(lacks))}; measure the folder again")
    return rows


def write_measured(folder: Path, rows: Sequence[Measurement]) -> None:
    write_json(folder / FILE, MeasuredFile(version=VERSION, rows=list(rows)))
