"""Where the engine's batches come from: any partition, or several joined, at any position, always the same."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from limbeck.data.batches import Batch, Batches, Mixture
from limbeck.data.core import Data
from limbeck.data.views import View, parse
from limbeck.plan.roles import moved


class Streams:
    """Endless, seeded streams over the partitions of a data set.

    Args:
        size: samples per batch; a joint batch of several partitions has its share of each.
        augment: spelling of the view "inputs"; views: further ones by name ("default" repeats `augment`,
            drawn independently).
        cycle: number of different views of each sample, None for a new one in every epoch. These few are
            the same for every seed, so that stored teacher answers serve them all.
        workers: processes that read a Dataset ahead.
    """

    def __init__(
        self,
        data: Data,
        *,
        size: int,
        seed: int,
        augment: str = "",
        views: Mapping[str, str] | None = None,
        cycle: int | None = None,
        workers: int = 0,
    ):
        self.view_seed = seed if cycle is None else 0
        self.data, self.size, self.seed, self.cycle, self.workers = data, size, seed, cycle, workers
        spelt = {"inputs": augment} | {k: augment if v == "default" else v for k, v in (views or {}).items()}
        self.views: dict[str, View] = {name: parse(text) for name, text in spelt.items()}
        self.on: torch.device | None = None  # where batches are given, and `device` where they are made
        self.device: torch.device | None = None
        self._made: dict[tuple[str, ...], Batches | Mixture] = {}
        self._open: dict[tuple[str, ...], tuple[int, Iterator[Batch]]] = {}

    def augments(self, view: str) -> bool:
        """Whether a view changes samples; "index", which a role may be fed instead of one, does not."""
        return view in self.views and bool(self.views[view].ops)

    def to(self, device: torch.device, free: int) -> bool:
        """Give batches on a device from now on, with the same numbers. Where all samples are tensors in memory and fit into
        `free` bytes there, batches are made there, and the answer is True; elsewhere they are moved.
        """
        inputs = [part.inputs for part in self.data.partitions.values()]
        fits = all(isinstance(x, Tensor) for x in inputs) and sum(x.nbytes for x in inputs if isinstance(x, Tensor)) <= free
        if (device, fits) != (self.on, self.device is not None):
            self.on, self.device, self._made = device, device if fits else None, {}
        return fits

    def _moved(self, batch: Batch) -> Batch:
        """The batch on the device; sample numbers stay, for the store reads by them."""
        return batch if self.on is None else {k: v if k == "index" else moved(v, self.on) for k, v in batch.items()}

    @property
    def steps_per_epoch(self) -> int:
        """Steps that show every training sample, labelled or not, about once."""
        count = sum(len(self.data[name]) for name in ("train", "unlabelled") if name in self.data.partitions)
        return max(1, count // self.size)

    def __call__(self, partitions: tuple[str, ...], position: int) -> Batch:
        batches = self._batches(partitions)
        parts = batches.parts if isinstance(batches, Mixture) else (batches,)
        if all(isinstance(part.partition.inputs, Tensor) for part in parts):
            return self._moved(batches.batch(position))
        expected, stream = self._open.get(partitions, (-1, iter(())))
        if expected != position:
            stream = batches.stream(position)
        self._open[partitions] = (position + 1, stream)
        return self._moved(next(stream))

    def whole(self, partitions: tuple[str, ...]) -> Batch:
        """All samples of one partition, in order and unaugmented."""
        (name,) = partitions
        return self._moved(Batches(self.data[name], self.data, size=self.size, seed=self.seed, views=self.views).whole())

    def at(self, partition: str, view: int, rows: Tensor) -> Batch:
        """One view of the samples at the positions `rows` (k,) of a partition."""
        part = self.data[partition]
        made = Batches(
            part,
            self.data,
            size=len(part),
            seed=self.seed,
            views=self.views,
            cycle=self.cycle,
            view_seed=self.view_seed,
            device=self.device,
        )
        return self._moved(made.at(view, rows))

    def in_order(self, partition: str, view: int, size: int) -> Iterator[Batch]:
        """One view of every sample of a partition, in order, in chunks of `size`."""
        part = self.data[partition]
        batches = Batches(
            part,
            self.data,
            size=size,
            seed=self.seed,
            views=self.views,
            shuffle=False,
            cycle=self.cycle,
            view_seed=self.view_seed,
            device=self.device,
        )
        stream = batches.stream(view * len(batches))
        return (self._moved(next(stream)) for _ in range(len(batches)))

    def _batches(self, partitions: tuple[str, ...]) -> Batches | Mixture:
        if partitions not in self._made:
            size = max(1, self.size // len(partitions))
            made = [self._one(name, size) for name in partitions]
            self._made[partitions] = made[0] if len(made) == 1 else Mixture(made)
        return self._made[partitions]

    def _one(self, name: str, size: int) -> Batches:
        part = self.data[name]
        return Batches(
            part,
            self.data,
            size=min(size, len(part)),
            seed=self.seed,
            views=self.views,
            drop_last=len(part) > size,
            cycle=self.cycle,
            workers=self.workers,
            view_seed=self.view_seed,
            device=self.device,
        )
