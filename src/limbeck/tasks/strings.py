"""Tasks whose answer is a string: what was said, or a translation. Labels are (n, l) with -100 behind the end.

Letters: n samples, t frames or steps, l places, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.metrics import strings
from limbeck.tasks.differing import NOT_TWO, TITLE
from limbeck.tasks.figure import Figure, FigureInfo, Judged
from limbeck.tasks.keeping import Kept, need, pick
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Section, Texts
from limbeck.tasks.task import Task, in_range, wrong_classes

SHOWN, COMPARED = 12, 500


@dataclass(frozen=True)
class Strings(Task):
    """What both have in common: logits (n, t, C), answers and labels as strings of class numbers."""

    counted = "places"

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.dim() != 2 or len(labels) != count:
            raise UserError(
                f"{who} has {count} inputs but labels of shape {tuple(labels.shape)}; give a string of class numbers for "
                "each, (n, places), with -100 behind its end"
            )
        there = labels != -100
        if not there[:, :1].all() or (there[:, 1:] & ~there[:, :-1]).any():
            raise UserError(f"{who}: every label needs at least one class number, and -100 only behind the last one")
        in_range(who, labels[there], classes)

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() != 3 or len(outputs) != len(labels) or outputs.shape[-1] != classes:
            raise wrong_classes(who, outputs, data, classes)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        pairs = zip(strings.lists(first.answers), strings.lists(second.answers), strict=True)
        return sum(one == other for one, other in pairs) / len(first)

    def gives(self, classes: Sequence[str]) -> str:
        return f"one logit for each of {len(classes)} classes at every step"

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        first = predictions["student"]
        tensors = {"index": first.index, "strings": first.labels.contiguous()}
        return tensors | {f"strings_{who}": p.answers.contiguous() for who, p in predictions.items()}

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        labels, index = tensors["strings"].long(), tensors["index"].long()
        predicted = {who: s.long() for who, s in pick(tensors, "strings_").items()}
        need(all(s.dim() == 2 and len(s) == len(labels) == len(index) for s in (labels, *predicted.values())))
        return Kept({who: Predictions(s, labels, index) for who, s in predicted.items()})

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        return (_differing(kept, names),) if kept.predictions else ()

    def occurrences(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[labels != -100].long(), minlength=classes).tolist()


def _whole(judged: Judged) -> float:
    pairs = zip(*map(strings.lists, (judged.predictions.answers, judged.predictions.labels)), strict=True)
    same = [one == other for one, other in pairs]
    return sum(same) / len(same)


WHOLE = Figure("whole_strings", "whole strings", _whole, "Share of strings that are entirely right.")


def _differing(kept: Kept, names: Sequence[str]) -> Section:
    """The samples ordered by the edits between teacher and student (or baseline and student), over the longer of the two."""
    first = next(iter(kept.predictions.values()))
    predicted = {"label": first.labels, **{who: p.answers for who, p in kept.predictions.items()}}
    compared = {who: strings.lists(each[:COMPARED]) for who, each in predicted.items()}
    rows = list(range(len(compared["label"])))
    note = NOT_TWO
    if kept.other:
        pairs = zip(compared[kept.other], compared["student"], strict=True)
        apart = [strings.edits(a, b)[0] / max(len(a), len(b), 1) for a, b in pairs]
        rows.sort(key=lambda row: -apart[row])
        unlike = sum(distance > 0 for distance in apart) / max(len(apart), 1)
        of = "the samples" if len(first) == len(apart) else f"the first {COMPARED} samples"
        note = f"{kept.other.capitalize()} and student make different predictions for {FigureInfo().text(unlike)} of {of}. "
        note += "Shown: those with the most edits between them, relative to length."
    cells = [(str(int(first.index[row])), *(_spelt(compared[who][row], names) for who in predicted)) for row in rows[:SHOWN]]
    texts = Texts(("sample", *predicted), tuple(cells))
    return Section("differ", TITLE, (texts,), note)


def _spelt(string: list[int], names: Sequence[str]) -> str:
    return " ".join(names[k] if 0 <= k < len(names) else str(k) for k in string) or "(nothing)"


def need_frames(outputs: Tensor, labels: Tensor) -> None:
    if outputs.dim() != 3 or labels.dim() != 2 or len(outputs) != len(labels):
        raise UserError(
            f"a model must return ({len(labels)}, steps, classes) logits, got {tuple(outputs.shape)}; give their place "
            "with Adapter(logits=...)"
        )
