"""Distillation and training from Python in one call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Never

import numpy as np
from torch import Tensor, nn

from limbeck import methods
from limbeck.cards.schema import Card
from limbeck.data import Data, answers, from_datasets
from limbeck.data.given import Samples as Arrays
from limbeck.engine.turns import last
from limbeck.errors import UserError, unknown
from limbeck.face.run import conclude
from limbeck.models.answers import Answers
from limbeck.models.black_box import Predicts, asked
from limbeck.plan import Method
from limbeck.plan.copies import flags_kept
from limbeck.plan.roles import Adapter
from limbeck.runs.events import Listener, silent
from limbeck.runs.folder import open_folder
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.settings import Recipe, StoreSettings, TrainSettings
from limbeck.runs.sources import Given, open_sources
from limbeck.tasks import Task, task_of

Samples = Data | Arrays
"""Loaded data, a map-style Dataset of (input, label), or a pair of arrays (inputs, labels)."""

ELSEWHERE = {  # what other libraries call a setting -> what it is called here
    "learning_rate": "lr",
    "batch_size": "batch",
    "num_epochs": "epochs",
    "max_epochs": "epochs",
    "num_train_epochs": "epochs",
    "optim": "train=Train(optimizer=...)",
    "lr_scheduler_type": "train=Train(schedule=...)",
    "gradient_accumulation_steps": "train=Train(accumulate=...)",
    "max_grad_norm": "train=Train(clip=...)",
    "random_state": "seed",
    "output_dir": "out",
    "temperature": "method=methods.kd(temperature=...)",
    "callbacks": "listen",
    "val_data": "validation",
    "valid": "validation",
    "early_stopping": "",
}


@dataclass(frozen=True)
class Result:
    """What `distill` and `train` give back.

    student: from inputs to logits; the module given, with the flags (training, requires_grad) that it came with, or what a method
    deploys instead of it, in evaluation mode. card: as in card.json; {} in a process that only helps to train. folder: of the
    run, with its page `report.html`.
    """

    student: nn.Module
    card: Card
    folder: Path


def distill(
    teacher: nn.Module | Predicts | Callable[[np.ndarray], object] | np.ndarray | Tensor | None,
    student: nn.Module,
    data: Samples,
    *,
    validation: float | Arrays = 0.1,
    test: Arrays | None = None,
    task: str | Task | None = None,
    method: Method | None = None,
    start: Literal["random", "teacher"] = "random",
    roles: Mapping[str, nn.Module] | None = None,
    adapters: Mapping[str, Adapter] | None = None,
    epochs: float | None = None,
    lr: float | None = None,
    batch: int | None = None,
    seed: int = 0,
    augment: str = "",
    views: int | None = None,
    train: TrainSettings | None = None,
    store: StoreSettings | None = None,
    baseline: bool = True,
    equal_time: bool = False,
    alpha: float = 0.5,
    onnx: bool = True,
    tensorboard: bool = False,
    device: Literal["auto", "cpu"] = "auto",
    checkpoint_seconds: float = 60.0,
    out: str | Path | None = None,
    resume: bool = False,
    listen: Listener = silent,
    **unknown: Never,
) -> Result:
    """Distil `teacher` into `student` (trained in place) and measure both beside an undistilled twin.

    Parameters that come with requires_grad = False are never trained, and layers that come in evaluation mode in a student that
    is in training mode stay in it. All modules are given back with the flags that they came with, however the call ends.

    Args:
        teacher: a trained module, or None for methods without one. It is frozen, never changed. Also an estimator with
            `predict_proba` or `predict` (scikit-learn's and others'), or a function from arrays (n, ...) to probabilities or
            logits (n, C): inputs are those of `data`, pictures on the scale 0 .. 1; layers of it cannot be read. Or its answers:
            an array (n, C) of probabilities, logits or votes, or (n,) of classes, a row for each sample in order.
        student: any module from inputs to logits (n, C), or (n, C, h, w) where the data has masks.
        data: the training samples: `limbeck.data.Data` (then with its own validation and test parts), a Dataset of
            (input, label), or a pair of arrays (inputs, labels).
        validation: share of them to hold out (0 to below 1), or samples. test: samples; without them the held-out part is
            reported.
        task: what is answered, where `data` does not say: a name such as "embed", with which teacher and student are encoders and
            `data` may be inputs alone, or a value such as `limbeck.tasks.tags()`.
        method: a value such as `limbeck.methods.kd(temperature=4)`, which is also the default (without labels,
            `embedding_match`).
        start: "teacher" gives the student the teacher's layers before training, as far as names, places and shapes match; the
            baseline is then trained from both starts. "random": the student starts as it was given.
        roles: modules of further roles (peers, assistants, more teachers) by name.
        adapters: how a role takes a batch, by role, where a plain call will not do.
        epochs (above 0), lr (above 0), batch (from 1): in place of those in `train`.
        augment: views of samples, as `crop,flip,cutout:8`. views: how many of each sample repeat, if not a new one per epoch.
        train: optimiser, schedule, precision and whatever else `Train` has. store: where a teacher's answers are kept, or
            `Store(use=False)`.
        baseline: also train a twin of the student on the labels alone. equal_time: and one for as long as the student took.
        alpha: weight of size against accuracy in the distillation score, 0 .. 1.
        onnx: export the student to ONNX, reload it and compare its predictions. tensorboard: also log to TensorBoard.
        checkpoint_seconds: between checkpoints, at least 0.
        out: the run folder, a new one under runs/ by default; resume continues an unfinished one.
        listen: called with each event of `limbeck.runs.events`.

    Raises `UserError` (a `ValueError`) with one sentence if something given cannot be used.
    """
    _need_known("distill", unknown)
    samples = _data_of(data, validation, test, task)
    chosen = method or methods.make(samples.task.method, {})
    if teacher is not None and not isinstance(teacher, nn.Module):
        teacher = _answering(teacher, samples)
    given = {"student": student, **({"teacher": teacher} if teacher is not None else {}), **(roles or {})}
    fit = {key: value for key, value in (("epochs", epochs), ("lr", lr), ("batch", batch)) if value is not None}
    teachers = {"teacher": {"model": _python(teacher)}} if teacher is not None else {}
    settings: dict[str, object] = {
        "seed": seed,
        "alpha": alpha,
        "baseline": baseline,
        "equal_time": equal_time,
        "onnx": onnx,
        "tensorboard": tensorboard,
        "device": device,
        "checkpoint_seconds": checkpoint_seconds,
        "data": {"name": samples.name, "augment": augment, "views": views},
        "method": {"name": chosen.name or "own", "arguments": _plain(chosen.arguments)},
        "train": (train or TrainSettings()).model_dump() | fit,
        "store": (store or StoreSettings()).model_dump(),
        "roles": {name: {"model": _python(module)} for name, module in (roles or {}).items()},
        "student": {"model": _python(student), "start": start},
        **teachers,
    }
    recipe = make(settings, "distill(...)")
    with open_folder(None if out is None else Path(out), recipe, resume) as folder:
        return _run(recipe, folder, chosen, samples, Given(given, adapters or {}), listen)


def train(
    model: nn.Module,
    data: Samples,
    *,
    validation: float | Arrays = 0.1,
    test: Arrays | None = None,
    adapter: Adapter | None = None,
    epochs: float | None = None,
    lr: float | None = None,
    batch: int | None = None,
    seed: int = 0,
    augment: str = "",
    train: TrainSettings | None = None,
    onnx: bool = False,
    device: Literal["auto", "cpu"] = "auto",
    out: str | Path | None = None,
    resume: bool = False,
    listen: Listener = silent,
    **unknown: Never,
) -> Result:
    """Train a model (in place) on the labels alone: a teacher, or a baseline. Arguments as for `distill`."""
    _need_known("train", unknown)
    return distill(
        None,
        model,
        data,
        validation=validation,
        test=test,
        method=methods.alone(),
        adapters={"student": adapter} if adapter is not None else None,
        epochs=epochs,
        lr=lr,
        batch=batch,
        seed=seed,
        augment=augment,
        train=train,
        baseline=False,
        onnx=onnx,
        device=device,
        out=out,
        resume=resume,
        listen=listen,
    )


def _run(recipe: Recipe, folder: Path, method: Method, data: Data, given: Given, listen: Listener) -> Result:
    with flags_kept(given.modules.values()):
        sources = open_sources(recipe, method=method, data=data, given=given, listen=listen)
        left = last(Session(sources, folder, listen).steps())
        card: Card = {} if left is None else conclude(left, listen)
    if left is None or method.deploys == "student":
        return Result(given.modules["student"], card, folder)
    return Result(left.entries["student"].eval(), card, folder)


def _data_of(data: Samples, validation: float | Arrays, test: Arrays | None, task: str | Task | None = None) -> Data:
    wanted = task_of(task) if isinstance(task, str) else task
    if isinstance(data, Data) and wanted is not None and wanted.name != data.task.name:
        raise UserError(f"the data's task is {data.task.name}; give {wanted.name} where they are loaded: load(..., task=...)")
    found = data if isinstance(data, Data) else from_datasets(data, validation=validation, test=test, task=wanted)
    if "test" not in found.partitions and "validation" not in found.partitions:
        raise UserError("nothing to evaluate on; give test=, or validation= a share above 0")
    return found


def _need_known(call: str, given: Mapping[str, object]) -> None:
    """Refuse a keyword that the call does not have: with its name here if another library has it, else the closest."""
    for name in given:
        if name in ELSEWHERE:
            here = ELSEWHERE[name]
            hint = f"here it is {here}" if here else "there is no early stopping: a run reports its last epoch; set epochs"
            raise UserError(f"{call}() has no {name!r}; {hint}")
        if name in TrainSettings.model_fields:
            raise UserError(f"{call}() takes {name!r} inside train: write train=limbeck.Train({name}=...)")
        if name in StoreSettings.model_fields:
            raise UserError(f"{call}() takes {name!r} inside store: write store=limbeck.Store({name}=...)")
        raise unknown(f"argument of {call}()", name, [*distill.__annotations__][:-2])


def _plain(arguments: Mapping[str, object]) -> dict[str, object]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items() if v is not None}


def _answering(teacher: object, data: Data) -> nn.Module:
    """What is no network as a role: its answers, or whoever gives them."""
    if isinstance(teacher, np.ndarray | Tensor):
        found = answers.given(np.asarray(teacher.detach().cpu() if isinstance(teacher, Tensor) else teacher), data)
        return Answers(found.rows, found.at, "the array", found.said)
    return asked(teacher, data.classes, data.task.name)


def _python(module: nn.Module) -> str:
    return f"python object of class {type(module).__module__}.{type(module).__qualname__}"
