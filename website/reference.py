"""The API reference: a page for `limbeck` itself and for each of its public parts, every public name on it."""

import importlib
import inspect
from types import ModuleType

import limbeck
from website.layout import PARTS


def pages() -> dict[str, str]:
    """Pages of directives that mkdocstrings fills from the sources."""
    found = {"reference/limbeck.md": _page("limbeck", limbeck, limbeck.__all__)}
    for part in PARTS:
        module = importlib.import_module(f"limbeck.{part}")
        found[f"reference/{part}.md"] = _page(f"limbeck.{part}", module, public(module))
    return found


def public(module: ModuleType) -> list[str]:
    """The names that a module hands out."""
    return list(getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]))


def _page(title: str, module: ModuleType, names: list[str]) -> str:
    first = (inspect.getdoc(module) or "").partition("\n\n")[0]
    parts = [f"# {title}\n\n{' '.join(first.split())}\n"]
    for name in sorted(names, key=str.lower):
        value = getattr(module, name)
        if inspect.ismodule(value) or name.startswith("__"):
            continue
        home = getattr(value, "__module__", None)
        if home and home.startswith("limbeck") and (inspect.isclass(value) or inspect.isfunction(value)):
            parts.append(f"## {name}\n\n::: {home}.{value.__qualname__}\n")
        else:
            parts.append(f"## {name}\n\n`{title}.{name}`: {_plain(value)}\n")
    return "\n".join(parts)


def _plain(value: object) -> str:
    """A value that has no page of its own, in a few words."""
    kind = type(value).__name__
    if callable(value) or kind in ("GenericAlias", "UnionType", "_LiteralGenericAlias", "TypeVar"):
        return f"`{value}`".replace("limbeck.", "")
    return f"a value of type `{kind}`."
