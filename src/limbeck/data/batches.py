"""Batches by number: the k-th batch of an endless stream is a function of the partition, the seed and k.

Letters: n samples in a batch, C classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from limbeck.data.core import Data, Partition
from limbeck.data.readers.images import DEEP, eight_bits, hwc, opaque
from limbeck.data.views import View, to_float
from limbeck.data.views.view import probabilities
from limbeck.errors import UserError
from limbeck.plan.kinds import Value
from limbeck.transforms.draws import Draw, key, order, signed

Batch = dict[str, Value]


class Batches:
    """The batches of a partition, each a dictionary.

    Keys: every view by its name ("inputs" always), float32, images on the scale 0 .. 1 and not normalised;
    "labels" (n, ...) as the task has them, int64 with -100 where unknown, or (n, C) probabilities where the view
    "inputs" blends samples (another view that blends samples, or moves the pixels that labels belong to, has its
    own under NAME_labels); "index" (n,) int64 sample numbers; "view" int, the
    view number: the epoch, or the epoch modulo `cycle`; -1 where nothing is augmented.

    Args:
        partition, data: from `limbeck.data.load` or `from_datasets`.
        size: samples in a batch; the last of an epoch may be smaller.
        seed: what the order and the views depend on.
        views: by name; without "inputs", it is the sample as it is.
        shuffle: a new order in every epoch; False keeps the order.
        drop_last: leave out the smaller last batch.
        cycle: how many different views of each sample there are; None for a new one in every epoch.
        workers: processes that read items of a Dataset in `stream`.
        view_seed: what the views depend on, if not on `seed`: runs of several seeds then share theirs.
        device: where the samples lie and batches are made, the same numbers as on the CPU; None for where the
            partition has them. "index" stays on the CPU. Only for inputs that are a tensor.
    """

    def __init__(
        self,
        partition: Partition,
        data: Data,
        *,
        size: int,
        seed: int,
        views: Mapping[str, View] | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        cycle: int | None = None,
        workers: int = 0,
        view_seed: int | None = None,
        device: torch.device | None = None,
    ):
        self.view_seed = seed if view_seed is None else view_seed
        self.partition, self.data, self.size, self.seed = partition, data, size, seed
        self.shuffle, self.cycle, self.workers = shuffle, cycle, workers
        wanted = {"inputs": View(), **(views or {})}
        self.views = {name: view.named(name) for name, view in wanted.items()}
        for name, view in self.views.items():
            if name in ("labels", "index", "view", "labelled") or name.endswith("_labels"):
                raise UserError(f"view {name!r} has the name of another batch entry; call it something else")
            view.check(data.shape, data.kind, located=data.task.located)
            if view.mixes and not data.task.blends:
                raise UserError(f"view {view}: labels of the task {data.task.name!r} cannot be mixed; remove mixup")
        if size < 1 or (cycle is not None and cycle < 1) or workers < 0:
            raise UserError(f"batches need size >= 1, cycle >= 1 and workers >= 0, got {size}, {cycle} and {workers}")
        if not len(partition):
            raise UserError(f"partition {partition.name!r} of {data.name} is empty; it needs at least one sample")
        self.per_epoch = len(partition) // size if drop_last else -(-len(partition) // size)
        if not self.per_epoch:
            raise UserError(
                f"partition {partition.name!r} has {len(partition)} samples, fewer than a batch of {size} and the last "
                "batch is dropped; take smaller batches"
            )
        scaled = data.kind != "image" and len(data.std) > 0
        self._scale = torch.tensor(data.std) if scaled else None if data.kind == "image" else torch.ones(1)
        self._centre = torch.tensor(data.mean) if scaled else None
        self._order: tuple[int, Tensor] | None = None
        self.device = device or torch.device("cpu")
        self._inputs, self._given = partition.inputs, partition.labels
        if isinstance(self._inputs, Tensor):
            self._inputs = self._inputs.to(self.device)
            self._given = None if self._given is None else self._given.to(self.device)
        self._index = partition.index.to(self.device)
        self._scale = None if self._scale is None else self._scale.to(self.device)
        self._centre = None if self._centre is None else self._centre.to(self.device)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.per_epoch

    def rows(self, k: int) -> Tensor:
        """Return (n,) int64: the positions in the partition of the k-th batch, k from 0."""
        epoch, place = divmod(k, self.per_epoch)
        if self._order is None or self._order[0] != epoch:
            count = len(self.partition)
            chosen = order(self.seed, count, "order", self.partition.name, epoch) if self.shuffle else torch.arange(count)
            self._order = (epoch, chosen)
        return self._order[1][place * self.size : (place + 1) * self.size]

    def batch(self, k: int) -> Batch:
        """Return the k-th batch of the endless stream; epoch k // per_epoch."""
        rows = self.rows(k)
        return self._seen(k, rows, self._fetch(rows))

    def at(self, view: int, rows: Tensor) -> Batch:
        """Return the samples at the positions `rows` (k,) int64 of the partition as they are seen in epoch `view`."""
        return self._seen(view * self.per_epoch, rows, self._fetch(rows))

    def stream(self, start: int = 0) -> Iterator[Batch]:
        """Yield `batch(start)`, `batch(start + 1)`, ... without end; a Dataset is read ahead by `workers`."""
        k = start
        if isinstance(self.partition.inputs, Tensor):
            while True:
                yield self.batch(k)
                k += 1
        loader: DataLoader[Value] = DataLoader(
            _Items(self.partition.inputs),
            batch_sampler=_Rows(self, start),
            num_workers=self.workers,
            collate_fn=together,
            generator=torch.Generator().manual_seed(signed(key(self.seed, "loader"))),
        )
        for inputs in loader:
            yield self._seen(k, self.rows(k), inputs)
            k += 1

    def ordered(self, size: int | None = None) -> Iterator[Batch]:
        """Yield every sample once, in order and as it is (every view name holds it), for evaluation; a last one that would be
        alone comes with the batch before, for networks that normalise by the batch in evaluation too."""
        cuts = list(torch.arange(len(self.partition)).split(size or self.size))
        if len(cuts) > 1 and len(cuts[-1]) == 1 < len(cuts[-2]):
            cuts[-2:] = [torch.cat(cuts[-2:])]
        for rows in cuts:
            yield self._plain(rows)

    def whole(self) -> Batch:
        """Return every sample in one batch, in order and as it is."""
        return self._plain(torch.arange(len(self.partition)))

    def _plain(self, rows: Tensor) -> Batch:
        inputs = self._fetch(rows)
        inputs = to_float(inputs) if isinstance(inputs, Tensor) else inputs
        batch: Batch = dict.fromkeys(self.views, inputs)
        return {**batch, "labels": self._labels(rows), "index": self.partition.index[rows], "view": -1}

    def _seen(self, k: int, rows: Tensor, raw: Value) -> Batch:
        epoch = k // self.per_epoch
        number = epoch if self.cycle is None else epoch % self.cycle
        index = self.partition.index[rows]
        labels = self._labels(rows)
        batch: Batch = {"labels": labels, "index": index, "view": number}
        with self.device if self.device.type != "cpu" else nullcontext():  # ops make their own small tensors there
            return self._viewed(batch, raw, index.to(self.device), number)

    def _viewed(self, batch: Batch, raw: Value, index: Tensor, number: int) -> Batch:
        labels = batch["labels"]
        draw = Draw.of(self.view_seed, index, number, centre=self._centre, scale=self._scale)
        for name, view in self.views.items():
            if not isinstance(raw, Tensor):
                if view.ops:
                    raise UserError(f"view {view}: inputs that are mappings cannot be augmented; remove the view")
                batch[name] = raw
                continue
            batch[name] = view.apply(raw, draw, fetch=self._fetch, index=self._index)
            if view.mixes and self._given is not None:
                mixed = view.blend(labels, draw, self._given, len(self.data.classes))
                batch["labels" if name == "inputs" else f"{name}_labels"] = mixed
            elif view.ops and self.data.task.located:
                size = (self.data.shape[-2], self.data.shape[-1])
                batch["labels" if name == "inputs" else f"{name}_labels"] = view.move(labels, draw, size)
        return batch

    def _labels(self, rows: Tensor) -> Tensor:
        if self._given is not None:
            labels = self._given[rows.to(self._given.device)]
            return labels if labels.is_floating_point() else labels.long()
        like = self.data["train"].labels
        if like is None:
            return torch.full((len(rows),), -100, device=self.device)
        kind = like.dtype if like.is_floating_point() else torch.int64
        return torch.full((len(rows), *like.shape[1:]), self.data.task.unknown, dtype=kind, device=self.device)

    def _fetch(self, rows: Tensor) -> Value:
        if isinstance(self._inputs, Tensor):
            return self._inputs[rows.to(self._inputs.device)]
        return gather(self.partition, rows)


