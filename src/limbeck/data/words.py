"""A sentence as words."""

import re

_WORD = re.compile(r"\w+|[^\w\s]")


def words(sentence: str) -> list[str]:
    """Words in lower case, and punctuation marks by themselves.

    >>> words("Two dogs, running.")
    ['two', 'dogs', ',', 'running', '.']
    """
    return _WORD.findall(sentence.lower())
