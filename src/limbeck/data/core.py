"""What data is once it is loaded: named partitions of numbered samples, and how models should scale them.

Letters: n samples, c channels, h and w pixels, C classes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import TypedDict

from limbeck.data.columns import Column
from limbeck.data.parts import part_of
from limbeck.data.tokens import Text, Tokens
from limbeck.errors import UserError, unknown
from limbeck.plan.kinds import Value
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.task import Task


class PartFacts(TypedDict):
    """A part of the data on a card: how many samples, and how many of each class where that has a meaning."""

    samples: int
    per_class: list[int] | None


class DataFacts(TypedDict):
    """What a card says of the data."""

    name: str
    kind: str
    task: str
    classes: list[str]
    shape: list[int]
    mean: list[float]
    std: list[float]
    partitions: dict[str, PartFacts]
    split_seed: int
    fingerprint: str
    notes: list[str]


@dataclass(frozen=True, eq=False)
class Partition:
    """A named part of the data.

    Attributes:
        name: train, validation, test or unlabelled, or a name of your own.
        inputs: (n, ...) uint8 images, other whole numbers as int64, or float32, unchanged; or a map-style Dataset yielding
            (input, label).
        labels: as the task has them: (n,) int64 in 0 .. C - 1 of a classification, (n, h, w) with -100 for pixels that
            are not counted of a segmentation; None where they are unknown.
        index: (n,) int64 sample numbers, unique within the `Data`: the key of views and of stored answers.
    """

    name: str
    inputs: Tensor | Dataset[Value]
    labels: Tensor | None
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def select(self, rows: Tensor, name: str | None = None, *, labelled: bool = True) -> "Partition":
        """Return the samples at `rows` (k,) int64 as a partition; their sample numbers stay."""
        from torch.utils.data import Subset

        inputs = self.inputs[rows] if isinstance(self.inputs, Tensor) else Subset(self.inputs, rows.tolist())
        labels = self.labels[rows] if labelled and self.labels is not None else None
        return Partition(name or self.name, inputs, labels, self.index[rows])


@dataclass(frozen=True, eq=False)
class Data:
    """A data set, split and numbered.

    Attributes:
        name: of the data set.
        kind: "image" (uint8, or floats on the scale 0 .. 1), "table" (features,), "text" (numbers of words, 0 behind the end) or
            "other".
        classes: names of the classes, in the order of the labels.
        shape: of one input: (channels, height, width) or (features,).
        mean, std: per channel or feature; a model subtracts and divides by them. The inputs here are NOT
            scaled. Images: on the scale 0 .. 1. Empty where nothing is to be done.
        partitions: train always; validation, test, unlabelled where there are such.
        notes: what a reader of results should know, a sentence each.
        split_seed: what the random part of the splits was made from.
        task: what is to be answered about a sample, and how answers are scored.
        words: what the numbers in a text's inputs mean, from 0; a student's file keeps them. Empty where inputs are no text.
        labels_from: where the labels were found, in words. columns: of a table, how their cells are features.
        counts: samples of each part at the source, in the order in which they are numbered, before any were held out or left out.
        ids: names of all samples at the source, by sample number; () where it has none. texts: of texts, likewise.
        tokens: of a text that a tokenizer numbered, how (see `limbeck.data.tokens`).
        sound: of recordings, samples per second and samples of each before they became spectrograms.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    partitions: Mapping[str, Partition]
    notes: tuple[str, ...] = ()
    split_seed: int = 0
    task: Task = CLASSIFY
    words: tuple[str, ...] = ()
    labels_from: str = ""
    columns: tuple[Column, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    tokens: Tokens | None = None
    texts: tuple[Text, ...] = ()
    sound: tuple[int, int] | None = None
    _memo: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Names of files can be no text; what is written of them would fail at the end of a run."""
        for what, names in (("data", [self.name]), (self.task.item, self.classes), ("part", self.partitions)):
            odd = next((name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name)), None)
            if odd is not None:
                raise UserError(f"the {what} {ascii(odd[:40])} has a name that is not UTF-8; rename it")

    def __getitem__(self, name: str) -> Partition:
        """Return a partition by name, or a part of one (`train[1/5]`, see `parts`), or say which there are."""
        if name not in self.partitions:
            part = part_of(self, name)
            if part is not None:
                return part
            if name == "unlabelled":
                raise UserError(
                    f"{self.name} has no unlabelled part, which this method needs: put samples without labels beside the "
                    "others (a folder unlabelled/, x_unlabelled in a .npz), or hide some labels with data.labelled = NUMBER"
                )
            raise unknown(f"partition of {self.name}", name, self.partitions)
        return self.partitions[name]

    @property
    def outputs(self) -> int:
        """How many numbers a model of this data gives for each thing that it answers."""
        return self.task.outputs(len(self.classes))

    @property
    def judged(self) -> Partition:
        """What results are measured on: the test part, or validation where there is none."""
        return self["test" if "test" in self.partitions else "validation"]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over labels, sample numbers and inputs of all partitions, as 64 hexadecimal digits.

        A partition behind a Dataset counts with its labels and numbers, but only its first 16 inputs.
        """
        if "fingerprint" not in self._memo:
            total = hashlib.sha256(repr((self.kind, self.classes, self.shape)).encode())
            for name in sorted(self.partitions):
                total.update(name.encode())
                for tensor in _content(self.partitions[name]):
                    total.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
                    total.update(memoryview(tensor.contiguous().flatten().view(torch.uint8).numpy()))  # type: ignore[arg-type]
            self._memo["fingerprint"] = total.hexdigest()
        return self._memo["fingerprint"]

    def describe(self) -> "DataFacts":
        """Return what a run records of its data, ready for JSON."""
        parts: dict[str, PartFacts] = {}
        for name, part in self.partitions.items():
            counts = None if part.labels is None else self.task.occurrences(part.labels, len(self.classes))
            parts[name] = {"samples": len(part), "per_class": counts}
        return {
            "name": self.name,
            "kind": self.kind,
            "task": self.task.name,
            "classes": list(self.classes),
            "shape": list(self.shape),
            "mean": list(self.mean),
            "std": list(self.std),
            "partitions": parts,
            "split_seed": self.split_seed,
            "fingerprint": self.fingerprint,
            "notes": list(self.notes),
        }


def _content(part: Partition) -> list[Tensor]:
    first = part.inputs
    if not isinstance(first, Tensor):
        items = [part.inputs[i] for i in range(min(16, len(part)))]
        seen = [item[0] if isinstance(item, (tuple, list)) else item for item in items]
        first = torch.stack(seen) if seen and all(isinstance(x, Tensor) for x in seen) else torch.empty(0)
    return [part.index, first, *([] if part.labels is None else [part.labels])]


def checked(who: str, inputs: Tensor, labels: Tensor | None, classes: int, task: Task = CLASSIFY) -> None:
    """Refuse what no model can be trained on.

    Raises:
        UserError: nothing there, counts that differ, labels outside 0 .. classes - 1, inputs that are not finite.
    """
    if len(inputs) == 0 or inputs[0].numel() == 0:
        raise UserError(f"{who} is empty: expected at least one sample with at least one value, got {tuple(inputs.shape)}")
    if labels is not None:
        task.check_labels(who, labels, inputs, classes)
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        row = int((~torch.isfinite(inputs.flatten(1))).any(1).nonzero()[0])
        count = int((~torch.isfinite(inputs)).sum())
        raise UserError(
            f"{who} has inputs that are not finite: {count} values, the first in sample {row}; remove or replace them"
        )


def statistics(inputs: Tensor, kind: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel or feature; 1 where nothing varies; images on 0 .. 1.

    uint8 inputs are summed in integers, so that the result is exact.
    """
    rest = [d for d in range(inputs.dim()) if d != 1]
    if inputs.dtype == torch.uint8:
        levels = torch.stack([torch.bincount(inputs[:, c].flatten(), minlength=256) for c in range(inputs.shape[1])])
        share, at = levels.double() / levels.sum(1, keepdim=True), torch.arange(256) / 255.0
        mean = (share * at).sum(1)
        std = (share * (at - mean[:, None]).square()).sum(1).sqrt()
    else:
        mean, std = inputs.double().mean(rest), inputs.double().std(rest, correction=0)
    std = torch.where(std > 1e-12, std, torch.ones_like(std))
    return tuple(round(v, 9) for v in mean.tolist()), tuple(float(f"{v:.9g}") for v in std.tolist())