class Mixture:
    """Batches of several partitions side by side, for labelled and unlabelled samples at once.

    The k-th batch is the parts' k-th batches, one below the other, with the keys of `Batches` and
    "labelled" (n,) float32, 1 where the label is known, else 0. "view" is here (n,) int64, for parts of different
    length are in different epochs. An epoch is the first part's.
    """

    def __init__(self, parts: Sequence[Batches]):
        self.parts = tuple(parts)
        if not self.parts:
            raise UserError("a mixture needs at least one part; give Batches")
        if len({tuple(part.views) for part in self.parts}) > 1:
            shown = " and ".join("(" + ", ".join(part.views) + ")" for part in self.parts)
            raise UserError(f"the parts of a mixture have different views: {shown}; give all the same")
        self.per_epoch = self.parts[0].per_epoch

    def __len__(self) -> int:
        """Return the number of batches in an epoch of the first part."""
        return self.per_epoch

    def batch(self, k: int) -> Batch:
        """Return the parts' k-th batches as one."""
        return self._joined([part.batch(k) for part in self.parts])

    def stream(self, start: int = 0) -> Iterator[Batch]:
        """Yield `batch(start)`, `batch(start + 1)`, ... without end."""
        for batches in zip(*(part.stream(start) for part in self.parts), strict=True):
            yield self._joined(list(batches))

    def _joined(self, batches: list[Batch]) -> Batch:
        classes = len(self.parts[0].data.classes)
        out: Batch = {}
        for name in dict.fromkeys(entry for batch in batches for entry in batch):
            if name == "view":
                out[name] = torch.cat([torch.full((len(b["index"]),), b["view"], device=b["labels"].device) for b in batches])
            elif name == "labels" or name.endswith("_labels"):
                given: list[Tensor] = [b[name] if name in b else b["labels"] for b in batches]
                soft = any(y.is_floating_point() for y in given)
                out[name] = torch.cat([probabilities(y, classes) if soft and not y.is_floating_point() else y for y in given])
            else:
                out[name] = _below([b[name] for b in batches])
        known = [
            torch.full((len(b["index"]),), float(p.partition.labels is not None), device=b["labels"].device)
            for b, p in zip(batches, self.parts, strict=True)
        ]
        return {**out, "labelled": torch.cat(known)}


