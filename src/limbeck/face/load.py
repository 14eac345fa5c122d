"""A finished student back from its folder, ready to be called."""

from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.data import to_float
from limbeck.data.columns import ColumnFacts
from limbeck.deploy.student import load_student
from limbeck.tasks import Task, task_of


class Student(nn.Module):
    """A student with what it needs beside its weights; in evaluation mode, from raw inputs to logits.

    Attributes:
        task: what it answers. classes: their names, in the order of the logits. shape: of one input. kind: "image", "table", ...
        words: what the numbers in a text's inputs mean; () where inputs are no text. columns: how a table's cells are inputs, for
            `limbeck.data.columns.encoded`; () where there is no table.
    """

    def __init__(self, folder: Path, trust: bool = False):
        super().__init__()
        self.model, facts = load_student(folder, trust)
        self.task: Task = task_of(facts["task"]["name"], facts["task"]["settings"])
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.shape: tuple[int, ...] = tuple(facts["shape"])
        self.kind: str = facts["kind"]
        self.words: tuple[str, ...] = tuple(facts.get("words", ()))
        self.columns: tuple[ColumnFacts, ...] = tuple(facts.get("columns", ()))
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of inputs (n, ...) as the data has them: images as uint8, or as floats on 0 .. 1; scaling is inside."""
        ready = to_float(inputs) if self.kind == "image" and inputs.dtype == torch.uint8 else inputs
        found: Tensor = self.model(ready)
        return found


def load(folder: str | Path, *, trust: bool = False) -> Student:
    """The student of a finished run (or of any folder with student.json and student.safetensors).

    trust: let a model that the folder names as `package.module:factory` run its code; without it no code is run.

    Raises `UserError` if a file is missing or damaged, or the student's class cannot be rebuilt by name.
    """
    return Student(Path(folder), trust)
