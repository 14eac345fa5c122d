"""`limbeck evaluate`: evaluate a student again, on the run's data or on other data."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from limbeck.cards.build import probed
from limbeck.cli.command import Trust, command_of
from limbeck.cli.console import Plain
from limbeck.data import Batches, Data
from limbeck.deploy.student import Deployed, load_student
from limbeck.deploy.student_file import need_same_data
from limbeck.errors import UserError
from limbeck.face.data import data_of
from limbeck.face.run import glanced
from limbeck.files import json_text, saved
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Tap
from limbeck.runs.recipes import make
from limbeck.runs.sources import reopened
from limbeck.runs.texts import told
from limbeck.tasks.figure import FEW
from limbeck.tasks.predictions import predict


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="run folder, or any folder with student.json")] = None,
    model: Annotated[str | None, typer.Option(help="a model by name, instead of a run")] = None,
    weights: Annotated[Path | None, typer.Option(help="weights file of --model; not needed for a folder that holds them")] = None,
    data: Annotated[str | None, typer.Option(help="data set by name, or a path; default: the run's")] = None,
    data_path: Annotated[str | None, typer.Option(help="folder or file of the data")] = None,
    mean: Annotated[str | None, typer.Option(help="per channel, separated by commas; default: the data's")] = None,
    std: Annotated[str | None, typer.Option(help="per channel, separated by commas; default: the data's")] = None,
    part: Annotated[str, typer.Option(help="train, validation or test")] = "test",
    json_: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    trust: Trust = False,
) -> None:
    """Evaluate a student, or any model with weights: the figures of its task, and its size."""
    if (run is None) == (model is None):
        raise UserError(
            "evaluate takes either a run folder or --model NAME with --weights FILE (or a folder with both); give one"
        )
    notes: list[str] = []
    if run is not None:
        glanced(run)
    chosen = data_of(run, data, data_path, trust=trust, model=model)
    if part not in chosen.partitions:
        raise UserError(f"{chosen.name} has no part {part!r}; it has {', '.join(chosen.partitions)}")
    if run is not None:
        entry, info = load_student(run, trust)
        need_same_data(info, chosen)
    else:
        entry, notes = _bare(str(model), weights, chosen, mean, std, trust)
    if run is not None and chosen.task.headless:
        chosen, notes = _met(run, chosen, part, trust)
    size = min(250, chosen.task.at_once(chosen.shape))
    seen = predict(entry.eval(), Batches(chosen[part], chosen, size=size, seed=0).ordered(), chosen.task)
    seen = probed(seen, entry, chosen)
    example = next(Batches(chosen[part], chosen, size=2, seed=0).ordered())["inputs"]
    facts = {
        "data": chosen.name,
        "part": part,
        "parameters": entry.parameter_count(example),
        **chosen.task.measure(seen, chosen.classes).entry(),
    }
    if notes:
        facts["read"] = notes
    few = _few(chosen, part)
    if few:
        facts["too few to tell"] = few
    if chosen.task.near_chance(seen, len(chosen.classes)):
        facts["warning"] = f"at chance level: usually {chosen.task.amiss}; --mean and --std set the first"
    _print(facts, json_)


def _met(run: Path, data: Data, part: str, trust: bool) -> tuple[Data, list[str]]:
    """The data, whose task knows the answers of the run's teacher to a part; or why they are not known."""
    try:
        cast = reopened(run, trust).cast
        batches = Batches(data[part], data, size=data.task.at_once(data.shape), seed=0).ordered()
        return replace(data, task=data.task.met([predict(Deployed(cast, Tap("teacher")).eval(), batches, data.task)])), []
    except UserError as error:
        return data, [f"not compared with the teacher: {error}"]


def _few(data: Data, part: str) -> list[str]:
    """Classes of which the part has so few samples that a figure within one tells nothing, with their number."""
    labels = data[part].labels
    counts = None if labels is None else data.task.occurrences(labels, len(data.classes))
    return [f"{name} ({count})" for name, count in zip(data.classes, counts or (), strict=False) if 0 < count < FEW]


def _bare(
    model: str, weights: Path | None, data: Data, mean: str | None, std: str | None, trust: bool
) -> tuple[Deployed, list[str]]:
    """A model by name with its weights, and what to know of how its labels were matched with the data's."""
    folder = saved.folder_of(model)
    if weights is None and (folder is None or not saved.weights_in(folder)):
        raise UserError("--model needs --weights FILE; an untrained model is not worth evaluating")
    own = make(
        {
            "teacher": {
                "model": model,
                "weights": None if weights is None else str(weights),
                "arguments": saved.trusted(model) if trust else {},
                "mean": _numbers("--mean", mean),
                "std": _numbers("--std", std),
            }
        }
    ).teacher
    cast = Cast({})
    cast.add("model", *own.build("model", data, seed=0))
    return Deployed(cast, Tap("model")), told("model", model, cast["model"], data, learns=False)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UserError(f"{option} {text!r}: write numbers separated by commas, for example 0.485,0.456,0.406") from None


def _print(facts: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json_text(facts, indent=1))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in facts.items():
        table.add_row(key.replace("_", " "), _text(value))
    Plain().print(table)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " ".join(_text(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


app = command_of(evaluate)
