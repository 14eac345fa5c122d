"""Synthetic run folders of tasks of every kind: made-up answers, measured and kept by the task itself."""

import json
from pathlib import Path

import torch
from synthetic_run import make_run

from limbeck.tasks.detect import Detect
from limbeck.tasks.keeping import write_predictions
from limbeck.tasks.next_token import NextToken
from limbeck.tasks.numbers import Numbers
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.segment import Segment
from limbeck.tasks.tags import Tags
from limbeck.tasks.transcribe import Transcribe

N, NOISE = 40, {"teacher": 0.1, "baseline": 0.4, "student": 0.25}
RANDOM = torch.Generator().manual_seed(0)


def _changed(labels: torch.Tensor, share: float, most: int) -> torch.Tensor:
    """Labels of which a share was drawn anew."""
    again = torch.rand(labels.shape, generator=RANDOM) < share
    return torch.where(again & (labels >= 0), torch.randint(0, most, labels.shape, generator=RANDOM), labels)


def _seen(answers, labels):
    return {who: Predictions(answers(noise), labels, torch.arange(len(labels))) for who, noise in NOISE.items()}


def _segment():
    labels = torch.arange(4).repeat_interleave(4).repeat(N, 16, 1).clone()
    return Segment(), _seen(lambda noise: _changed(labels, noise, 4), labels), ("sky", "a road with a long name", "tree", "void")


def _detect():
    labels = torch.tensor([[0.0, 2, 2, 8, 8], [1, 8, 8, 15, 15]]).repeat(N, 1, 1)

    def answers(noise):
        boxes = labels[..., 1:] + 4 * noise * torch.randn(N, 2, 4, generator=RANDOM)
        sure = torch.full((N, 2, 1), 0.9)
        return torch.cat([labels[..., :1], sure, boxes], 2)

    return Detect((16, 16)), _seen(answers, labels), ("red blood cell", "platelet")


def _strings():
    labels = torch.randint(1, 12, (N, 6), generator=RANDOM)
    return Transcribe(), _seen(lambda noise: _changed(labels, noise, 12), labels), ("-", *"abcdefghijk")


def _numbers():
    labels = torch.randn(N, 2, generator=RANDOM) * torch.tensor([3.0, 400.0])
    spread = labels.std(0)
    answers = lambda noise: labels + noise * spread * torch.randn(N, 2, generator=RANDOM)  # noqa: E731
    return Numbers((0.0, 0.0), (3.0, 400.0)), _seen(answers, labels), ("rings", "price of the whole house")


def _tags():
    labels = (torch.rand(N, 6, generator=RANDOM) < 0.3).long()
    answers = lambda noise: 4.0 * labels - 2 + 8 * noise * torch.randn(N, 6, generator=RANDOM)  # noqa: E731
    return Tags(), _seen(answers, labels), ("indoor", "a person at a distance", "night", "snow", "dog", "sea")


def _text():
    labels = torch.randint(0, 300, (N, 32), generator=RANDOM)
    lost = lambda noise: torch.rand(N, 32, generator=RANDOM) * (2 + 4 * noise)  # noqa: E731
    answers = lambda noise: torch.stack([lost(noise), _changed(labels, 0.4 + noise, 300).float()], -1)  # noqa: E731
    return NextToken(300, 3.5), _seen(answers, labels.to(torch.int32)), ()


KINDS = {"segment": _segment, "detect": _detect, "strings": _strings, "numbers": _numbers, "tags": _tags, "text": _text}


def make_task_run(folder: Path, kind: str) -> Path:
    """A run of one of `KINDS`, with its figures, its answers and, where it is of pictures, pictures."""
    task, seen, classes = KINDS[kind]()
    make_run(folder, n=30, pictures=False)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["task"] = task.facts()
    card["data"] |= {"classes": list(classes), "task": task.name, "partitions": {"test": {"samples": N, "per_class": None}}}
    for who, predictions in seen.items():
        card["models"][who] |= task.measure(predictions, classes, seen["teacher"]).entry()
    for key in ("drop_percent", "gain_percent", "distillation_score"):
        card[key] = None
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    pictures = torch.randint(0, 256, (N, 3, 16, 16), generator=RANDOM).to(torch.uint8) if kind in ("segment", "detect") else None
    write_predictions(folder, task, seen, pictures)
    return folder
