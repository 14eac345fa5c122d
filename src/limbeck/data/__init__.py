"""Data: named partitions of numbered samples, replayable views of them, and batches by number."""

from limbeck.data.batches import Batch, Batches, Mixture
from limbeck.data.core import Data, Partition
from limbeck.data.datasets import load, names
from limbeck.data.given import from_datasets
from limbeck.data.streams import Streams
from limbeck.data.understood import understood
from limbeck.data.views import View, parse, to_float

__all__ = [
    "Batch",
    "Batches",
    "Data",
    "Mixture",
    "Partition",
    "Streams",
    "View",
    "from_datasets",
    "load",
    "names",
    "parse",
    "to_float",
    "understood",
]
