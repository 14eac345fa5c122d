"""What all pages share: template, style, script and the policy that lets only our own script run."""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypedDict

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from limbeck.report import marks

HERE = Path(__file__).parent
Cell = str | tuple[str, float | None]  # words, where it matters with the value to sort by


def fill(template: str, live: str = "", **values: object) -> str:
    """A page's HTML. live: the state it shows, for a page that is served and asks its server for newer ones."""
    script = _asset("page.js") + (_asset("runs.js") if template == "runs.html" else "") + (_asset("watch.js") if live else "")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    return _templates().get_template(template).render(
        policy=policy + ("; connect-src 'self'" if live else ""),
        style=Markup(_asset("page.css") + marks.style()),
        script=Markup(script),
        live=live,
        **values,
    )  # fmt: skip


class ChartFigure(TypedDict, total=False):
    """A chart as the templates need it. keys: of its lines; boxes, dots: how these are drawn. wide: over the page's width."""

    svg: Markup
    title: str
    keys: list[dict[str, str]]
    boxes: bool
    dots: bool
    wide: bool


class PageRow(TypedDict, total=False):
    """A row with a name. css: of the mark before it, small: a second line of the name, strong: drawn on a band."""

    name: str
    css: str
    small: str
    strong: bool
    cells: Sequence[Cell]


class PageTable(TypedDict, total=False):
    """A table as the templates need it: the first cell of a row is its name, the others words and a value to sort by.

    caption: what it holds, for those who do not see it. words: what the columns mean, in their order.
    """

    head: list[str]
    rows: Sequence[Sequence[Cell] | PageRow]
    caption: str
    words: list[str]


class PredictionLine(TypedDict):
    """A model's prediction beside a sample."""

    who: str
    text: str
    note: str


class SamplePart(TypedDict):
    """A sample with its label and everyone's prediction; alt: the same in words. picture: an address, "" without one."""

    number: int
    label: str
    predictions: list[PredictionLine]
    alt: str
    picture: str


class PredictionPicture(TypedDict):
    """A model's prediction as a picture, with its words."""

    who: str
    words: str
    picture: str


class MarkedPart(TypedDict):
    """A sample's picture, and everyone's prediction on it."""

    number: int
    picture: str
    predictions: list[PredictionPicture]


class PageSection(TypedDict, total=False):
    """A section of a page as the templates need it; what is absent is not drawn."""

    id: str
    title: str
    note: str
    figures: list[ChartFigure]
    values: PageTable
    wide: bool
    texts: PageTable
    samples: list[SamplePart]
    masks: list[MarkedPart]
    colours: list[dict[str, str]]


def lines(text: object) -> str:
    """A cell's words in lines: what stands in brackets gets a line of its own, a number and its unit stay together.

    >>> lines("98.0 % [96.4, 98.9]")
    '98.0\\xa0%\\n[96.4, 98.9]'
    """
    return re.sub(r"(?<=\d) (?=[%A-Za-z±])|(?<=[<±]) ", "\u00a0", re.sub(r" (?=[\[(])", "\n", str(text)))


def figure(svg: str, title: str, keys: list[dict[str, str]] | None = None) -> ChartFigure:
    """A chart as the templates need it."""
    return {"svg": Markup(svg), "title": title, "keys": keys or [], "boxes": False}


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["lines"] = lines
    return made
