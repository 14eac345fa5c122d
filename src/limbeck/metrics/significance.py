"""Are two methods different? Intervals and paired tests over seeds, corrected for the number of comparisons.

A seed decides initial weights, order and views, the same for every method: results are paired by seed.
Letters: s seeds, m comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, log2, nan, sqrt

import numpy as np
from scipy import special  # not scipy.stats, which takes a second to load
from typing_extensions import TypedDict

from limbeck.errors import UserError

FEWEST = 3  # seeds that can settle anything


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high): Student's t interval over s seeds; low and high are nan for one seed.

    >>> tuple(round(x, 3) for x in mean_interval([1.0, 2.0, 3.0]))
    (2.0, -0.484, 4.484)
    """
    data = np.asarray(values, dtype=float)
    if not len(data):
        return nan, nan, nan
    mean = float(data.mean())
    if len(data) < 2:
        return mean, nan, nan
    half = float(special.stdtrit(len(data) - 1, 0.5 + level / 2) * data.std(ddof=1) / sqrt(len(data)))
    return mean, mean - half, mean + half


class PairedFacts(TypedDict):
    """`Paired` in a file; None where one seed cannot tell."""

    difference: float
    low: float | None
    high: float | None
    p: float | None
    seeds: int
    spread: float | None
    p_corrected: float | None
    level: float


@dataclass(frozen=True)
class Paired:
    """One paired comparison, first minus second: mean difference with its interval, p of a two-sided paired
    t-test (of the sign test, 2^(1-s), where every seed has the same difference), how many seeds; `p_corrected` after
    Holm's correction over all comparisons asked for together, which leaves `level` of the 5 % to this one."""

    difference: float
    low: float
    high: float
    p: float
    seeds: int
    spread: float
    p_corrected: float = nan
    level: float = 0.05

    @property
    def differs(self) -> bool:
        """Whether the corrected p is below 5 %; two seeds settle nothing."""
        return self.seeds >= FEWEST and self.p_corrected < 0.05

    def plain(self) -> PairedFacts:
        """The same as a file holds it."""
        return {
            "difference": self.difference,
            "low": _known(self.low),
            "high": _known(self.high),
            "p": _known(self.p),
            "seeds": self.seeds,
            "spread": _known(self.spread),
            "p_corrected": _known(self.p_corrected),
            "level": self.level,
        }

    @staticmethod
    def of(facts: PairedFacts) -> "Paired":
        """A comparison as a file holds it, back."""
        low, high, p, spread, p_corrected = (
            nan if value is None else value
            for value in (facts["low"], facts["high"], facts["p"], facts["spread"], facts["p_corrected"])
        )
        return Paired(facts["difference"], low, high, p, facts["seeds"], spread, p_corrected, facts["level"])


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def paired(first: Sequence[float], second: Sequence[float]) -> Paired:
    """Compare two methods seed by seed; both in the same order of seeds.

    >>> paired([2.0, 3.0, 4.5], [1.0, 2.0, 3.0]).difference.__round__(3)
    1.167
    """
    if len(first) != len(second):
        raise UserError(f"a paired comparison needs the same seeds on both sides; got {len(first)} and {len(second)} results")
    gaps = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    mean, low, high = mean_interval(gaps.tolist())
    spread = float(gaps.std(ddof=1)) if len(gaps) > 1 else nan
    if spread < 1e-9 * max(1.0, abs(mean)):  # the same difference at every seed, but for rounding
        spread, low, high = 0.0, mean, mean
    if len(gaps) < 2:
        p = nan
    elif spread == 0:
        p = 1.0 if mean == 0 else 2.0 ** (1 - len(gaps))
    else:
        p = float(2 * special.stdtr(len(gaps) - 1, -abs(mean) / (spread / sqrt(len(gaps)))))
    return Paired(mean, low, high, p, len(gaps), spread, p)


def corrected(found: Sequence[Paired]) -> list[Paired]:
    """Holm's step-down correction (Holm 1979): the chance of any false difference stays below the level.

    >>> [round(c.p_corrected, 3) for c in corrected([Paired(1, 0, 2, 0.01, 5, 1), Paired(1, 0, 2, 0.03, 5, 1)])]
    [0.02, 0.03]
    """
    order = sorted((i for i in range(len(found)) if found[i].p == found[i].p), key=lambda i: found[i].p)
    out, highest = list(found), 0.0
    for place, i in enumerate(order):
        left = len(order) - place
        highest = max(highest, min(1.0, found[i].p * left))
        out[i] = replace(found[i], p_corrected=highest, level=0.05 / left)
    return out


def seeds_needed(comparison: Paired, power: float = 0.8, level: float = 0.05, most: int = 1000) -> float:
    """Seeds that would tell this difference apart with the given power, if it is as large as it looks.

    level: of the test that will be made; under a correction it is smaller than 0.05.
    inf if it looks like nothing, or would take more than `most`.

    >>> seeds_needed(Paired(1.0, 0, 2, 0.1, 5, 1.0))
    10
    """
    if comparison.spread == 0:
        return int(1 - log2(level)) + 1 if comparison.difference else inf
    effect = abs(comparison.difference) / comparison.spread
    if not effect or effect != effect:
        return inf
    few, many = FEWEST - 1, FEWEST  # power grows with n: double, then halve
    while _power(effect, many, level) < power:
        if many >= most:
            return inf
        few, many = many, min(2 * many, most)
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if _power(effect, middle, level) >= power else (middle, many)
    return many


def _power(effect: float, n: int, level: float) -> float:
    """Chance that a two-sided paired t-test of n seeds rejects, if the difference is `effect` spreads."""
    bound, shift = special.stdtrit(n - 1, 1 - level / 2), effect * sqrt(n)
    return float(1 - special.nctdtr(n - 1, shift, bound) + special.nctdtr(n - 1, shift, -bound))


__all__ = ["Paired", "corrected", "mean_interval", "paired", "seeds_needed"]
