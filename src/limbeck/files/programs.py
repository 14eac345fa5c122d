"""What `package.module:attribute` names: a program of the user's own, which is imported."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from limbeck.errors import UserError, reason, unknown

RESIZED = "limbeck.models.resized:Resized"  # ours, around a network that its arguments name
PIECES = "limbeck.models.pieces:piece"  # likewise
AROUND = (RESIZED, PIECES)


def innermost(model: str, arguments: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """The network that a model of ours is built around, and its arguments; the model itself where it is another.

    Raises `UserError` where the arguments name none.
    """
    for _ in range(8):
        if model not in AROUND:
            return model, arguments
        inside, own = arguments.get("model"), arguments.get("arguments") or {}
        if not isinstance(inside, str) or not isinstance(own, Mapping):
            break
        model, arguments = inside, own
    raise UserError(f"the arguments of {model} name no model: write model and arguments")


def is_program(name: str) -> bool:
    """Whether a name is that of a function: `package.module:function`.

    >>> is_program("my_data:load"), is_program("digits"), is_program("C:/data")
    (True, False, False)
    """
    path, colon, function = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*path.split("."), *function.split(".")))


def is_address(name: str) -> bool:
    """Whether a name is an address.

    >>> is_address("http://localhost:8000/answer"), is_address("my_models:small")
    (True, False)
    """
    return name.startswith(("http://", "https://"))


def find(name: str, what: str = "model") -> Any:
    """Import the module and return the attribute. what: how messages call it.

    Raises:
        UserError: there is no such module or attribute, or importing it failed.
    """
    path, _, attribute = name.partition(":")
    found: Any = _import(path, what)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise unknown(f"attribute of {path}", attribute, [n for n in dir(found) if not n.startswith("_")])
        found = getattr(found, part)
    return found


def _import(path: str, what: str) -> ModuleType:
    added = str(Path.cwd())
    sys.path.append(added)  # a file beside the user, also where the console script's path lacks it
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        missing = error.name or path
        if path == missing or path.startswith(missing + "."):
            advice = "install it, or run from the folder that holds it"
            raise UserError(f"{what}: there is no Python module {missing!r} (looked for {path!r}); {advice}") from error
        raise UserError(f"{what}: importing {path!r} needs the Python module {missing!r}; install it") from error
    except Exception as error:
        raise UserError(f"{what}: importing {path!r} failed with {reason(error)}; correct it") from error
    finally:
        sys.path.remove(added)
