"""The catalogue as facts, read from a generated file so that listing it needs no PyTorch.

`python -m limbeck.catalogue.pages` writes the file. It names the sources it was made from by their hash; where those have
changed since, the facts are computed from the declarations instead: they are never out of date.
"""

import hashlib
import inspect
import json
from pathlib import Path
from typing import TypedDict


class CatalogueEntry(TypedDict):
    """What is known of a method without making it."""

    name: str
    year: int
    paper: str
    place: list[str]
    roles: list[str]
    use: str
    costs: str
    row: dict[str, str]


HERE = Path(__file__).parents[1]
FILE = HERE / "methods" / "catalogue.json"


def facts() -> list[CatalogueEntry]:
    """One entry per method, by name: name, year, paper, place (words), roles, use (when to), costs, row (the general model's
    fields and the costs in brief)."""
    try:
        kept = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    current = kept.get("sources") == sources()
    return kept["methods"] if current else computed()


def sources() -> str:
    """A hash of the declarations, of the facts of what they name, and of what reads them."""
    total = hashlib.sha256()
    parts = ("methods", "losses", "transforms", "connectors", "catalogue")
    for path in (path for part in parts for path in sorted((HERE / part).glob("*.py"))):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def computed() -> list[CatalogueEntry]:
    """The facts, from the declarations."""
    from limbeck.catalogue.costs import costs
    from limbeck.catalogue.describe import as_row
    from limbeck.catalogue.taxonomy import taxonomy
    from limbeck.methods import CATALOGUE

    found: list[CatalogueEntry] = []
    for declare in CATALOGUE.values():
        method = declare()
        place, cost = taxonomy(method), costs(method)
        words = [
            place.knowledge,
            place.scheme + (", self" if place.own else ""),
            place.ratio + (", chain" if place.chain else ""),
        ]
        row = as_row(method) | {"costs": cost.brief}
        found.append(
            CatalogueEntry(
                name=method.name,
                year=method.year,
                paper=method.paper,
                place=words,
                roles=list(method.roles()),
                use=use_of(declare),
                costs=str(cost),
                row=row,
            )
        )
    return found


def use_of(declare: object) -> str:
    """When a method is worth using: the paragraph of its docstring that begins with "Use it when"; "" without one.

    >>> from limbeck.methods import alone
    >>> use_of(alone)[:30]
    'Use it when you want the basel'
    """
    paragraphs = (inspect.getdoc(declare) or "").split("\n\n")
    return next((" ".join(text.split()) for text in paragraphs if text.startswith("Use it when ")), "")


def write() -> None:
    """Write the file anew."""
    from limbeck.files import atomic_write

    with atomic_write(FILE, text=True) as file:
        json.dump({"sources": sources(), "methods": computed()}, file, indent=1, ensure_ascii=False)
        file.write("\n")
