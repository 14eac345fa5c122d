"""Tasks whose answer is a string: what was said, or a translation. Labels are (n, l) with -100 behind the end.

Letters: n samples, t frames or steps, l places, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.metrics import strings
from limbeck.tasks.task import Task, in_range, wrong_classes

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions


@dataclass(frozen=True)
class Strings(Task):
    """What both have in common: logits (n, t, C), answers and labels as strings of class numbers."""

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

    def check_answer(self, who: str, said: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if said.dim() != 3 or len(said) != len(labels) or said.shape[-1] != classes:
            raise wrong_classes(who, said, data, classes)

    def agreement(self, first: "Predictions", second: "Predictions") -> float:
        pairs = zip(strings.lists(first.answers), strings.lists(second.answers), strict=True)
        return sum(one == other for one, other in pairs) / len(first)

    def record(self, seen: Mapping[str, "Predictions"], inputs: Tensor | None) -> dict[str, Tensor]:
        first = seen["student"]
        tensors = {"index": first.index, "strings": first.labels.contiguous()}
        return tensors | {f"strings_{who}": p.answers.contiguous() for who, p in seen.items()}

    def per_class(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[labels != -100].long(), minlength=classes).tolist()

    def _rest(self, predictions: "Predictions", teacher: "Predictions | None") -> dict[str, Any]:
        same = [one == other for one, other in zip(*map(strings.lists, (predictions.answers, predictions.labels)), strict=True)]
        return {
            "whole_strings": sum(same) / len(same),
            "calibration_error": None,
            "agreement_with_teacher": None if teacher is None else self.agreement(predictions, teacher),
            "mean_kl_from_teacher": None,
        }


def need_frames(said: Tensor, labels: Tensor) -> None:
    if said.dim() != 3 or labels.dim() != 2 or len(said) != len(labels):
        raise UserError(
            f"a model must answer ({len(labels)}, steps, classes) logits, got {tuple(said.shape)}; say where its logits are"
        )
