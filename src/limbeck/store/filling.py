"""Batches that carry stored answers, and what is missing of them computed in fixed order and chunks."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from limbeck.data.streams import Streams
from limbeck.engine.check import quiet
from limbeck.files import CannotWrite
from limbeck.plan.kinds import Batch
from limbeck.plan.observe import Scene, observe
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Source, Tap, leaves
from limbeck.store.checking import ASKED, ELSEWHERE, checksums, differing, other_chance
from limbeck.store.shelves import Shelf

CHUNK = 256  # samples per forward when the store is filled, or as many as its data's task asks at once


@dataclass(frozen=True)
class Stored:
    """One source that is read from the store instead of its role: where, how large, how full it was."""

    source: Source
    field: str
    shelf: Shelf
    view: str
    bytes: int


def at_once(streams: Streams) -> int:
    """Samples per forward."""
    return min(CHUNK, streams.data.task.at_once(tuple(streams.data.shape)))


class Filling:
    """Batches that carry stored answers. What is missing of a view is computed once for the whole partition,
    in a fixed order and fixed chunks, so that the stored bits do not depend on who asked first.

    shared: others who draw the same batches; what they will want of the same models is filled in the same forwards. tally: a file
    that gets a line with the number of samples after each forward, so that a run that is killed knows what it had asked.
    """

    def __init__(
        self,
        streams: Streams,
        cast: Cast,
        stored: tuple[Stored, ...],
        say: Callable[[str], None],
        shared: "list[Filling] | None" = None,
        tally: Path | None = None,
    ):
        self.tally = tally
        self.streams, self.cast, self.stored, self.say = streams, cast, stored, say
        self._known: set[tuple[str, str, int]] = set()
        self._renewed = self._random = False
        self._live: set[Stored] = set()  # what the store has no room for
        self._others = [] if shared is None else shared
        self._others.append(self)

    def __call__(self, partitions: tuple[str, ...], position: int) -> Batch:
        batch = dict(self.streams(partitions, position))
        if len(partitions) > 1:
            return batch
        self._ensure(partitions[0], batch["view"])
        live = [*self._strange(partitions[0], batch), *self._live]
        for item in (item for item in self.stored if item not in live):
            found = item.shelf.get(batch["index"], self._number(item, batch["view"]))
            batch[item.field] = found if self.streams.on is None else found.to(self.streams.on, non_blocking=True)
        if live:
            scene = self._answers(batch, live)
            batch |= {item.field: scene(item.source).to(self.streams.on or "cpu") for item in live}
        return batch

    def fill(self, partitions: Iterable[str]) -> None:
        """Ask everything that is missing of these partitions, in every view."""
        for partition in partitions:
            for view in range(self.streams.cycle or 1):
                self._ensure(partition, view)

    def _strange(self, partition: str, batch: Batch) -> list[Stored]:
        """What was answered to other inputs than this batch has, though it was asked anew: an item drew random numbers."""
        if isinstance(self.streams.data[partition].inputs, Tensor):
            return []  # the key holds every byte of them
        found = self._other_inputs(batch)
        if found and not self._renewed:
            self._renewed = True
            self._forget(found, f"the inputs of {partition} are not those that {_named(found)} was stored for")
            self._ensure(partition, batch["view"])
            found = self._other_inputs(batch)
        if found and not self._random:
            self._random = True
            self.say(
                f"the items of {partition} are not the same whenever they are read: {_named(found)} is computed live for them"
            )
        return found

    def _other_inputs(self, batch: Batch) -> list[Stored]:
        marks = {view: checksums(batch[view]) for view in {item.view for item in self.stored}}
        rows = batch["index"].numpy()
        return [
            i
            for i in self.stored
            if i not in self._live and (i.shelf.fed(self._number(i, batch["view"]))[rows] != marks[i.view]).any()
        ]

    def _forget(self, items: list[Stored], why: str) -> None:
        self.say(f"{why}; all of it is computed again")
        for item in items:
            item.shelf.forget()
        fields = {item.field for item in items}
        self._known = {known for known in self._known if known[0] not in fields}

    def whole(self, partitions: tuple[str, ...]) -> Batch:
        return self.streams.whole(partitions)

    def to(self, device: torch.device, free: int) -> bool:
        """As `Streams.to`."""
        return self.streams.to(device, free)

    def _number(self, item: Stored, view: int) -> int:
        return max(view, 0) if self.streams.augments(item.view) else 0

    def _ensure(self, partition: str, view: int) -> None:
        """What is stored of a view is there afterwards; where the disk has no room for it, it is computed live from now on."""
        wanted = [i for i in self.stored if (i.field, partition, self._number(i, view)) not in self._known]
        wanted = [item for item in wanted if item not in self._live]
        try:
            self._know(partition, view, wanted)
        except CannotWrite as error:
            self.say(f"the store is full or read-only ({error}): {_named(wanted)} is computed live from now on")
            self._live |= set(wanted)

    def _know(self, partition: str, view: int, wanted: list[Stored]) -> None:
        rows = self.streams.data[partition].index
        self._ask_again(partition, view, wanted)
        missing = [i for i in wanted if not bool(i.shelf.has(rows, self._number(i, view)).all())]
        for item in wanted:
            if item.shelf.damaged:
                self.say(f"{item.shelf.damaged} stored answers of {item.source} were damaged and will be computed again")
                item.shelf.damaged = 0
        if missing:
            self._fill(partition, view, missing + self._wanted_by_others(partition, view, missing))
        self._known |= {(i.field, partition, self._number(i, view)) for i in wanted}

    def _ask_again(self, partition: str, view: int, items: list[Stored]) -> None:
        """A few answers that were found are asked of the live role; a shelf that has another one is emptied."""
        index = self.streams.data[partition].index
        known = {item: item.shelf.has(index, self._number(item, view)) for item in items}
        known = {item: rows for item, rows in known.items() if rows.any()}
        if not known:
            return
        together = torch.stack(list(known.values())).all(0)
        groups = [(list(known), together)] if together.any() else [([item], rows) for item, rows in known.items()]
        for group, rows in groups:
            self._compare(partition, view, group, rows.nonzero().flatten())

    def _compare(self, partition: str, view: int, items: list[Stored], found: Tensor) -> None:
        """One forward for all; found: (k,) positions in the partition where all are known, k at least 1."""
        rows = found[torch.randperm(len(found), generator=_fresh())[:ASKED]]
        batch = self.streams.at(partition, max(view, 0), rows)
        answered = dict(self.cast.answered)
        with other_chance(ELSEWHERE):
            live = self._answers(batch, items)
        self.cast.answered = answered
        for item in items:
            stored = item.shelf.get(batch["index"], self._number(item, view))
            wrong = differing(stored, live(item.source), item.shelf.form)
            if wrong:
                why = f"{wrong} of {len(rows)} stored answers of {item.source} that were asked again are not the model's"
                self._forget([item], f"{why}: it or its data have changed")

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
        items = not isinstance(self.streams.data[partition].inputs, Tensor)
        for batch in self.streams.in_order(partition, max(view, 0), at_once(self.streams)):
            if all(bool(i.shelf.has(batch["index"], self._number(i, view)).all()) for i in missing):
                continue
            before = dict(self.cast.answered)
            scene = self._answers(batch, missing)
            asked = {role: count - before.get(role, 0) for role, count in self.cast.answered.items()}
            for role, count in asked.items():
                self.cast.filled[role] = self.cast.filled.get(role, 0) + count
            _note(self.tally, sum(asked.values()))
            for item in missing:
                fed = checksums(batch[item.view]) if items else None
                item.shelf.put(batch["index"], self._number(item, view), scene(item.source), fed)

    def _answers(self, batch: Batch, items: list[Stored]) -> Scene:
        device = self.cast.device
        seen = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
        with quiet(self.cast), torch.no_grad():
            return observe(self.cast, seen, [item.source for item in items], shorten=True)


def _named(items: list[Stored]) -> str:
    return " and ".join(str(item.source) for item in items)


def _note(tally: Path | None, count: int) -> None:
    if tally is not None and count:
        tally.parent.mkdir(parents=True, exist_ok=True)
        with tally.open("a", encoding="utf-8") as file:
            file.write(f"{count}\n")


def tallied(tally: Path) -> int:
    """How many samples were asked according to a tally; a line that was cut by a kill is passed over."""
    try:
        lines = tally.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return sum(int(line) for line in lines if line.isdecimal())


def _fresh() -> torch.Generator:
    """Other rows in every run: what is rare is met in the end."""
    return torch.Generator().manual_seed(secrets.randbits(62))
