"""One class for each sample.

Letters: n samples, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.metrics import classification as figures
from limbeck.tasks.task import Task, in_range, wrong_classes

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions


@final
@dataclass(frozen=True)
class Classify(Task):
    """One class for each sample: labels (n,), logits (n, C). Scored by accuracy, with Wilson's interval."""

    name = "classify"
    metric = "accuracy"
    share = "accuracy"

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.shape != (count,):
            raise UserError(f"{who} has {count} inputs but labels of shape {tuple(labels.shape)}; give one label for each")
        in_range(who, labels, classes)

    def check_answer(self, who: str, said: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if said.dim() < 2 or said.shape[1] != classes:
            raise wrong_classes(who, said, data, classes)

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if said.dim() != 2:
            raise UserError(
                f"a model must answer ({len(labels)}, classes) logits, got {tuple(said.shape)}; say where its logits are"
            )
        labels = labels.reshape(-1).long()
        figures.check(said, labels)
        return said, labels

    def score(self, predictions: "Predictions") -> float:
        return figures.accuracy(predictions.logits, predictions.labels)

    def agreement(self, first: "Predictions", second: "Predictions") -> float:
        return figures.agreement(first.logits, second.logits)

    def figures(self, predictions: "Predictions", classes: Sequence[str], teacher: "Predictions | None") -> dict[str, Any]:
        logits, labels = predictions.logits, predictions.labels
        if logits.shape[1] != len(classes):
            raise UserError(f"the model answers {logits.shape[1]} classes, but {len(classes)} are named; name as many")
        each = figures.per_class(logits, labels)
        worst, value = figures.worst_class(logits, labels)
        correct = int((logits.argmax(1) == labels).sum())
        return {
            "accuracy": correct / len(predictions),
            "interval": list(figures.interval(correct, len(predictions))),
            "worst_class": {"class": str(classes[worst]), "accuracy": value},
            "per_class": [None if v != v else v for v in each.tolist()],
            "calibration_error": figures.calibration_error(logits, labels),
            "agreement_with_teacher": None if teacher is None else figures.agreement(logits, teacher.logits),
            "mean_kl_from_teacher": None if teacher is None else figures.mean_kl(logits, teacher.logits),
        }

    def near_chance(self, predictions: "Predictions", classes: int) -> bool:
        correct = int((predictions.logits.argmax(1) == predictions.labels).sum())
        return figures.near_chance(correct, len(predictions), classes)

    def record(self, seen: Mapping[str, "Predictions"], inputs: Tensor | None) -> dict[str, Tensor]:
        first = seen["student"]
        tensors = {"labels": first.labels, "index": first.index} | {who: p.logits.float() for who, p in seen.items()}
        if inputs is not None:
            other = seen.get("teacher", first).logits.softmax(1)
            apart = (first.logits.softmax(1) - other).abs().sum(1).argsort(descending=True)[:24].sort().values
            tensors |= {"samples": inputs[apart].contiguous(), "samples_index": apart}
        return tensors

    def strata(self, labels: Tensor) -> Tensor:
        return labels

    def per_class(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels, minlength=classes).tolist()


CLASSIFY = Classify()
"""The task of data that says no other."""
