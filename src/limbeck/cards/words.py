"""Numbers in plain words."""

import math
from collections.abc import Mapping

from limbeck.tasks.figure import known


def item_of(facts: Mapping[str, object]) -> str:
    """What one of the things that a card's models answer is called: a class unless it says otherwise.

    >>> item_of({}), item_of({"task": {"item": "target"}})
    ('class', 'target')
    """
    task = facts.get("task")
    return str(task.get("item") or "class") if isinstance(task, Mapping) else "class"


def capital(words: str) -> str:
    """Words that begin a sentence; a spelling of its own stays.

    >>> capital("mean IoU"), capital("mAP@0.5")
    ('Mean IoU', 'mAP@0.5')
    """
    return words if words[1:2].isupper() else words[:1].upper() + words[1:]


def percent(share: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 in percent; a dash where it is unknown.

    >>> percent(0.9722), percent(None)
    ('97.2 %', '–')
    """
    return "–" if not known(share) else f"{100 * share:.{digits}f} %"


def count(value: float | None) -> str:
    """A whole number with thin spaces between the thousands.

    >>> count(75290)
    '75\\u202f290'
    """
    return "–" if not known(value) else f"{value:,.0f}".replace(",", "\u202f")


def bytes_words(value: float | None) -> str:
    """Bytes in B, kB or MB (of 1000).

    >>> bytes_words(303136)
    '303 kB'
    """
    if not known(value):
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.0f} B"


def number(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant places, without an exponent where it can be helped."""
    if not known(value):
        return "–"
    if value != 0 and (abs(value) >= 1e6 or abs(value) < 1e-4):
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
    text = f"{value:.{min(places, 8)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def seconds_words(value: float | None) -> str:
    """A duration: 12.3 s, 4 min 10 s, 2 h 5 min."""
    if not known(value):
        return "–"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
