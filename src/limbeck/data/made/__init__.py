"""Data that is made when it is loaded: `translation` of line-aligned files; `strings` and `moving` of other data."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from limbeck.data.core import Data
from limbeck.data.made.moving import moving
from limbeck.data.made.pairs import translation
from limbeck.data.made.strings import strung
from limbeck.errors import UserError, unknown

FROM_OTHER: Mapping[str, tuple[Callable[..., Data], str]] = {"strings": (strung, "fsdd"), "moving": (moving, "digits")}
"""Name -> what makes it, and of which data if `of` does not say."""
NAMES = ("translation", *FROM_OTHER)


def make(
    name: str,
    place: Path | None,
    arguments: Mapping[str, object],
    limit: int | None,
    split_seed: int,
    other: Callable[[str], Data],
) -> Data:
    """Return the data of a name in `NAMES`.

    Args:
        place: of the files of a translation. arguments: of the function that makes it; `of` names the other data.
        limit, split_seed: of a translation; other data has been limited when it was loaded.
        other: loads data by name.

    Raises:
        UserError: arguments that are missing, unknown or unfit, or what the function itself refuses.
    """
    given = dict(arguments)
    make_it, usual = FROM_OTHER.get(name, (translation, ""))
    source = str(given.pop("of", usual)) if usual else ""
    if not source and place is None:
        raise UserError(f"data {name!r} needs a path; give the folder with its files, train.de and train.en for example")
    own: dict[str, object] = {"data": None} if source else {"path": place, "limit": limit, "split_seed": split_seed}
    _checked(name, make_it, given, set(own))
    if source:
        own = {"data": other(source)}
    try:
        return make_it(**own, **given)
    except (TypeError, ValueError) as error:
        words = ", ".join(f"{key} = {value!r}" for key, value in given.items())
        raise UserError(f"data {name!r} cannot be made with {words}: {error}") from error


def _checked(name: str, make_it: Callable[..., Data], given: Mapping[str, object], own: set[str]) -> None:
    takes = {key: p for key, p in inspect.signature(make_it).parameters.items() if key not in own}
    for key in given:
        if key not in takes:
            raise unknown(f"argument of data {name!r}", key, takes)
    missing = [key for key, p in takes.items() if p.default is p.empty and key not in given]
    if missing:
        raise UserError(f"data {name!r} needs {' and '.join(missing)}; set data.arguments.{missing[0]}")
