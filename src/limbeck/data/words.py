"""A text as lines, a sentence as words."""

import re

_WORD = re.compile(r"\w+|[^\w\s]")


def lines(text: str) -> list[str]:
    r"""Lines end at newlines only, not at other characters that Unicode would end one at.

    >>> lines("one\u2028line\r\ntwo\n")
    ['one\u2028line', 'two']
    """
    found = [line.removesuffix("\r") for line in text.split("\n")]
    return found if found[-1] else found[:-1]


def words(sentence: str) -> list[str]:
    """Words in lower case, and punctuation marks by themselves.

    >>> words("Two dogs, running.")
    ['two', 'dogs', ',', 'running', '.']
    """
    return _WORD.findall(sentence.lower())
