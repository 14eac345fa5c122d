"""A student's answers to raw files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbeck.data.language import Encoder
from limbeck.data.readers.recordings import heard
from limbeck.data.tagged import split
from limbeck.data.tokens import Tokenizer
from limbeck.deploy.raw import samples, told
from limbeck.deploy.student import Deployed
from limbeck.deploy.student_file import StudentFile, read_student_file
from limbeck.deploy.student_folder import FOLDER
from limbeck.deploy.writing import continued
from limbeck.errors import UserError
from limbeck.face.load import load
from limbeck.tasks import TokenClassification, task_of
from limbeck.tasks.next_token import NextToken

WRITTEN = 128  # tokens that a language model writes at most


def predict(folder: str | Path, files: str | Path | Sequence[str | Path], *, trust: bool = False) -> list[dict[str, Any]]:
    """The answers of a finished run's student to what the user has, one mapping for each sample.

    Args:
        folder: of the run, or any with student.json and student.safetensors.
        files: pictures, folders or .zip files of them; tables with the columns of the training data (.csv, .tsv, .jsonl); texts
            (.txt, a line each; tables with a column `text`; or sentences, written "text:..."); recordings (.wav, or folders of
            them); .npy files of inputs as they are.
        trust: let a model that the folder names run its code.

    Returns:
        input (its name), and by the task: class, probability and p(NAME) of every class; labels and p(NAME); a value for each
        target; words and tags; mask (h, w) of class numbers; an embedding e0, e1, ...; boxes, each with class, probability and
        corners x0, y0, x1, y1 in pixels of what the student sees; text; or, of a language model, the text that it writes after
        each text, greedily and of at most 128 tokens, and whether that came to its end.

    Raises `UserError` for a file that is not there or that this student cannot take.
    """
    student = load(folder, trust=trust)
    info = read_student_file(Path(folder))
    tagged = info["task"]["name"] == TokenClassification.name
    words = _Words(Path(folder), student.tokens["longest"]) if tagged and student.tokens else None
    encode = words or (_encoder(Path(folder), student.tokens["longest"]) if student.tokens else None)
    facts = dict(info) | ({"encode": encode} if encode else {})
    writer = _Writer(Path(folder)) if info["task"]["name"] == NextToken.name and student.tokens else None
    facts |= {"encode": writer.numbers} if writer else {}
    facts |= {"heard": lambda _, path: heard(path, info["sound"])} if "sound" in info else {}
    wanted = [files] if isinstance(files, str | Path) else list(files)
    found: list[dict[str, Any]] = []
    for names, inputs in samples(facts, wanted):
        if writer is not None:
            found += [{"input": name, **writer.go_on(student.model, row)} for name, row in zip(names, inputs, strict=True)]
            continue
        with torch.no_grad():
            outputs = student(torch.from_numpy(inputs))
        said = _told(info, outputs) if words is None else words.tagged(outputs, info["classes"])
        found += [{"input": name, **one} for name, one in zip(names, said, strict=True)]
    if not found:
        raise UserError(f"nothing to answer in {', '.join(map(str, wanted))[:200]}; give at least one sample")
    return found


class _Writer:
    """Prompts as the student's tokenizer numbers them, and what a language model writes after them."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer(str(folder / FOLDER))
        self.encoder = Encoder(self.tokenizer, "the prompts")

    def numbers(self, text: str) -> np.ndarray:
        """A text without the token that ends it, as rows of next tokens have it."""
        return np.array([1 + i for i in self.encoder.prompt(text)], np.int64)

    def go_on(self, model: Deployed, row: np.ndarray) -> dict[str, Any]:
        """The greedy continuation of a prompt, of at most `WRITTEN` tokens, and whether the text came to its end."""
        facts, end = self.tokenizer.facts, self.tokenizer.tokenizer.eos_token_id
        room = facts["longest"] - len(row)
        if room < 1:
            raise UserError(f"a prompt has {len(row):,} tokens, but the student reads at most {facts['longest']:,}; shorten it")
        added = continued(model, (row - 1).tolist(), facts["vocabulary"], end, min(WRITTEN, room))
        return {"text": self.tokenizer.tokenizer.decode(added, skip_special_tokens=True), "ended": end in added}


class _Words:
    """Texts, cut at spaces into words, as the student's tokenizer numbers them; and tags back to the words."""

    def __init__(self, folder: Path, longest: int):
        self.tokenizer = Tokenizer(str(folder / FOLDER), longest)
        self.waiting: list[tuple[list[str], dict[int, int]]] = []  # words and first pieces of what was not answered yet

    def __call__(self, text: str) -> np.ndarray:
        words = text.split()
        numbers, firsts = split(self.tokenizer, words)
        self.waiting.append((words, firsts))
        return self.tokenizer.tensor([numbers], len(numbers)).numpy()[0]

    def tagged(self, outputs: torch.Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
        """Words and tags of the next samples, "" for a word that was cut off; outputs: (n, L, C)."""
        if len(self.waiting) < len(outputs):
            raise UserError("this student tags words, which arrays have none of; give texts")
        now, self.waiting = self.waiting[: len(outputs)], self.waiting[len(outputs) :]
        best = outputs.argmax(-1).tolist()
        return [
            {"words": words, "tags": [classes[row[firsts[k]]] if k in firsts else "" for k in range(len(words))]}
            for row, (words, firsts) in zip(best, now, strict=True)
        ]


def _encoder(folder: Path, longest: int) -> Callable[[str], np.ndarray]:
    """A text as the student's own tokenizer numbers it."""
    tokenizer = Tokenizer(str(folder / FOLDER), longest)

    def encode(text: str) -> np.ndarray:
        rows, _ = tokenizer.rows([text])
        return tokenizer.tensor(rows, len(rows[0])).numpy()[0]

    return encode


def _told(info: StudentFile, outputs: torch.Tensor) -> Sequence[Mapping[str, Any]]:
    """Outputs in words: those of one answer by `deploy.raw`, lists of boxes and strings by their task."""
    name, classes = info["task"]["name"], info["classes"]
    if name in ("classify", "tags", "numbers", "embed", "segment"):
        return told(info, np.asarray(outputs.float()))
    task = task_of(name, info["task"]["settings"])
    kept, _ = task.keep(outputs.float(), torch.full((len(outputs), 1), -100))
    if name == "detect":
        return [{"boxes": [_box(box, classes) for box in boxes if box[0] >= 0]} for boxes in kept.tolist()]
    return [{"text": " ".join(classes[int(k)] for k in row if k >= 0)} for row in kept.tolist()]


def _box(box: Sequence[float], classes: Sequence[str]) -> dict[str, Any]:
    corners = dict(zip(("x0", "y0", "x1", "y1"), (round(v, 2) for v in box[2:]), strict=True))
    return {"class": classes[int(box[0])], "probability": round(box[1], 6), **corners}
