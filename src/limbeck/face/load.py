"""A finished student back from its folder, ready to be called."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.data import to_float, tokens
from limbeck.data.columns import ColumnFacts
from limbeck.data.text import numbered
from limbeck.data.tokens import Text
from limbeck.deploy.student import load_student
from limbeck.deploy.student_folder import FOLDER
from limbeck.errors import UserError
from limbeck.tasks import Task, task_of


class Student(nn.Module):
    """A student with what it needs beside its weights; in evaluation mode, from raw inputs to logits.

    Attributes:
        task: what it answers. classes: their names, in the order of the logits. shape: of one input. kind: "image", "table", ...
        words: what the numbers in a text's inputs mean; () where inputs are no text, or tokens of a tokenizer (`tokens`; `encode`
            makes inputs of texts either way). columns: how a table's cells are inputs, for
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
        self.folder, self.tokens = folder, facts.get("tokens")
        self.columns: tuple[ColumnFacts, ...] = tuple(facts.get("columns", ()))
        self.eval()

    def encode(self, texts: Sequence[Text]) -> Tensor:
        """Texts, or pairs of them, as the student takes them: (n, L) numbers, by the words or the tokenizer of its training."""
        if self.tokens is not None:
            return tokens.numbered(texts, self.folder / FOLDER, self.tokens["longest"])
        if not self.words:
            raise UserError(f"the student in {self.folder} takes no texts; give it inputs of shape {self.shape}")
        return numbered([str(text) for text in texts], self.words)

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
