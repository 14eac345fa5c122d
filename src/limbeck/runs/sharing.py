"""What runs of one comparison share: nothing but a teacher's predictions, or data, batches, frozen models and their answers."""

import json
from collections.abc import Callable
from typing import Any

from torch import nn

from limbeck.data import Data
from limbeck.data.batches import Batch
from limbeck.data.streams import Streams
from limbeck.deploy.measure import Latency
from limbeck.plan.roles import Adapter
from limbeck.plan.shared import SharedAnswers
from limbeck.runs.settings import DataSettings, ModelSettings
from limbeck.store.filling import Filling
from limbeck.tasks.predictions import Predictions

Built = tuple[nn.Module, Adapter]


class Apart:
    """For runs that follow one another: each loads and builds its own.

    predictions: of teachers on the judged part, by what they depend on, so that a later run need not ask again.
    latencies: of teachers on this machine, likewise.
    proved: what networks were found to lack on one batch, by their settings.
    answers, fillings: what runs that take turns share of their frozen roles, None here.
    """

    def __init__(self) -> None:
        self.predictions: dict[tuple[object, ...], Predictions] = {}
        self.latencies: dict[tuple[object, ...], Latency] = {}
        self.proved: dict[str, list[str]] = {}
        self.answers: SharedAnswers | None = None
        self.fillings: list[Filling] | None = None

    @property
    def in_turns(self) -> bool:
        """Whether several runs take turns step by step, so that what is shared must stay as it is."""
        return self.fillings is not None

    def data(self, settings: DataSettings, load: Callable[[], Data]) -> Data:
        return load()

    def role(self, role: str, settings: ModelSettings, build: Callable[[], Built]) -> Built:
        return build()

    def streams(self, data: Data, **how: Any) -> Streams:
        return Streams(data, **how)


class Together(Apart):
    """Made once for runs that take turns step by step; each run stays what it would be alone, to the bit."""

    def __init__(self) -> None:
        super().__init__()
        self.answers, self.fillings = SharedAnswers(), []
        self._data: dict[str, Data] = {}
        self._roles: dict[str, Built] = {}
        self._streams: dict[str, Streams] = {}

    def data(self, settings: DataSettings, load: Callable[[], Data]) -> Data:
        key = settings.model_dump_json()
        if key not in self._data:
            self._data[key] = load()
        return self._data[key]

    def role(self, role: str, settings: ModelSettings, build: Callable[[], Built]) -> Built:
        """A model that nobody changes, one for all who name the same weights."""
        key = f"{role} {settings.model_dump_json()}"
        if key not in self._roles:
            self._roles[key] = build()
        return self._roles[key]

    def streams(self, data: Data, **how: Any) -> Streams:
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
