"""What all pages share: template, style, script and the policy that lets only our own script run."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent


def fill(template: str, live: str = "", **values: Any) -> str:
    """A page's HTML. live: the state it shows, for a page that is served and asks its server for newer ones."""
    script = _asset("page.js") + (_asset("watch.js") if live else "")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    return _templates().get_template(template).render(
        policy=policy + ("; connect-src 'self'" if live else ""),
        style=Markup(_asset("page.css")),
        script=Markup(script),
        live=live,
        **values,
    )  # fmt: skip


def figure(svg: str, title: str, keys: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """A chart as the templates need it."""
    return {"svg": Markup(svg), "title": title, "keys": keys or [], "boxes": False}


@cache
def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
