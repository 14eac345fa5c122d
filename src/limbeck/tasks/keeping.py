"""A run's `predictions.safetensors`: what its models answered, and of which task, so that no reader has to guess."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.tasks.predictions import Predictions

if TYPE_CHECKING:
    from limbeck.tasks.task import Task

FILE = "predictions.safetensors"
STARTED = "baseline-started"
BASELINES = ("baseline", STARTED)
"""The student from labels alone: from its own weights, and from its teacher's layers where the student starts from these."""
LONGER = "baseline-longer"
"""From where the student starts, from labels alone, for as long as the student's training took."""
TWINS = (*BASELINES, LONGER)
WHO = ("teacher", *TWINS, "student")


@dataclass(frozen=True, eq=False)
class Kept:
    """What a run keeps of its models' answers.

    Attributes:
        predictions: by model, in the order of `WHO`: the answers to every judged sample, or to those that are shown only.
        samples: (k, c, h, w) pictures that are shown, or None. at: (k,) their rows in `predictions`.
        counts: (C, C) by model, where answers are counted and not kept.
    """

    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    samples: Tensor | None = None
    at: Tensor | None = None
    counts: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """How many classes the answers are about, where these tell; else 0."""
        wide = (p.answers.shape[1] for p in self.predictions.values() if p.answers.dim() == 2 and p.answers.is_floating_point())
        return max((*wide, *map(len, self.counts.values())), default=0)

    @property
    def other(self) -> str:
        """With whom the student is compared: the teacher, else the baseline, else nobody ("")."""
        return next((who for who in WHO[:2] if who in self.predictions), "") if "student" in self.predictions else ""


def write_predictions(folder: Path, task: "Task", predictions: Mapping[str, Predictions], inputs: Tensor | None) -> None:
    """Keep what models answered in a run's folder. inputs: the judged part's pictures, if it has any."""
    about = {"task": task.name, "settings": json.dumps(task.settings())}
    with atomic_write(folder / FILE) as file:
        file.write(serialise(task.record(predictions, inputs), metadata=about))


def read_predictions(folder: Path) -> tuple["Task", Kept] | None:
    """What `write_predictions` kept, or None where there is no such file.

    Raises:
        UserError: the file is damaged, or of a task that is not installed.
    """
    from limbeck.tasks.registry import task_of

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        task = task_of(about["task"], json.loads(about.get("settings", "{}")))
        return task, task.recall(tensors)
    except UserError:
        raise
    except Exception as error:  # safetensors' errors share no base but Exception
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error


def pick(tensors: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """A record's tensors by model: those that are called `prefix` and the model's name."""
    return {who: tensors[prefix + who] for who in WHO if prefix + who in tensors}


def need(right: bool, what: str = "shapes differ") -> None:
    """Refuse a record that does not fit together."""
    if not right:
        raise ValueError(what)
