"""Distillation in one call: a run from its settings to its card and page."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from limbeck.cards.build import build
from limbeck.cards.model_card import write_model_card
from limbeck.data import Data, from_datasets
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.plan import Method
from limbeck.plan.roles import Adapter
from limbeck.report.page import write_report
from limbeck.runs.events import Listener, silent
from limbeck.runs.folder import finished, open_folder
from limbeck.runs.session import Finished, Session
from limbeck.runs.settings import Recipe, make
from limbeck.runs.sharing import Apart
from limbeck.runs.sources import Given, open_sources


@dataclass(frozen=True)
class Result:
    """What `distill` gives back: the student in evaluation mode, the card, and the run's folder."""

    student: nn.Module
    card: Mapping[str, Any]
    folder: Path


def distill(
    teacher: nn.Module | None,
    student: nn.Module,
    train: Any,
    validation: Any = 0.1,
    test: Any = None,
    *,
    method: Method | None = None,
    roles: Mapping[str, nn.Module] | None = None,
    adapters: Mapping[str, Adapter] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    alpha: float = 0.5,
    baseline: bool = True,
    onnx: bool = True,
    augment: str = "",
    listen: Listener = silent,
    **train_settings: Any,
) -> Result:
    """Distil `teacher` into `student` (trained in place) and measure both beside an undistilled twin.

    Args:
        teacher: a trained module, or None for methods without one. It is frozen, never changed.
        student: any module from inputs to logits (n, C), or (n, C, h, w) where the data has masks.
        train: `limbeck.data.Data`, or a Dataset of (input, label), or a pair of tensors (inputs, labels).
        validation: share of train to hold out, or a Dataset. test: a Dataset; without it the held-out part is reported.
        method: a value such as `limbeck.methods.kd(temperature=4)`, which is also the default.
        roles: modules of further roles (peers, assistants, more teachers) by name.
        adapters: how a role eats a batch, by role, where a plain call will not do.
        out: the run folder, a new one under runs/ by default; resume goes on in an unfinished one.
        train_settings: epochs, batch, optimizer, lr, momentum, weight_decay, schedule, clip, accumulate, precision.

    Raises `UserError` (a `ValueError`) with one sentence if something given cannot be used.
    """
    from limbeck.methods import kd

    method = method or kd()
    data = train if isinstance(train, Data) else from_datasets(train, validation=validation, test=test)
    if "test" not in data.partitions and "validation" not in data.partitions:
        raise UserError("nothing to measure on: give test=, or validation= a share above 0")
    given = {"student": student, **({"teacher": teacher} if teacher is not None else {}), **(roles or {})}
    settings = {
        "seed": seed,
        "alpha": alpha,
        "baseline": baseline,
        "onnx": onnx,
        "data": {"name": data.name, "augment": augment},
        "method": {"name": method.name or "own", "arguments": _plain(method.arguments)},
        "train": train_settings,
        "roles": {name: {"model": _python(module)} for name, module in (roles or {}).items()},
        "student": {"model": _python(student)},
    } | ({"teacher": {"model": _python(teacher)}} if teacher is not None else {})
    recipe = make(settings, "distill(...)")
    folder = open_folder(None if out is None else Path(out), recipe, resume)
    sources = open_sources(recipe, method=method, data=data, given=Given(given, adapters or {}), listen=listen)
    left = last(Session(sources, folder, listen).steps())
    card = {} if left is None else conclude(left, listen)
    deployed = student if left is None or method.deploys == "student" else left.entries["student"]
    return Result(deployed.eval(), card, folder)


def conclude(left: Finished, listen: Listener = silent) -> dict[str, Any]:
    """Measure, export and show what a run's training left; returns the card."""
    card = build(left, listen)
    write_report(left.folder)
    write_model_card(left.folder)
    return card


def running(
    recipe: Recipe, folder: Path, listen: Listener = silent, shared: Apart | None = None, data: Data | None = None
) -> Generator[None, None, dict[str, Any]]:
    """A whole run by its recipe, or what is left of it, stopping after every training step so that several can take turns.

    Returns the card; {} in a process that only helps to train.
    """
    left = yield from Session(open_sources(recipe, data=data, shared=shared, listen=listen), folder, listen).steps()
    return {} if left is None else conclude(left, listen)


def run(recipe: Recipe, folder: Path, listen: Listener = silent, data: Data | None = None) -> dict[str, Any]:
    """A whole run by its recipe, or what is left of it; returns the card. A finished run's is read, not made again."""
    return finished(folder) or last(running(recipe, folder, listen, data=data))


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items() if v is not None}


def _python(module: nn.Module) -> str:
    return f"python object of class {type(module).__module__}.{type(module).__qualname__}"
