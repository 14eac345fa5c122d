"""What runs of one comparison share when they take turns: the data, its batches, the frozen models, their answers."""

import json
from collections.abc import Callable
from typing import Any

from torch import nn

from limbeck.data import Data
from limbeck.data.batches import Batch
from limbeck.data.streams import Streams
from limbeck.plan.roles import Adapter
from limbeck.plan.shared import Heard
from limbeck.runs.settings import DataSettings, ModelSettings
from limbeck.store.filling import Filling


class Together:
    """Made once for runs that take turns step by step; each run stays what it would be alone, to the bit."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.fillings: list[Filling] = []
        self._data: dict[str, Data] = {}
        self._roles: dict[str, tuple[nn.Module, Adapter]] = {}
        self._streams: dict[str, SharedStreams] = {}

    def data(self, settings: DataSettings, load: Callable[[], Data]) -> Data:
        key = settings.model_dump_json()
        if key not in self._data:
            self._data[key] = load()
        return self._data[key]

    def role(
        self, role: str, settings: ModelSettings, build: Callable[[], tuple[nn.Module, Adapter]]
    ) -> tuple[nn.Module, Adapter]:
        """A model that nobody changes, one for all who name the same weights."""
        key = f"{role} {settings.model_dump_json()}"
        if key not in self._roles:
            self._roles[key] = build()
        return self._roles[key]

    def streams(self, data: Data, **how: Any) -> "SharedStreams":
        key = f"{id(data)} {json.dumps(how, sort_keys=True)}"
        if key not in self._streams:
            self._streams[key] = SharedStreams(data, **how)
        return self._streams[key]


class SharedStreams(Streams):
    """Streams that remember the newest batches, so that all who are at the same position get the same tensors."""

    KEPT = 4

    def __init__(self, data: Data, **how: Any):
        super().__init__(data, **how)
        self._newest: dict[tuple[tuple[str, ...], int], Batch] = {}

    def __call__(self, partitions: tuple[str, ...], position: int) -> Batch:
        key = (partitions, position)
        if key not in self._newest:
            self._newest[key] = super().__call__(partitions, position)
            while len(self._newest) > self.KEPT:
                del self._newest[next(iter(self._newest))]
        return self._newest[key]
