"""A device budget in, a measured student out: candidates measured before training, the fitting ones searched, one chosen."""

from limbeck.shrinking.call import shrink

__all__ = ["shrink"]
