"""Replayable views of a sample: what a spelling such as `crop,flip` makes of it."""

from limbeck.data.views.view import View, parse, to_float

__all__ = ["View", "parse", "to_float"]
