"""A drawing from a run's folder, written anew from the few elements and attributes that ours have: nothing else gets through."""

import re
from html import escape
from xml.parsers import expat

from limbeck.catalogue.diagram import STYLE

ELEMENTS = {"svg", "title", "desc", "style", "rect", "path", "g", "text", "circle"}
ATTRIBUTES = {
    "class", "x", "y", "width", "height", "rx", "r", "cx", "cy", "d", "transform", "viewBox", "fill", "role",
    "aria-labelledby", "id",
}  # fmt: skip
VALUE = re.compile(r"[\w .,:+\-]*|(translate|rotate)\([\d .,+\-]*\)|var\(--\w\)")
IDS = {"lbk-title", "lbk-desc"}
DEEPEST, LARGEST = 30, 4_000_000  # nested elements, characters


def drawing(text: str) -> str:
    """The drawing as SVG that is safe to show; "" if it has anything that ours have not."""
    copy = _Copy()
    parser = expat.ParserCreate(namespace_separator=None)
    parser.StartElementHandler, parser.EndElementHandler = copy.start, copy.end
    parser.CharacterDataHandler = copy.text
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = parser.StartCdataSectionHandler = _refuse
    parser.CommentHandler = _refuse
    try:
        if len(text) > LARGEST:
            return ""
        parser.Parse(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace"), True)
    except (expat.ExpatError, ValueError):
        return ""
    return "".join(copy.parts)


def _refuse(*_: object) -> None:
    raise ValueError("not part of a drawing of ours")


class _Copy:
    """Writes down again what is known, and stops at the first thing that is not."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.open: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        top = not self.parts
        if name not in ELEMENTS or (name == "svg") != top or len(self.open) > DEEPEST or self.open[-1:] == ["style"]:
            _refuse()
        own = {key: value for key, value in attributes.items() if not (key == "xmlns" and top)}
        for key, value in own.items():
            if key not in ATTRIBUTES or not VALUE.fullmatch(value) or (key == "id" and value not in IDS):
                _refuse()
        words = "".join(f' {key}="{escape(value)}"' for key, value in own.items())
        self.parts.append(f"<{name}{words}>" + (STYLE if name == "style" else ""))
        self.open.append(name)

    def end(self, name: str) -> None:
        self.open.pop()
        self.parts.append(f"</{name}>")

    def text(self, words: str) -> None:
        if self.open[-1:] != ["style"]:  # how it looks is ours to say
            self.parts.append(escape(words))
        elif "@import" in words or "url(" in words:
            _refuse()
