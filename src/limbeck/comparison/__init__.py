"""Many methods and seeds under one budget: the runs, what they share, their table and verdict."""

from limbeck.comparison.call import compare

__all__ = ["compare"]
