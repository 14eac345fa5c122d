"""What a model answers to a partition.

Letters: n samples, C classes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.plan.roles import moved


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers to a partition, all on the CPU.

    Attributes:
        answers: what the task keeps of each answer: (n, C) float32 logits of a classifier, (n, h, w) class
            numbers of a segmentation, ...
        labels: (n, ...) as the task keeps them. index: (n,) int64 sample numbers.
        known: of a task without a head, the answers to the training samples with labels, from which a probe learns; else None.
    """

    answers: Tensor
    labels: Tensor
    index: Tensor
    known: "Predictions | None" = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def logits(self) -> Tensor:
        """The answers of a classifier by their name."""
        assert self.answers.is_floating_point(), "only logits are floats"
        return self.answers


class NotFinite(UserError):
    """A model's outputs are NaN or infinite."""


class Keeps(Protocol):
    """What `predict` needs of a task."""

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]: ...


@torch.no_grad()
def predict(answer: Callable[[Any], Tensor], batches: Iterable[Mapping[str, Any]], task: Keeps) -> Predictions:
    """Ask a model about every batch and keep what the task needs of its answers.

    Args:
        answer: takes `batch["inputs"]` (or what its `fed` names), brought to where a module's weights are, and returns logits
            (batch, ..., C); runs without a gradient, in whatever mode its model is (call `.eval()` before).
        batches: mappings with "inputs" and "labels"; "index" is counted from 0 where it is absent.
        task: what is to be answered.

    Raises:
        UserError: nothing to predict, answers of another shape, not finite, or labels of other classes.
    """
    answers, labels, index, seen = [], [], [], 0
    for batch in batches:
        count = len(batch["labels"])
        kept, given = task.keep(_asked(answer, batch), batch["labels"].detach().cpu())
        answers.append(kept)
        labels.append(given)
        index.append(batch["index"].detach().long().cpu() if "index" in batch else torch.arange(seen, seen + count))
        seen += count
    if not seen:
        raise UserError("nothing to predict: the partition is empty; give at least one sample")
    return Predictions(torch.cat(answers), torch.cat(labels), torch.cat(index))


@torch.no_grad()
def distances(
    answers: Mapping[str, Callable[[Any], Tensor]],
    teacher: Callable[[Any], Tensor],
    batches: Iterable[Mapping[str, Any]],
    task: Any,
) -> dict[str, Tensor]:
    """What `Task.apart` says of every model's answers beside a teacher's, (n, ...); {} for a task that says nothing.

    The arguments are those of `predict`; the teacher is asked once for all.
    """
    found: dict[str, list[Tensor]] = {}
    for batch in batches:
        labels = batch["labels"].detach().cpu()
        first = _asked(teacher, batch)
        for who, answer in answers.items():
            each = task.apart(_asked(answer, batch), first, labels)
            if each is None:
                return {}
            found.setdefault(who, []).append(each)
    return {who: torch.cat(parts) for who, parts in found.items()}


def _asked(answer: Callable[[Any], Tensor], batch: Mapping[str, Any]) -> Tensor:
    """A model's answer to a batch, on the CPU."""
    tensors = (*answer.parameters(), *answer.buffers()) if isinstance(answer, nn.Module) else ()
    place = next((tensor.device for tensor in tensors), None)
    return _finite(answer(moved(batch[getattr(answer, "fed", "inputs")], place)).detach(), len(batch["labels"]))


def _finite(outputs: Tensor, count: int) -> Tensor:
    if outputs.dim() < 1 or len(outputs) != count:
        raise UserError(
            f"a model must return ({count}, ...) logits, got {tuple(outputs.shape)}; give their place with Adapter(logits=...)"
        )
    outputs = outputs.float().cpu()
    if not torch.isfinite(outputs).all():
        row = int((~torch.isfinite(outputs.reshape(count, -1))).any(1).nonzero()[0])
        raise NotFinite(
            f"a model's outputs are not finite (first in row {row} of a batch of {count}); check its weights and its inputs"
        )
    return outputs


def same_samples(predictions: Predictions, teacher: Predictions | None) -> None:
    """Refuse to compare answers to different samples."""
    if teacher is not None and not torch.equal(teacher.index, predictions.index):
        raise UserError(
            "predictions of teacher and student are for different samples or in another order; predict both on one partition"
        )
