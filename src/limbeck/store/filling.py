"""Batches that carry stored answers, and what is missing of them computed in fixed order and chunks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.data.streams import Streams
from limbeck.engine.check import quiet
from limbeck.plan.kinds import Batch
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Source, Tap, leaves
from limbeck.store.shelves import Shelf

CHUNK = 256  # samples per forward when the store is filled


@dataclass(frozen=True)
class Stored:
    """One source that is read from the store instead of its role: where, how large, how full it was."""

    source: Source
    field: str
    shelf: Shelf
    view: str
    bytes: int


class Filling:
    """Batches that carry stored answers. What is missing of a view is computed once for the whole partition,
    in a fixed order and fixed chunks, so that the stored bits do not depend on who asked first.

    shared: others who draw the same batches; what they will want of the same models is filled in the same forwards.
    """

    def __init__(
        self,
        streams: Streams,
        cast: Cast,
        stored: tuple[Stored, ...],
        say: Callable[[str], None],
        shared: "list[Filling] | None" = None,
    ):
        self.streams, self.cast, self.stored, self.say = streams, cast, stored, say
        self._known: set[tuple[str, str, int]] = set()
        self._others = [] if shared is None else shared
        self._others.append(self)

    def __call__(self, partitions: tuple[str, ...], position: int) -> Batch:
        batch = dict(self.streams(partitions, position))
        if len(partitions) > 1:
            return batch
        self._ensure(partitions[0], batch["view"])
        for item in self.stored:
            batch[item.field] = item.shelf.get(batch["index"], self._number(item, batch["view"]))
        return batch

    def whole(self, partitions: tuple[str, ...]) -> Batch:
        return self.streams.whole(partitions)

    def _number(self, item: Stored, view: int) -> int:
        return max(view, 0) if self.streams.views[item.view].ops else 0

    def _ensure(self, partition: str, view: int) -> None:
        wanted = [i for i in self.stored if (i.field, partition, self._number(i, view)) not in self._known]
        rows = self.streams.data[partition].index
        missing = [i for i in wanted if not bool(i.shelf.has(rows, self._number(i, view)).all())]
        for item in wanted:
            if item.shelf.damaged:
                self.say(f"{item.shelf.damaged} stored answers of {item.source} were damaged and are computed again")
                item.shelf.damaged = 0
        if missing:
            self._fill(partition, view, missing + self._wanted_by_others(partition, view, missing))
        self._known |= {(i.field, partition, self._number(i, view)) for i in wanted}

    def _wanted_by_others(self, partition: str, view: int, missing: list[Stored]) -> list[Stored]:
        """What others miss of the same modules, prepared in the same way, on the same batches."""
        rows, found = self.streams.data[partition].index, {item.shelf.folder: item for item in missing}
        for other in self._others:
            for item in other.stored if other.streams is self.streams else ():
                role = next(leaf.role for leaf in leaves(item.source) if isinstance(leaf, Tap))
                same = role in self.cast and self.cast[role] is other.cast[role]
                same = same and self.cast.adapter_of(role) == other.cast.adapter_of(role)
                if same and item.shelf.folder not in found and not item.shelf.has(rows, self._number(item, view)).all():
                    found[item.shelf.folder] = item
        return list(found.values())[len(missing) :]

    def _fill(self, partition: str, view: int, missing: list[Stored]) -> None:
        device = next(self.cast.parameters()).device
        with quiet(self.cast), torch.no_grad():
            for batch in self.streams.in_order(partition, max(view, 0), CHUNK):
                if all(bool(i.shelf.has(batch["index"], self._number(i, view)).all()) for i in missing):
                    continue
                seen = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
                before = dict(self.cast.answered)
                scene = observe(self.cast, seen, [item.source for item in missing], shorten=True)
                for role, count in self.cast.answered.items():
                    self.cast.filled[role] = self.cast.filled.get(role, 0) + count - before.get(role, 0)
                for item in missing:
                    item.shelf.put(batch["index"], self._number(item, view), scene(item.source))