def _below(values: list[Value]) -> Value:
    if all(isinstance(v, Tensor) and v.shape[1:] == values[0].shape[1:] for v in values):
        return torch.cat(values)
    return together([row for value in values for row in _split(value)])


def _split(value: Value) -> list[Value]:
    if isinstance(value, Mapping):
        count = len(next(iter(value.values())))
        return [{k: v[row] for k, v in value.items()} for row in range(count)]
    return list(value)


def gather(partition: Partition, rows: Tensor) -> Value:
    """Return the inputs at the positions `rows` (n,) int64, unchanged: a tensor, or a mapping of tensors."""
    if isinstance(partition.inputs, Tensor):
        return partition.inputs[rows]
    items = _Items(partition.inputs)
    return together([items[int(row)] for row in rows])


class _Items(Dataset[Value]):
    """The inputs of a Dataset as tensors, without the labels."""

    def __init__(self, dataset: Value):
        self.dataset = dataset

    def __getitem__(self, row: int) -> Value:
        return as_input(self.dataset[row][0])


class _Rows(Sampler[list[int]]):
    def __init__(self, batches: Batches, start: int):
        self.batches, self.start = batches, start

    def __iter__(self) -> Iterator[list[int]]:
        k = self.start
        while True:
            yield self.batches.rows(k).tolist()
            k += 1


def as_input(value: Value) -> Value:
    """Return one input as a tensor: pictures and arrays (h, w, c) become (c, h, w); mappings of them stay mappings."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Mapping):
        return {str(k): as_input(v) for k, v in value.items()}
    if hasattr(value, "convert") and hasattr(value, "mode"):  # a PIL picture
        plain = eight_bits("a picture of the Dataset", value) if value.mode in DEEP else opaque(value)
        return hwc(np.asarray(plain if plain.mode in ("L", "RGB") else plain.convert("RGB")))
    if isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (2, 3):
        channels_first = value.ndim == 3 and value.shape[0] in (1, 3, 4) and value.shape[-1] not in (1, 3, 4)
        return torch.from_numpy(value.copy()) if channels_first else hwc(value)
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"an input is a {type(value).__name__}; expected a tensor, an array or a picture") from error


def together(items: list[Value]) -> Value:
    """Stack inputs of one shape; refuses mixed shapes and values that are not finite."""
    first = items[0]
    if isinstance(first, Mapping):
        return {k: together([item[k] for item in items]) for k in first}
    odd = next((item for item in items if item.shape != first.shape), None)
    if odd is not None:
        raise UserError(
            f"inputs have mixed shapes: {tuple(first.shape)} and {tuple(odd.shape)}; bring them to one in the Dataset"
        )
    stacked = torch.stack(items)
    if stacked.is_floating_point() and not torch.isfinite(stacked).all():
        raise UserError("inputs are not finite: the Dataset yields NaN or infinity; remove or replace those values")
    return stacked
