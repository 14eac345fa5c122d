"""Options of the command line that are settings of a recipe; help, range and default are the schema's."""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Concatenate, Literal, ParamSpec, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from limbeck.cli.command import Trust
from limbeck.errors import UserError
from limbeck.files import saved
from limbeck.runs import recipes
from limbeck.runs.settings import MethodSettings, ModelSettings, Recipe

P = ParamSpec("P")
GROUPS = {"data": "Data", "teacher": "Models", "student": "Models"} | dict.fromkeys(("method", "train", "store"), "Training")
OPTIONS = {  # settings that have an option of their own; --set reaches all others
    "data.name": "data",
    "data.path": "data-path",
    "data.task": "task",
    "data.augment": "augment",
    "data.views": "views",
    "teacher.model": "teacher",
    "teacher.weights": "teacher-weights",
    "teacher.answers": "teacher-answers",
    "student.model": "student",
    "student.weights": "student-weights",
    "student.start": "student-start",
    "method.name": "method",
    "train.epochs": "epochs",
    "train.batch": "batch",
    "train.lr": "lr",
    "store.limit_gb": "store-limit",
    "seed": "seed",
    "alpha": "alpha",
    "baseline": "baseline",
    "tensorboard": "tensorboard",
    "onnx": "onnx",
    "device": "device",
}


@dataclass(frozen=True)
class SettingOption:
    """A setting that has an option of its own: path in the recipe, option's name, type, help and group of the help page."""

    path: str
    option: str
    kind: type
    help: str
    group: str

    @property
    def parameter(self) -> inspect.Parameter:
        flags = f"--{self.option}/--no-{self.option}" if self.kind is bool else f"--{self.option}"
        info = typer.Option(flags, help=self.help, rich_help_panel=self.group, show_default=False, metavar=self.metavar)
        kind = Annotated[self.kind | None, info]  # type: ignore[name-defined]
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)

    @property
    def metavar(self) -> str | None:
        return {str: "TEXT", int: "N", float: "NUMBER"}.get(self.kind)

    @property
    def name(self) -> str:
        return self.option.replace("-", "_")


def settings() -> list[SettingOption]:
    """Every setting that has an option, in the order of the help page."""
    return [_setting(path, option) for path, option in OPTIONS.items()]


def _setting(path: str, option: str) -> SettingOption:
    model: type[BaseModel] = Recipe
    own: BaseModel = Recipe()
    *groups, key = path.split(".")
    for group in groups:
        own = getattr(own, group)
        model = type(own)
    field, usual = model.model_fields[key], getattr(own, key)
    return SettingOption(
        path, option, _plain(field), str(field.description) + _bounds(field, usual), GROUPS.get(path.partition(".")[0], "Run")
    )


def _plain(field: FieldInfo) -> type:
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return str
    return kinds[0] if isinstance(kinds[0], type) else str


def _bounds(field: FieldInfo, default: object) -> str:
    words = {"gt": "above {}", "ge": "at least {}", "lt": "below {}", "le": "at most {}"}
    limits = [(key, getattr(limit, key)) for limit in field.metadata for key in words if getattr(limit, key, None) is not None]
    text = ", ".join(words[key].format(value) for key, value in limits)
    usual = ("yes" if default else "no") if isinstance(default, bool) else "" if default is None else f"{default}"
    usual = "" if usual and str(field.description).endswith(f" {usual}") else usual  # the words say it already
    found = [text] * bool(text) + [f"default {usual}"] * bool(usual)
    return f" ({'; '.join(found)})" if found else ""


FileOption = Annotated[Path | None, typer.Option("--recipe", help="settings in TOML; options win", rich_help_panel="Run")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="any other setting: train.schedule=cosine", rich_help_panel="Run"),
]


Command = Callable[Concatenate[Recipe, P], None]


def takes_settings(*, leave: tuple[str, ...] = (), table: str = "") -> Callable[[Command[P]], Callable[..., None]]:
    """Give a command the options of a recipe; it is called with the checked recipe in front.

    leave: paths of settings that the command decides itself. table: a table of the file that is the command's own; it is given
    as the argument of that name.
    """

    def decorate(command: Command[P]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != table][1:]
        offered = [setting for setting in settings() if setting.path not in leave]
        keyword = inspect.Parameter.KEYWORD_ONLY
        shared = [setting.parameter for setting in offered]
        shared.append(inspect.Parameter("recipe_file", keyword, default=None, annotation=FileOption))
        shared.append(inspect.Parameter("trust", keyword, default=False, annotation=Trust))
        shared.append(inspect.Parameter("set_words", keyword, default=None, annotation=SetOption))
        parameters = [*shared, *(p.replace(kind=keyword) for p in own)]

        def read(given: dict[str, object]) -> Recipe:
            """The recipe that the options make; they are taken out of `given`."""
            file, words, trust = given.pop("recipe_file"), given.pop("set_words"), bool(given.pop("trust"))
            chosen = {s.path: value for s in offered if (value := given.pop(s.name)) is not None}
            known = recipes.load(file) if isinstance(file, Path) else {}
            if table:
                given[table] = known.pop(table, {})
            return recipe_of(chosen, known, words, "the settings" if file is None else str(file), trust)

        @functools.wraps(command)
        def called(**given: object) -> None:
            recipe = read(given)
            command(recipe, **given)  # type: ignore[arg-type, call-arg]

        called.read = read  # type: ignore[attr-defined]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        return called

    return decorate


