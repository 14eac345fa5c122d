"""Recipes: settings as TOML text and as nested mappings, checked before anything starts; what a file may name."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from limbeck.errors import UserError, unknown
from limbeck.files.programs import is_program
from limbeck.runs.settings import DataSettings, ModelSettings, Recipe


def make(settings: Mapping[str, object], where: str = "the recipe") -> Recipe:
    """Check a nested mapping of settings; the first mistake is reported in one sentence, with the closest key."""
    try:
        return Recipe.model_validate(dict(settings))
    except ValidationError as error:
        raise _sentence(error, where) from None


def _sentence(error: ValidationError, where: str) -> UserError:
    errors = error.errors()  # a misspelt key tells more than the missing key it causes
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    path = ".".join(str(step) for step in first["loc"])
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ValueError) and not path:  # of settings that do not go together, in a sentence of ours
        return UserError(str(cause))
    if first["type"] == "extra_forbidden":
        *parents, key = first["loc"]
        return unknown(f"setting in {where}:", path, [".".join(map(str, [*parents, k])) for k in _keys(parents, str(key))])
    if first["type"] == "missing":
        return UserError(f"{where}: {path} is missing; set it")
    return UserError(f"{where}: {path} = {first['input']!r} cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}")


def _keys(parents: Sequence[object], key: str) -> list[str]:
    kind: type[BaseModel] = Recipe
    for step in parents:
        field = kind.model_fields.get(str(step))
        group = field.annotation if field is not None else None
        kind = group if isinstance(group, type) and issubclass(group, BaseModel) else ModelSettings
    return list(kind.model_fields)


def load(path: Path) -> dict[str, object]:
    """A TOML recipe as a nested mapping; `make` checks it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"cannot read the recipe {path}: {error.strerror}; give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None


def read(folder: Path, *, trust: bool = False, typed: Collection[str] = ()) -> Recipe:
    """The recipe of a run's folder, checked; `need_trust` says which models it may name."""
    path = folder / "recipe.toml"
    recipe = make(load(path), str(path))
    need_trust(recipe.models, path, trust, typed, recipe.data)
    return recipe


def need_trust(
    models: Mapping[str, "ModelSettings"],
    where: object,
    trust: bool,
    typed: Collection[str] = (),
    data: DataSettings | None = None,
) -> None:
    """Refuse models by role, and data, that a file names and that are programs, unless the file is trusted or the user typed the
    name."""
    special = {role: m for role, m in models.items() if ":" in m.model or not all(map(_number, m.arguments.values()))}
    if data is not None and data.program:
        programs = {"data": data.name if is_program(data.name) else None, "metric": data.metric}
        special |= {what: ModelSettings(model=name) for what, name in programs.items() if name is not None}
    if special:
        from limbeck.models import trust as gate

        named = [gate.Named(role, settings.model, settings.arguments) for role, settings in special.items()]
        gate.need_trust(named, where, trust, typed)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def dump(recipe: Recipe) -> str:
    """The resolved recipe as TOML text that `load` and `make` read back to an equal one."""
    import tomli_w

    made = recipe.model_dump(mode="json", exclude_none=True)
    decided = {key: value for key, value in made.pop("decided").items() if value}
    return tomli_w.dumps(made | ({"decided": decided} if decided else {}))


def assign(settings: dict[str, object], path: str, value: object) -> None:
    """Set `train.epochs` or the like in a nested mapping."""
    *parents, key = path.split(".")
    for step in parents:
        group = settings.setdefault(step, {})
        if not isinstance(group, dict):
            raise UserError(f"setting {path!r}: {step!r} is a value, not a group of settings; check the key")
        settings = group
    settings[key] = value


def parse_value(text: str) -> object:
    """A value from the command line: TOML if it parses (numbers, lists, true), otherwise a string."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
