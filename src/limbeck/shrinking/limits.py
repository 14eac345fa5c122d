"""What must be kept: a latency, a size, a score, a time; read from words such as 5ms, 1MB, 0.9, 30m."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from limbeck.cards.words import bytes_words, number
from limbeck.errors import UserError
from limbeck.shrinking.schema import LimitsFile

TIMES = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
SIZES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_seconds(option: str, text: str) -> float:
    """Seconds out of words.

    >>> parse_seconds("--max-latency", "800us"), parse_seconds("--time", "1.5 h")
    (0.0008, 5400.0)
    """
    return float(f"{_parse(option, text, TIMES, '5ms, 800us, 30m'):.12g}")  # 800 times a millionth is 0.0008


def parse_size(option: str, text: str) -> int:
    """Bytes out of words.

    >>> parse_size("--max-size", "1MB"), parse_size("--max-size", "64 KiB")
    (1000000, 65536)
    """
    return int(_parse(option, text, SIZES, "1MB, 200kB, 64KiB"))


def parse_share(option: str, text: str) -> float:
    """A share out of `0.9` or `90%`.

    >>> parse_share("--min-score", "90%")
    0.9
    """
    percent = text.strip().endswith("%")
    try:
        value = float(text.strip().rstrip("%")) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"{option} {text!r}: expected a share between 0 and 1, or percent, for example 0.9 or 90%")
    return value


def _parse(option: str, text: str, units: Mapping[str, float], examples: str) -> float:
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([A-Za-zµ]*)\s*", text)
    unit = found[2] if found else ""
    folded = {name.lower(): value for name, value in units.items()}
    if found is None or not unit or unit.lower() not in folded or float(found[1]) <= 0:
        raise UserError(f"{option} {text!r}: expected a number above 0 with a unit, for example {examples}")
    return float(found[1]) * (units[unit] if unit in units else folded[unit.lower()])


@dataclass(frozen=True)
class Limits:
    """Largest latency (seconds, median of one answer), largest size (bytes), least score; None: any."""

    latency: float | None = None
    size: int | None = None
    score: float | None = None

    def plain(self) -> LimitsFile:
        """The same as a file holds it."""
        return {"latency": self.latency, "size": self.size, "score": self.score}

    def broken_by(self, latency_ms: float, size: int) -> list[str]:
        """Which limits a file misses, with the figures."""
        found = []
        if self.latency is not None and latency_ms > 1e3 * self.latency:
            found.append(f"{number(latency_ms)} ms is more than {number(1e3 * self.latency)} ms")
        if self.size is not None and size > self.size:
            found.append(f"{bytes_words(size)} is more than {bytes_words(self.size)}")
        return found

    def excess(self, latency_ms: float, size: int) -> float:
        """How many times the worse of the two limits is exceeded; at most 1 where both are kept."""
        ratios = [latency_ms / (1e3 * self.latency)] if self.latency is not None else []
        return max([*ratios, *([size / self.size] if self.size is not None else [])], default=0.0)
