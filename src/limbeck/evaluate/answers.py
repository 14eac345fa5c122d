"""What a model answers to a partition, and the figures that a card holds of it.

Letters: n samples, C classes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.evaluate import figures


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers to a partition, all on the CPU.

    Attributes:
        logits: (n, C) float32. labels: (n,) int64. index: (n,) int64 sample numbers.
    """

    logits: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@torch.no_grad()
def predict(answer: Callable[[Any], Tensor], batches: Iterable[Mapping[str, Any]]) -> Predictions:
    """Ask a model about every batch and keep its logits.

    Args:
        answer: takes `batch["inputs"]`, returns logits (batch, C); runs without a gradient, in whatever
            mode its model is (call `.eval()` before).
        batches: mappings with "inputs" and "labels"; "index" is counted from 0 where it is absent.

    Raises:
        UserError: nothing to predict, answers that are not (batch, C), not finite, or labels of other classes.
    """
    logits, labels, index, seen = [], [], [], 0
    for batch in batches:
        given = batch["labels"].detach().reshape(-1).long().cpu()
        said = _checked(answer(batch["inputs"]), len(given))
        logits.append(said)
        labels.append(given)
        index.append(batch["index"].detach().long().cpu() if "index" in batch else torch.arange(seen, seen + len(given)))
        seen += len(given)
    if not seen:
        raise UserError("nothing to predict: the partition is empty; give it at least one sample")
    made = Predictions(torch.cat(logits), torch.cat(labels), torch.cat(index))
    figures.check(made.logits, made.labels)
    return made


def _checked(said: Tensor, count: int) -> Tensor:
    if said.dim() != 2 or len(said) != count:
        raise UserError(f"a model must answer ({count}, classes) logits, got {tuple(said.shape)}; say where its logits are")
    said = said.detach().float().cpu()
    if not torch.isfinite(said).all():
        row = int((~torch.isfinite(said)).any(1).nonzero()[0])
        raise UserError(
            f"a model's answers are not finite (first in row {row} of a batch of {count}); check its weights and its inputs"
        )
    return said


def summary(predictions: Predictions, classes: Sequence[str], teacher: Predictions | None = None) -> dict[str, Any]:
    """Return the figures of a card, ready for JSON; every share is between 0 and 1.

    Keys: samples, accuracy, interval [low, high] (Wilson, 95 %), worst_class {"class", "accuracy"}, per_class
    (in the order of `classes`; None for a class without samples), calibration_error, agreement_with_teacher and
    mean_kl_from_teacher (nats; both None without a teacher).
    """
    logits, labels = predictions.logits, predictions.labels
    if logits.shape[1] != len(classes):
        raise UserError(f"the model answers {logits.shape[1]} classes, but {len(classes)} are named; name as many")
    if teacher is not None and not torch.equal(teacher.index, predictions.index):
        raise UserError("teacher and student answered different samples, or in another order; predict both on one partition")
    each = figures.per_class(logits, labels)
    worst, value = figures.worst_class(logits, labels)
    correct = int((logits.argmax(1) == labels).sum())
    return {
        "samples": len(predictions),
        "accuracy": correct / len(predictions),
        "interval": list(figures.interval(correct, len(predictions))),
        "worst_class": {"class": str(classes[worst]), "accuracy": value},
        "per_class": [None if v != v else v for v in each.tolist()],
        "calibration_error": figures.calibration_error(logits, labels),
        "agreement_with_teacher": None if teacher is None else figures.agreement(logits, teacher.logits),
        "mean_kl_from_teacher": None if teacher is None else figures.mean_kl(logits, teacher.logits),
    }
