"""A device budget in, a measured student out: candidates measured before training, the fitting ones searched, one chosen."""

from limbeck.shrink.candidates import Candidate, parse_candidates
from limbeck.shrink.limits import Limits, parse_seconds, parse_size
from limbeck.shrink.search import Search

__all__ = [
    "Candidate",
    "Limits",
    "Search",
    "parse_candidates",
    "parse_seconds",
    "parse_size",
]
