"""MODEL_CARD.md: what a student is, what it was made of, how good it is, where it is worse than its teacher, and the
command that made it. Written from the run's folder alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from limbeck.cards.schema import FILE as CARD
from limbeck.cards.schema import Card, MethodFacts, marked_classes, read_card
from limbeck.cards.table import columns
from limbeck.cards.words import bytes_words, item_of, number, percent
from limbeck.data.core import DataFacts
from limbeck.deploy.measured import Measurement, read_measured
from limbeck.deploy.shipment import ExportRow as Export
from limbeck.deploy.shipment import exports
from limbeck.deploy.student_file import StudentFile, read_student_file
from limbeck.files import atomic_write
from limbeck.runs.folder import Environment, read_environment
from limbeck.tasks.figure import FigureInfo, figures_in, known, score_in

FILE = "MODEL_CARD.md"
ExportRow = Sequence[str]


def write_model_card(folder: Path) -> Path:
    """Write `MODEL_CARD.md` into a run's folder and return its path. What the folder lacks is left out.

    Raises `UserError` if it holds no student or cannot be written to.
    """
    info = read_student_file(folder)
    card = read_card(folder) if (folder / CARD).exists() else Card()
    parts = [
        _head(info, card),
        _feeding(info),
        _data(card.get("data")),
        _figures(card),
        _classes(card, info),
        _exports(exports(folder), score_in(card)),
        _measured(read_measured(folder)),
        _limits(card),
        _made(card, info, read_environment(folder)),
    ]
    with atomic_write(folder / FILE, text=True) as file:
        file.write("\n\n".join(part for part in parts if part) + "\n")
    return folder / FILE


def plain(value: object) -> str:
    """A string of a user's as Markdown text: no markup, no HTML, no line break, no end of a table's cell.

    >>> plain("a|b <i>")
    'a\\\\|b &lt;i&gt;'
    """
    text = " ".join(str(value).split()).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "|`*_[]#~":
        text = text.replace(mark, "\\" + mark)
    return text


def table(head: ExportRow, rows: Sequence[ExportRow]) -> str:
    """A Markdown table; figures right-aligned from the second column on."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _head(info: StudentFile, card: Card) -> str:
    own = info["method"]
    method = card.get("method") or MethodFacts(name=own["name"], arguments=own["arguments"])
    models = card.get("models", {})
    roles = ", ".join(f"{plain(name)}: {plain(spec['model'])}" for name, spec in info["roles"].items())
    lines = [f"# A model for {plain(info['data'])}, distilled by {plain(method.get('name', ''))}", "", f"- Model: {roles}"]
    lines += [f"- Teacher: {plain(models['teacher'].get('model', ''))}"] if "teacher" in models else []
    settings = ", ".join(f"{k} {v}" for k, v in method.get("arguments", {}).items())
    paper = f", after {plain(method['paper'])}" if method.get("paper") else ""
    lines.append(f"- Method: {plain(method.get('name', ''))}" + (f" ({plain(settings)})" if settings else "") + paper)
    return "\n".join(lines)


