"""What a method can be for that its declaration does not show: stated where it is defined, `@method(serves=...)`."""

from typing import Literal, TypedDict

Need = Literal[
    "detection",
    "exits",
    "numbers",
    "other family",
    "privileged",
    "private data",
    "public code",
    "segmentation",
    "strings",
    "text",
    "transfer",
    "unlabelled",
    "wrong labels",
]


class Stated(TypedDict, total=False):
    """What an author may state of a method's place in the taxonomy in the place of what is computed."""

    knowledge: str
    scheme: str
    own: bool
    ratio: str
    chain: bool
    deploys: str
