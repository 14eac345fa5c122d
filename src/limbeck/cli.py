"""The command line: words in, one of the library's functions called, words out."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="limbeck",
    help="Distil a trained model into one that fits a device, and prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Text = Annotated[str | None, typer.Option()]


@app.command()
def distill(
    recipe: Annotated[Path | None, typer.Option(help="TOML recipe; options given here win over it")] = None,
    data: Annotated[str | None, typer.Option(help="data set by name, or a path")] = None,
    data_path: Annotated[str | None, typer.Option(help="folder with the data set's files")] = None,
    augment: Annotated[str | None, typer.Option(help="crop,flip,cutout:8,mixup:0.2,randaugment,...")] = None,
    teacher: Annotated[str | None, typer.Option(help="built-in name, package.module:factory, transformers:NAME")] = None,
    teacher_weights: Annotated[str | None, typer.Option(help="safetensors or state_dict file")] = None,
    student: Annotated[str | None, typer.Option(help="like --teacher")] = None,
    student_weights: Annotated[str | None, typer.Option(help="to start from")] = None,
    method: Annotated[str | None, typer.Option(help="a name of `limbeck methods`")] = None,
    epochs: Annotated[float | None, typer.Option()] = None,
    batch: Annotated[int | None, typer.Option()] = None,
    lr: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    alpha: Annotated[float | None, typer.Option(help="weight of size against accuracy in the score")] = None,
    baseline: Annotated[bool | None, typer.Option(help="also train the student alone")] = None,
    tensorboard: Annotated[bool | None, typer.Option(help="also write curves for TensorBoard")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="any setting: train.schedule=cosine, method.temperature=2, student.width=16")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="run folder; default: a new one under runs/")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the unfinished run in --out")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, only the table")] = False,
) -> None:
    """Train teacher (if it has no weights), baseline and student; measure, export and report them."""
    from limbeck import recipe as recipes
    from limbeck.progress import Display
    from limbeck.run import Run, open_folder

    settings: dict[str, Any] = recipes.load(recipe) if recipe is not None else {}
    _choose_model(settings, "teacher", teacher)
    _choose_model(settings, "student", student)
    if method is not None and settings.get("method", {}).get("name") != method:
        settings["method"] = {"name": method}
    chosen = {"data.name": data, "data.path": data_path, "data.augment": augment, "teacher.weights": teacher_weights,
              "student.weights": student_weights, "train.epochs": epochs, "train.batch": batch, "train.lr": lr, "seed": seed,
              "alpha": alpha, "baseline": baseline, "tensorboard": tensorboard}  # fmt: skip
    for key, value in chosen.items():
        if value is not None:
            recipes.assign(settings, key, value)
    for word in set_ or []:
        _set(settings, word)
    checked = recipes.make(settings, str(recipe) if recipe is not None else "the settings")
    folder = open_folder(out, checked, resume)
    with Display(quiet=quiet) as display:
        card = Run(checked, folder, listen=display.hear).go()
    display.show(card, folder)


def _choose_model(settings: dict[str, Any], role: str, name: str | None) -> None:
    """A model named on the command line takes the place of the recipe's, arguments and weights included."""
    if name is not None and settings.get(role, {}).get("model") != name:
        settings[role] = {"model": name}


def _set(settings: dict[str, Any], word: str) -> None:
    from limbeck import recipe as recipes
    from limbeck.errors import UserError

    key, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"--set {word!r}: write KEY=VALUE, for example --set train.schedule=cosine")
    head, _, rest = key.partition(".")
    known = {"method": recipes.MethodSettings, "teacher": recipes.ModelSettings, "student": recipes.ModelSettings}.get(head)
    if known is not None and rest and rest.partition(".")[0] not in known.model_fields:
        key = f"{head}.arguments.{rest}"  # method.temperature means method.arguments.temperature
    if head in ("teacher", "student") and head not in settings:
        settings[head] = recipes.Recipe().model_dump(exclude_none=True)[head]
    recipes.assign(settings, key, recipes.parse_value(value))


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="one method: its abstract view")] = None,
    svg: Annotated[Path | None, typer.Option(help="draw its abstract view into this file")] = None,
    table: Annotated[bool, typer.Option("--table", help="all methods as rows of the general model")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="a setting of the method: temperature=2")] = None,
) -> None:
    """List the catalogue, or show one method: who learns what from whom, when, by which loss."""
    from limbeck import listing

    if name is None:
        listing.catalogue(wide=table)
    else:
        listing.one(name, svg, set_ or [])


@app.command()
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="run folder, or a folder with student.json")] = None,
    model: Annotated[str | None, typer.Option(help="instead of a run: a model by name")] = None,
    weights: Annotated[Path | None, typer.Option(help="its weights")] = None,
    data: Annotated[str | None, typer.Option(help="data set by name, or a path; default: the run's")] = None,
    data_path: Annotated[str | None, typer.Option()] = None,
    mean: Annotated[str | None, typer.Option(help="per channel, with commas; default: the data's")] = None,
    std: Annotated[str | None, typer.Option(help="per channel, with commas; default: the data's")] = None,
    part: Annotated[str, typer.Option(help="train, validation or test")] = "test",
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Accuracy, worst class, calibration and size of a student, or of any model with weights."""
    from limbeck import after

    after.evaluate(run, model, weights, data, data_path, mean, std, part, json_)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="run folder, or a folder with student.json")],
    out: Annotated[Path | None, typer.Option(help="the .onnx file; default: student.onnx in the folder")] = None,
) -> None:
    """Write a student as ONNX, reload it in ONNX Runtime and compare."""
    from limbeck import after

    after.export(run, out)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="run folder")]) -> None:
    """Write the page of a run again, from its folder alone."""
    from limbeck.report.page import write_report

    typer.echo(str(write_report(run)))


@app.command()
def models() -> None:
    """List the built-in networks."""
    from limbeck.models import names

    typer.echo("\n".join(names()))