def _feeding(info: StudentFile) -> str:
    mean, std = next(((role["mean"], role["std"]) for role in info["roles"].values()), ([], []))
    lines = [
        "## Inputs and outputs",
        "",
        f"- Input: shape (batch, {', '.join(map(str, info['shape']))}); {plain(info['inputs'])}",
    ]
    if mean:
        said = f"mean {_numbers(mean)}; standard deviation {_numbers(std)}"
        lines.append(f"- Normalisation ({said}) is inside every file: do not apply it again")
    names = info["classes"]
    shown = ", ".join(plain(name) for name in names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
    lines.append(f"- Output: {plain(info['outputs'])}, in this order: {shown}")
    return "\n".join(lines)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{v:.4g}" for v in values[:4]) + (", ..." if len(values) > 4 else "")


def _data(data: DataFacts | None) -> str:
    if not data:
        return ""
    parts = ", ".join(f"{facts['samples']:,} {plain(name)}" for name, facts in data["partitions"].items())
    known_by = plain(data["fingerprint"][:16])
    mark = f" Split seed {data['split_seed']}." + (f" Fingerprint {known_by}." if known_by else "")
    lines = [f"## Data\n\n{plain(data['name'])}: {parts}.{mark}", ""]
    return "\n".join([*lines, *(f"- {plain(note)}" for note in data["notes"])]).strip()


def _figures(card: Card) -> str:
    models = card.get("models")
    if not models:
        return ""
    rows: list[ExportRow] = [
        [plain(column.title.removeprefix("test ").replace("\u00a0", " ")), *(plain(column.cell(m)[0]) for m in models.values())]
        for column in columns(card)
        if column.key != "latency_ms"
    ]
    relations: tuple[tuple[Literal["drop_percent", "gain_percent", "lesson_percent", "distillation_score"], str, str], ...] = (
        ("drop_percent", f"Relative to the teacher, {plain(score_in(card).title)} lost", " %"),
        ("gain_percent", "gained over the supervised baseline", " %"),
        ("lesson_percent", "gained over the baseline that starts from the teacher, too", " %"),
        ("distillation_score", "distillation score", ""),
    )
    said = [f"{words} {value:.4g}{unit}" for key, words, unit in relations if known(value := card.get(key))]
    samples = next(iter(models.values()))["samples"]
    note = f"Measured once, on {samples:,} held-out samples, after the last epoch. Seed {card.get('seed')}."
    meant = [f"- {plain(figure.title)}: {plain(figure.words)}" for figure in figures_in(card) if figure.words]
    about = note + (f" {', '.join(said)}." if said else "")
    return "\n\n".join(["## Figures", table(["", *map(plain, models)], rows), about, "\n".join(meant)]).strip()


def _classes(card: Card, info: StudentFile) -> str:
    models, names = card.get("models", {}), info["classes"]
    student, teacher = (models[who].get("per_class") if who in models else None for who in ("student", "teacher"))
    if not student or not teacher or len(student) != len(names) or len(teacher) != len(names):
        return ""
    marked = marked_classes(card)
    named = marked if len(marked) == len(names) else names
    rows = [(n, t, s, t - s) for n, t, s in zip(named, teacher, student, strict=True) if t is not None and s is not None]
    rows.sort(key=lambda row: -row[3])
    score, item = score_in(card), plain(item_of(card))
    lost = lambda value: f"{100 * value:+.1f}" if score.share else f"{value:+.3g}"  # noqa: E731
    shown = [[plain(n), score.text(t), score.text(s), lost(gap)] for n, t, s, gap in rows[:50]]
    more = f"\n\nThe 50 largest losses, of {len(rows)}." if len(rows) > 50 else ""
    head = [item, "teacher", "student", "points lost" if score.share else "lost"]
    return f"## What each {item} lost\n\n" + table(head, shown) + more


def _exports(rows: Sequence[Export], score: FigureInfo) -> str:
    if not rows:
        return ""
    lines = []
    for row in rows:
        if "error" in row:
            lines.append([plain(row["file"]), plain(row["precision"]), "failed: " + plain(row["error"]), "", "", ""])
            continue
        part = row.get("test") or row.get("validation")
        reached = part["score"] if part else None
        figures = [f"{row['largest_difference']:.2g}", percent(row["same_predictions"], 2), score.text(reached, 2)]
        lines.append([plain(row["file"]), plain(row["precision"]), bytes_words(row["bytes"]), *figures])
    head = ["file", "precision", "size", "largest difference of an output", "equal predictions", f"test {plain(score.title)}"]
    return "## Files\n\nEach was reloaded in its own runtime and compared with the PyTorch student.\n\n" + table(head, lines)


def _measured(rows: Sequence[Measurement]) -> str:
    lines = []
    for row in (row for row in rows if "error" not in row):
        for batch, t in row["latency_ms"].items():
            times = [number(t["median"]), number(t["p95"])]
            machine = f"{row['on']}: {row['machine']['system']}, {plain(row['runtime'])}"
            how = [plain(row["file"]), plain(batch), str(row["threads"])]
            lines.append([*how, *times, bytes_words(row["peak_bytes"]), plain(machine)])
    head = ["file", "batch", "threads", "median ms", "95 % ms", "peak memory of the process", "on"]
    return "## Cost\n\n" + table(head, lines) if lines else ""


def _limits(card: Card) -> str:
    lines = ["## Limits", ""]
    lines.append(
        "- The figures hold for data like the test split. Nothing was measured on other data, under attack, or over time."
    )
    lines.append("- One seed: the intervals cover chance in the test samples, not between trainings.")
    lines.append("- The student may have learned the teacher's errors; check the classes above before use.")
    return "\n".join([*lines, *(f"- {plain(note)}" for note in dict.fromkeys(card.get("notes", ())))])


def _made(card: Card, info: StudentFile, environment: Environment) -> str:
    versions = ", ".join(
        f"{plain(k)} {plain(v)}" for k, v in environment.items() if k in ("limbeck", "python", "torch", "onnxruntime")
    )
    command = card.get("command")
    lines = ["## Training", ""] + (["```bash", str(command).replace("`", "'"), "```", ""] if command else [])
    return "\n".join([*lines, f"With {versions or 'limbeck ' + plain(info['limbeck'])}."])