def recipe_of(
    chosen: Mapping[str, object], known: Mapping[str, object], words: object, where: str, trust: bool = False
) -> Recipe:
    """The checked recipe of a command: the file first, then models and method, then single settings.

    chosen: values by the path of their setting. known: the file's settings. words: of `--set`, KEY=VALUE each.
    trust: let models that the file names run their code; what is typed needs no trust.
    """
    given = dict(known)
    for path in ("teacher.model", "student.model", "method.name"):
        head, _, key = path.partition(".")
        named = given.get(head)
        if path in chosen and (not isinstance(named, Mapping) or named.get(key) != chosen[path]):
            _forget_tokenizer(given, named)
            given[head] = {key: chosen[path]}  # it takes the place of the recipe's, arguments and weights included
    for path, value in chosen.items():
        recipes.assign(_with_role(given, path), path, value)
    filed = copy.deepcopy(given)
    for word in words if isinstance(words, list) else []:
        _set(given, word)
    if trust:
        _trust_folders(given)
    recipe = recipes.make(given, where)
    if known:
        typed = {str(value) for path, value in chosen.items() if path.endswith((".model", "data.name"))} | _models_typed(words)
        recipes.need_trust(_of_file(recipe, filed), where, trust, typed, recipe.data)
    return recipe


def _trust_folders(given: dict[str, object]) -> None:
    """What loading a folder of code or of pickled weights needs is set, so that the run's recipe says so."""
    roles = {path: given.get(path) for path in ("teacher", "student")}
    roles |= {f"roles.{name}": group for name, group in _mapping(given.get("roles")).items()}
    for path, group in roles.items():
        for name, value in saved.trusted(str(_mapping(group).get("model", ""))).items():
            if name not in _mapping(_mapping(group).get("arguments")):
                recipes.assign(given, f"{path}.arguments.{name}", value)


def _forget_tokenizer(given: dict[str, object], model: object) -> None:
    """A model's tokenizer, which a recipe's data got from it, goes with it."""
    data = given.get("data")
    own = saved.tokenizer_of(str(_mapping(model).get("model", "")))
    if own is not None and isinstance(data, dict) and data.get("tokenizer") == own:
        del data["tokenizer"]


def _of_file(recipe: Recipe, filed: Mapping[str, object]) -> dict[str, ModelSettings]:
    """The models of a recipe with the arguments that were not typed."""
    found = {}
    for role, settings in recipe.models.items():
        group = filed.get(role) or _mapping(filed.get("roles")).get(role)
        found[role] = settings.model_copy(update={"arguments": dict(_mapping(_mapping(group).get("arguments")))})
    return found


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _models_typed(words: object) -> set[str]:
    """The models and the data that `--set` names."""
    pairs = [word.partition("=") for word in words] if isinstance(words, list) else []
    return {str(recipes.parse_value(value)) for key, _, value in pairs if key.endswith((".model", "data.name", "data.metric"))}


def _with_role(given: dict[str, object], path: str) -> dict[str, object]:
    """A recipe's teacher or student whose settings are changed starts from the default one."""
    head = path.partition(".")[0]
    if head in ("teacher", "student") and head not in given:
        given[head] = Recipe().model_dump(exclude_none=True)[head]
    return given


def _set(given: dict[str, object], word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"--set {word!r}: write KEY=VALUE, for example --set train.schedule=cosine")
    head, _, rest = key.partition(".")
    groups: dict[str, type[BaseModel]] = {"method": MethodSettings, "teacher": ModelSettings, "student": ModelSettings}
    known = groups.get(head)
    if known is not None and rest and rest.partition(".")[0] not in known.model_fields:
        key = f"{head}.arguments.{rest}"  # method.temperature means method.arguments.temperature
    recipes.assign(_with_role(given, key), key, recipes.parse_value(value))
