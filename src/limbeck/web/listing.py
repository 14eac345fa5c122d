"""A folder of runs as one page: a list that is searched, sorted and filtered, with a small curve for each run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

import limbeck
from limbeck.cards.words import bytes_words
from limbeck.comparison.board_read import read_board
from limbeck.comparison.pages import is_comparison
from limbeck.comparison.verdict import BASELINE
from limbeck.errors import UserError
from limbeck.report.curves import score_points, thinned
from limbeck.report.frame import fill
from limbeck.report.read import RunView, read_run
from limbeck.report.status import status
from limbeck.runs.folder import ENVIRONMENT
from limbeck.tasks.figure import known, score_in

PIECES = ("card.json", "metrics.jsonl", "recipe.toml", "comparison.json")
NONE: tuple[str, float | None] = ("–", None)


@dataclass
class RunRow:
    """A line of the list. address: the name as part of an address. cells: by title, words and the value to sort by."""

    name: str
    kind: str = "run"
    state: str = ""
    data: str = ""
    method: str = ""
    model: str = ""
    cells: list[tuple[str, tuple[str, float | None]]] = field(default_factory=list)
    spark: Markup = field(default_factory=Markup)
    last: float | None = None
    written: float = 0.0

    @property
    def address(self) -> str:
        return quote(self.name, safe="")


def runs_in(folder: Path) -> list[str]:
    """The names of the folders in it that hold a run or a comparison."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path.name for path in inside if path.is_dir() and any((path / name).exists() for name in PIECES)]


def is_list(folder: Path) -> bool:
    """Whether a folder is no run itself, but holds some."""
    return not any((folder / name).exists() for name in PIECES) and bool(runs_in(folder))


def list_page(folder: Path, live: str = "") -> str:
    """The HTML of the list, the newest run first."""
    rows = sorted((row_of(folder / name) for name in runs_in(folder)), key=lambda row: -row.written)
    open_ones = sum(bool(row.state) for row in rows)
    words = f"{len(rows)} run{'' if len(rows) == 1 else 's'}" + (
        f", {open_ones} of them in progress or damaged." if open_ones else "."
    )
    by: tuple[tuple[str, str, Callable[[RunRow], str]], ...] = (
        ("data", "data", lambda row: row.data),
        ("method", "method", lambda row: row.method),
        ("model", "student", lambda row: row.model),
    )
    filters = [(key, name, sorted({value for row in rows if (value := of(row))})) for key, name, of in by]
    title = f"The folder {folder.resolve().name}/"
    return fill("runs.html", live, title=title, version=limbeck.__version__, words=words, rows=rows, filters=filters)


def row_of(folder: Path) -> RunRow:
    """What the list says of a run; of a damaged folder that it cannot be read."""
    row = RunRow(folder.name, written=_written(folder))
    try:
        if is_comparison(folder):
            _of_comparison(row, folder)
        else:
            _of_run(row, read_run(folder, predictions=False), folder)
    except UserError:
        row.state = "cannot be read"
    row.cells.append(("written", (datetime.fromtimestamp(row.written).strftime("%Y\u2011%m\u2011%d\n%H:%M"), row.written)))
    return row


def _written(folder: Path) -> float:
    times = [path.stat().st_mtime for name in (*PIECES, ENVIRONMENT) if (path := folder / name).exists()]
    return max(times, default=0.0)


def _of_run(row: RunRow, view: RunView, folder: Path) -> None:
    card, score, models = view.card, score_in(view.card), view.models
    student, baseline = models.get("student", {}), models.get("baseline", {})
    mine, theirs, size = student.get("score"), baseline.get("score"), student.get("bytes")
    row.data = str(card["data"]["name"]) if "data" in card else ""
    row.method, row.model = card.get("method", {}).get("name", ""), student.get("model", "")
    row.state = (
        "" if models else ("damaged" if (folder / "card.json").exists() else "in progress" if status(view) else "no result yet")
    )
    gap = score.scale * (mine - theirs) if known(mine) and known(theirs) else None
    row.cells = [
        ("score", (f"{score.text(mine)} ({score.title})", mine) if known(mine) else NONE),
        ("vs baseline", (f"{gap:+.1f}{score.points}" if score.share else f"{gap:+.3g}", gap) if gap is not None else NONE),
        ("size", (bytes_words(size), float(size)) if known(size) else NONE),
    ]
    points = score_points(view)
    line = points.get("student") or next(iter(points.values()), [])
    row.spark, row.last = spark(line), line[-1][1] if line else None


def _of_comparison(row: RunRow, folder: Path) -> None:
    view = read_board(folder)
    board, score = view.board, score_in(view.board)
    done = [(each, each["score"]["mean"]) for each in board["rows"] if each["name"] != BASELINE]
    best, mean = next(((each, mean) for each, mean in done if mean is not None), (None, None))
    row.kind, row.state = "comparison", f"{len(view.missing)} runs to come" if view.missing else ""
    row.data = str(board["data"]["name"]) if board["data"] else ""
    row.method = ", ".join(name for name in view.names if name != BASELINE)
    gap = best["to_baseline"]["difference"] if best is not None and "to_baseline" in best else None
    reached = (f"{mean:.1f}{score.unit} ({best['name']})", mean / score.scale) if best is not None and mean is not None else NONE
    beside = (f"{gap:+.1f}{score.points}", gap) if gap is not None else NONE
    row.cells = [("score", reached), ("vs baseline", beside), ("size", NONE)]


def spark(points: list[tuple[float, float]]) -> Markup:
    """A small line of the score on validation; its text says where it begins and ends."""
    if len(points) < 2:
        return Markup()
    thin = thinned(points, 40)
    first, last = thin[0][0], thin[-1][0]
    low, high = min(v for _, v in thin), max(v for _, v in thin)
    wide, tall = (last - first) or 1.0, (high - low) or 1.0
    path = "L".join(f"{2 + 106 * (x - first) / wide:.1f} {25 - 22 * (v - low) / tall:.1f}" for x, v in thin)
    said = f"Score on validation from {points[0][1]:.3g} to {points[-1][1]:.3g}"
    line = f'<path class="line student" d="M{path}"/>'
    return Markup(f'<svg class="spark" viewBox="0 0 110 28" role="img" aria-label="{said}">{line}</svg>')
