"""What goes through a run: batches, and the values that models are given and return."""

from collections.abc import Callable, Mapping
from typing import Any

# A tensor, or tuples, lists and mappings of such, or what a model of the user's returns: only who reads it knows which.
Value = Any
Batch = Mapping[str, Value]
Function = Callable[..., Value]
