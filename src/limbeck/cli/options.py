"""The options that commands share, and the checked recipe that they make together."""

from pathlib import Path
from typing import Annotated, Any

import typer

RecipeFile = Annotated[Path | None, typer.Option(help="TOML recipe; options given here win over it")]
DataName = Annotated[str | None, typer.Option(help="data set by name, or a path")]
DataPath = Annotated[str | None, typer.Option(help="folder with the data set's files")]
Augment = Annotated[str | None, typer.Option(help="crop,flip,cutout:8,mixup:0.2,randaugment,...")]
Teacher = Annotated[str | None, typer.Option(help="built-in name, package.module:factory, transformers:NAME")]
TeacherWeights = Annotated[str | None, typer.Option(help="safetensors or state_dict file")]
Student = Annotated[str | None, typer.Option(help="like --teacher")]
StudentWeights = Annotated[str | None, typer.Option(help="to start from")]
MethodName = Annotated[str | None, typer.Option(help="a name of `limbeck methods`")]
Number = Annotated[float | None, typer.Option()]
Whole = Annotated[int | None, typer.Option()]
StoreLimit = Annotated[float | None, typer.Option(help="GiB that stored teacher answers may take; what does not fit runs live")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="any setting: train.schedule=cosine, method.temperature=2, student.width=16")
]

# setting of the recipe -> option of the command line
SETTINGS = {
    "data.name": "data",
    "data.path": "data_path",
    "data.augment": "augment",
    "teacher.weights": "teacher_weights",
    "student.weights": "student_weights",
    "train.epochs": "epochs",
    "train.batch": "batch",
    "train.lr": "lr",
    "seed": "seed",
    "alpha": "alpha",
    "store.limit_gb": "store_limit",
    "baseline": "baseline",
    "tensorboard": "tensorboard",
}


SHRINK = {"max_latency", "max_size", "min_accuracy", "time", "trials", "candidates", "format_", "int8", "threads", "on", "python"}
SHRINK |= {"storage", "guided", "out", "quiet"}  # what is the search's own


def recipe_of(given: dict[str, Any]) -> Any:
    """The checked recipe of a command's options: the file first, then models and method, then single settings."""
    from limbeck.runs import settings as recipes

    path = given["recipe"]
    settings: dict[str, Any] = recipes.load(path) if path is not None else {}
    settings.pop("compare", None) if "methods" in given else None  # the table is `compare`'s own
    _choose_model(settings, "teacher", given["teacher"])
    _choose_model(settings, "student", given["student"])
    if given["method"] is not None and settings.get("method", {}).get("name") != given["method"]:
        settings["method"] = {"name": given["method"]}
    for key, option in SETTINGS.items():
        if given.get(option) is not None:
            recipes.assign(settings, key, given[option])
    for word in given["set_"] or []:
        _set(settings, word)
    return recipes.make(settings, str(path) if path is not None else "the settings")


def _choose_model(settings: dict[str, Any], role: str, name: str | None) -> None:
    """A model named on the command line takes the place of the recipe's, arguments and weights included."""
    if name is not None and settings.get(role, {}).get("model") != name:
        settings[role] = {"model": name}


def _set(settings: dict[str, Any], word: str) -> None:
    from limbeck.errors import UserError
    from limbeck.runs import settings as recipes

    key, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"--set {word!r}: write KEY=VALUE, for example --set train.schedule=cosine")
    head, _, rest = key.partition(".")
    model: Any = recipes.ModelSettings
    known = {"method": recipes.MethodSettings, "teacher": model, "student": model}.get(head)
    if known is not None and rest and rest.partition(".")[0] not in known.model_fields:
        key = f"{head}.arguments.{rest}"  # method.temperature means method.arguments.temperature
    if head in ("teacher", "student") and head not in settings:
        settings[head] = recipes.Recipe().model_dump(exclude_none=True)[head]
    recipes.assign(settings, key, recipes.parse_value(value))
