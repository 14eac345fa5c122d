"""What must be kept: a latency, a size, a score, a time; read from words such as 5ms, 1MB, 0.9, 30m."""

from dataclasses import dataclass

from limbeck.cards.words import bytes_words, number
from limbeck.errors import UserError
from limbeck.files.units import parse_seconds as parse_seconds
from limbeck.files.units import parse_size as parse_size
from limbeck.shrinking.schema import LimitsFile


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
