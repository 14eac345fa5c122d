"""Assignments of the general model's fields that no method of the catalogue has: new strategies, each one runnable.

What a method has is read from its declaration, as everywhere; nothing is typed in.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from limbeck.catalogue.lessons import Lesson, kind_of, lessons, transfer_of
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.methods import CATALOGUE
from limbeck.methods.compose import KNOWLEDGE, assignments, compose
from limbeck.plan import Method, Term
from limbeck.plan.taps import Tap, Via, detach, functions_of, leaves
from limbeck.transforms.facts import call_text, plain
from limbeck.transforms.labelling import is_right

FIELDS = ("knowledge", "location", "transfer", "mask", "scheme", "data")
Point = tuple[str, ...]  # one value per field


def points(method: Method) -> set[Point]:
    """Where a method stands: one point per lesson and mentor."""
    place = taxonomy(method)
    scheme = "self" if place.own else place.scheme
    found: set[Point] = set()
    for lesson in lessons(method):
        for leaf in lesson.mentors:
            kind = kind_of(leaf, lesson, method)
            where = "output" if kind == "soft labels" else _location(getattr(leaf, "path", ""))
            found.add((kind, where, transfer_of(lesson.term), _mask(lesson.term), scheme, _data(lesson)))
    return found


def _location(path: str) -> str:
    return "output" if not path else "embedding" if path.endswith("pool") else "middle"


def _mask(term: Term) -> str:
    """An information mask is one that asks a model; which samples have a label is none."""
    if not isinstance(term.mask, Via) or not any(isinstance(leaf, Tap) for leaf in leaves(term.mask)):
        return "all"
    asks = [plain(fn) for fn in functions_of(term.mask) if fn is not detach]
    return "right" if is_right in asks else call_text(asks[0] if asks else term.mask.fn)


def _data(lesson: Lesson) -> str:
    if "unlabelled" in lesson.update.partitions:
        return "unlabelled"
    seen = {leaf.on for source in lesson.term.inputs.values() for leaf in leaves(source) if isinstance(leaf, Tap)}
    return "two views" if len(seen) > 1 else "same"


@dataclass(frozen=True)
class Strategy:
    """A point that nobody stands on: its fields, the nearest method of the catalogue, and the fields that differ."""

    fields: dict[str, str]
    nearest: str
    differs: tuple[str, ...]

    def method(self) -> Method:
        return compose(**self.fields)  # type: ignore[arg-type]

    @property
    def python(self) -> str:
        default = compose().arguments
        return f"methods.compose({', '.join(f'{k}={v!r}' for k, v in self.fields.items() if v != default[k])})"

    @property
    def json(self) -> str:
        return json.dumps({"name": "compose", "arguments": self.fields})


def explored(methods: Iterable[Method]) -> dict[Point, str]:
    """Every point of the methods, with the name of the first one on it."""
    found: dict[Point, str] = {}
    for method in methods:
        for point in sorted(points(method)):
            found.setdefault(point, method.name)
    return found


def strategies() -> list[Strategy]:
    """All assignments that `compose` can run and no method of the catalogue has, the least unusual first: those that differ
    in one field from something that was published, then in two, and so on."""
    known = explored(declare() for name, declare in CATALOGUE.items() if name != compose.__name__)
    near = [(point, name) for point, name in known.items() if point[0] in KNOWLEDGE]
    found = []
    for fields in assignments():
        point = tuple(fields[name] for name in FIELDS)
        if point in known:
            continue
        other, name = min(near, key=lambda pair: sum(a != b for a, b in zip(pair[0], point, strict=True)))
        differs = tuple(field for field, a, b in zip(FIELDS, other, point, strict=True) if a != b)
        found.append(Strategy(fields, name, differs))
    return sorted(found, key=lambda s: len(s.differs))
