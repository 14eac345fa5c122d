"""Batches for updates: drawn at the right position, this process's share of them, on the right device."""

from typing import TYPE_CHECKING

import torch

from limbeck.engine.state import BatchSource, RunState, seed_of
from limbeck.plan import Method, Update
from limbeck.plan.kinds import Batch
from limbeck.plan.roles import Cast

if TYPE_CHECKING:  # it is slow to import
    from accelerate import Accelerator


class Feed:
    """Feeds the updates of a plan. All updates of a step that draw from the same partitions see the same samples,
    so that a plan with several updates sees the data no more often than one with a single update; a repeat draws
    anew."""

    def __init__(self, method: Method, draw: BatchSource, accelerator: "Accelerator", seed: int):
        self.method, self.draw, self.accelerator, self.seed = method, draw, accelerator, seed
        self._drawn: dict[tuple[tuple[str, ...], int, int], Batch] = {}

    def new_step(self) -> None:
        self._drawn.clear()

    def batch(self, update: Update, cast: Cast, state: RunState, number: int, turn: int) -> Batch:
        """The batch of an update: the `number`-th of its stage, in its `turn`-th repeat."""
        calls = 0

        def real(partitions: tuple[str, ...] = ("train",), *, whole: bool = False) -> Batch:
            nonlocal calls
            if whole:
                return self._to_device(self.draw.whole(partitions))
            place, key = (partitions, turn, calls), "+".join(partitions)
            calls += 1
            if place not in self._drawn:
                position = state.positions.get(key, 0)
                state.positions[key] = position + 1
                self._drawn[place] = self._to_device(self._mine(self.draw(partitions, position)))
            return self._drawn[place]

        if callable(update.source):
            generator = torch.Generator().manual_seed(seed_of(self.seed, state.stage, number, turn, state.step))
            return update.source(cast, real, generator)
        return real(update.partitions)

    def probe(self, update: Update, cast: Cast, position: int = 0) -> Batch:
        """A batch to look at, by its position always the same; nothing is counted as drawn."""

        def real(partitions: tuple[str, ...] = ("train",), *, whole: bool = False) -> Batch:
            return self._to_device(self.draw(partitions, position))

        if callable(update.source):
            if not all(part in cast for part in self.method.parts):
                return real()
            return update.source(cast, real, torch.Generator().manual_seed(position))
        return real(update.partitions)

    def _mine(self, batch: Batch) -> Batch:
        """This process's rows of the batch."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        if world == 1:
            return batch
        return {k: v[rank::world] if isinstance(v, torch.Tensor) and v.dim() else v for k, v in batch.items()}

    def _to_device(self, batch: Batch) -> Batch:
        if self.accelerator.device.type == "cpu":
            return batch
        from accelerate.utils import send_to_device

        return send_to_device(dict(batch), self.accelerator.device, non_blocking=True)
