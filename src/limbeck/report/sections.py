"""A task's sections as the page's template needs them: each piece is drawn by its kind, whatever the task."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from limbeck.report.curves import legend
from limbeck.report.drawn import CELLS, curve_chart, matrix_chart, scatter_chart
from limbeck.report.frame import ChartFigure, PageSection, PageTable, PredictionLine, SamplePart, figure
from limbeck.report.pictures import gallery, png
from limbeck.tasks.figure import FEW
from limbeck.tasks.section import Cell, Curve, Gallery, Matrix, Piece, Sample, SampleList, Scatter, Section, Texts, Values

PAIRS = 20  # most confused pairs that are listed


@dataclass
class Drawn:
    """What a section's pieces came to: the fields that the template draws, and sentences for its note."""

    fields: PageSection = field(default_factory=PageSection)
    figures: list[ChartFigure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def drawn(section: Section, names: Sequence[str]) -> PageSection:
    """A section for the template. names: of the classes."""
    found = Drawn(notes=[section.note] if section.note else [])
    large = [piece for piece in section.pieces if isinstance(piece, Matrix) and len(piece.counts) > CELLS]
    for piece in section.pieces:
        if piece not in large:
            _draw(piece, names, found)
    if large:
        found.fields["values"] = confused(large, names)
        found.notes.append(f"{len(large[0].counts)} classes: the labels and answers that the student confuses most.")
    if not section.pieces and not section.note:
        found.notes = ["No predictions were kept."]
    note = " ".join(dict.fromkeys(found.notes))
    part: PageSection = {"id": section.id, "title": section.title, "figures": found.figures, "note": note}
    return part | found.fields


def _draw(piece: Piece, names: Sequence[str], found: Drawn) -> None:
    if isinstance(piece, Matrix):
        found.figures.append(figure(matrix_chart(piece, names), piece.who.capitalize()))
    elif isinstance(piece, Curve):
        found.figures.append(figure(curve_chart(piece), piece.title, legend(list(piece.lines))))
    elif isinstance(piece, Scatter):
        found.figures.append(figure(scatter_chart(piece), piece.title))
    elif isinstance(piece, Values):
        found.fields["values"] = {
            "head": list(piece.head),
            "rows": [[_words(row[0]), *map(_cell, row[1:])] for row in piece.rows],
        }
    elif isinstance(piece, Texts):
        found.fields["texts"] = {"head": list(piece.head), "rows": [list(row) for row in piece.rows]}
    elif isinstance(piece, SampleList):
        found.fields["samples"] = [_sample(sample) for sample in piece.samples]
    elif isinstance(piece, Gallery):
        found.fields |= gallery(piece)


def confused(matrices: Sequence[Matrix], names: Sequence[str]) -> PageTable:
    """The pairs of label and answer that the last of the models, the student, confuses most, among labels with enough samples to
    tell; a table, for a matrix of so many classes cannot be read."""
    *_, last = matrices
    totals = last.counts.sum(1)
    wrong = last.counts.clone().double()
    wrong.fill_diagonal_(0)
    wrong[totals < FEW] = 0
    order = wrong.flatten().argsort(descending=True, stable=True)[:PAIRS].tolist()
    pairs = [divmod(at, len(names)) for at in order if wrong.flatten()[at] > 0]
    rows: list[list[Cell]] = [
        [f"{names[label]} as {names[answer]}", (str(int(totals[label])), float(totals[label])), *_times(matrices, label, answer)]
        for label, answer in pairs
    ]
    head = ["label, and what was predicted", f"{last.things} of the label", *(m.who for m in matrices)]
    return {"head": head, "rows": rows, "caption": "The most confused pairs of label and prediction"}


def _times(matrices: Sequence[Matrix], label: int, answer: int) -> list[Cell]:
    """How often each model makes this mistake."""
    return [(str(int(m.counts[label, answer])), float(m.counts[label, answer])) for m in matrices]


def _words(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _cell(cell: Cell) -> tuple[str, float | None]:
    return (cell, None) if isinstance(cell, str) else cell


def _sample(sample: Sample) -> SamplePart:
    predictions: list[PredictionLine] = [
        {"who": p.who, "text": p.text, "note": ", ".join(_beside(p.note, p.right))} for p in sample.predictions
    ]
    words = "; ".join(f"{p.who} predicts {p.text}" + (f", {p.note}" if p.note else "") for p in sample.predictions)
    alternative = f"Sample {sample.number}, label {sample.label}: {words}."
    picture = "" if sample.picture is None else png(sample.picture)
    return {"number": sample.number, "label": sample.label, "predictions": predictions, "alt": alternative, "picture": picture}


def _beside(note: str, right: bool | None) -> list[str]:
    return [*([note] if note else []), *([] if right is None else ["right" if right else "wrong"])]
