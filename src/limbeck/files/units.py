"""Times and sizes as people write them: 5ms, 200kB."""

import re
from collections.abc import Mapping

from limbeck.errors import UserError

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


def _parse(option: str, text: str, units: Mapping[str, float], examples: str) -> float:
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([A-Za-zµ]*)\s*", text)
    unit = found[2] if found else ""
    folded = {name.lower(): value for name, value in units.items()}
    if found is None or not unit or unit.lower() not in folded or float(found[1]) <= 0:
        raise UserError(f"{option} {text!r}: expected a number above 0 with a unit, for example {examples}")
    return float(found[1]) * (units[unit] if unit in units else folded[unit.lower()])
