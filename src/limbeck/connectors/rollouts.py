"""Text of the student's own: batches that it writes while it learns.

Letters: n rows, T places, L places of a prompt, V tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.models.writing import added
from limbeck.plan.kinds import Batch
from limbeck.plan.roles import Cast, in_evaluation
from limbeck.transforms.facts import connector


@connector()
class Replay(nn.Module):
    """The last rows that were written, to be learned from again: numbers and labels (slots, T), kept in checkpoints."""

    numbers: Tensor
    labels: Tensor
    count: Tensor

    def __init__(self, inputs: Tensor, *, slots: int):
        super().__init__()
        self.register_buffer("numbers", torch.zeros(slots, inputs.shape[1], dtype=torch.int64))
        self.register_buffer("labels", torch.full((slots, inputs.shape[1]), -100))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def keep(self, numbers: Tensor, labels: Tensor) -> None:
        """Put rows in the place of the oldest."""
        at = (self.count + torch.arange(len(numbers), device=self.count.device)) % len(self.numbers)
        self.numbers[at], self.labels[at] = numbers, labels
        self.count += len(numbers)

    def draw(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """So many rows of those that are there, with repetition."""
        at = torch.randint(min(int(self.count), len(self.numbers)), (rows,), generator=generator).to(self.numbers.device)
        return self.numbers[at], self.labels[at]


@dataclass(frozen=True)
class Rollouts:
    """A batch of the training part, of which the student has written what follows the prompts: a share of the batches.

    share: of the batches that it writes. temperature: of the draws; 0 takes the likeliest token. opening: share of a row that is
    given where the text has no prompts. again: share of the written batches that come out of `Replay` instead.
    """

    role: str = "student"
    share: float = 1.0
    temperature: float = 1.0
    opening: float = 0.25
    again: float = 0.0

    def __call__(self, cast: Cast, draw: Callable[..., Batch], generator: torch.Generator) -> Batch:
        batch = dict(draw(("train",)))
        written, old = torch.rand(2, generator=generator).tolist()
        if written >= self.share:
            return batch
        memory = cast["replay"] if self.again else None
        if isinstance(memory, Replay) and old < self.again and int(memory.count):
            numbers, labels = memory.draw(len(batch["labels"]), generator)
        else:
            numbers, labels = self._write(cast, batch, generator)
            if isinstance(memory, Replay) and memory.training:
                memory.keep(numbers, labels)
        return {**batch, "inputs": numbers, "labels": labels}

    def _write(self, cast: Cast, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        many, end = _tokens_of(cast, self.role)
        module, width = cast[self.role], batch["labels"].shape[1]
        prompts = [
            _prompt(*row, many, max(1, round(self.opening * width))) for row in zip(batch["inputs"], batch["labels"], strict=True)
        ]
        longest = max(map(len, prompts))
        given = torch.zeros(len(prompts), longest, dtype=torch.int64, device=batch["inputs"].device)
        there = torch.zeros_like(given)
        for k, prompt in enumerate(prompts):
            given[k, longest - len(prompt) :], there[k, longest - len(prompt) :] = prompt, 1
        devices = [given.device] if given.device.type == "cuda" else []
        with in_evaluation(module), torch.no_grad(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            tokens = self._added(module, given, there, width + 1 - min(map(len, prompts)), many, end)
        return _rows(prompts, tokens, width, end)

    def _added(self, module: Any, given: Tensor, there: Tensor, new: int, many: int, end: int | None) -> Tensor:
        """(n, up to new) tokens that the student adds to prompts (n, L), which end on the right."""
        if not callable(getattr(module, "generate", None)):
            raise UserError(f"role {self.role!r} cannot write: it is no model of transformers; give a folder with a causal model")
        return added(module, given, there, new, many, end, self.temperature)


def _tokens_of(cast: Cast, role: str) -> tuple[int, int | None]:
    """How many tokens there are, and which one ends a text, as a role is fed.

    Raises `UserError` for a role that is fed no tokens.
    """
    prepare = cast.adapter_of(role).prepare
    many = getattr(prepare, "vocabulary", None)
    if not isinstance(many, int):
        raise UserError(
            f"role {role!r} is fed no tokens of a tokenizer, so it cannot write; on-policy methods are for language models"
        )
    end = getattr(getattr(cast[role], "config", None), "eos_token_id", None)
    return many, end[0] if isinstance(end, list) and end else end if isinstance(end, int) else None


def _prompt(numbers: Tensor, labels: Tensor, many: int, opening: int) -> Tensor:
    """What a row gives to go on from: all before its first label, or the last document in its opening."""
    first = int((labels != -100).nonzero()[0])
    row = numbers[: first + 1] if first else numbers[:opening]
    side = (row - 1) // many
    borders = (side[1:] != side[:-1]).nonzero()
    return (row[int(borders[-1]) + 1 :] if len(borders) else row).sub(1) % many


def _rows(prompts: list[Tensor], tokens: Tensor, width: int, end: int | None) -> tuple[Tensor, Tensor]:
    """Rows (n, T) of numbers and of labels: what was added is learned, up to the end of the text."""
    numbers = tokens.new_zeros(len(prompts), width)
    labels = torch.full_like(numbers, -100)
    for k, (prompt, new) in enumerate(zip(prompts, tokens, strict=True)):
        ends = (new == end).nonzero() if end is not None else new.new_zeros(0, 1)
        own = new[: int(ends[0]) + 1] if len(ends) else new
        ids = torch.cat([prompt, own])[: width + 1]
        numbers[k, : len(ids) - 1] = ids[:-1] + 1
        labels[k, len(prompt) - 1 : len(ids) - 1] = ids[len(prompt) :]
    return numbers, labels
