"""Small things to train: networks of a few hundred weights, batches made from a seed, a run with few words."""

import copy
import zlib

import torch
from torch import nn

from limbeck import models
from limbeck.engine import Fit, train
from limbeck.plan.roles import Adapter, Cast

CLASSES, SHAPE, BATCH = 4, (1, 8, 8), 8


class Toy:
    """A `BatchSource`: batch number k of a partition is a function of its name and k, nothing else.

    Images are noise around one blob per class. Joint partitions are put below each other, as `data.Mixture` does.
    """

    def __init__(self, batch=BATCH, views=(), change=None):
        self.batch, self.views, self.change = batch, views, change or (lambda batch, position: batch)

    def __call__(self, partitions, position):
        parts = [self.one(name, position, self.batch // len(partitions)) for name in partitions]
        joint = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
        if len(partitions) > 1:
            joint["labelled"] = torch.cat(
                [torch.full((len(p["labels"]),), float(n != "unlabelled")) for n, p in zip(partitions, parts, strict=True)]
            )
        return self.change(joint, position)

    def whole(self, partitions):
        return self.one(partitions[0], 0, 64)

    def one(self, name, position, size):
        generator = torch.Generator().manual_seed(zlib.crc32(f"{name} {position}".encode()))
        labels = torch.randint(0, CLASSES, (size,), generator=generator)
        clean = 0.2 * torch.ones(size, *SHAPE)
        for row, label in enumerate(labels.tolist()):
            clean[row, :, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 0.5
        made = {v: clean + 0.1 * torch.randn(size, *SHAPE, generator=generator) for v in ("inputs", *self.views)}
        hidden = torch.full_like(labels, -100) if name == "unlabelled" else labels
        return {**made, "labels": hidden, "index": torch.arange(size) + position * size}


def as_frames(batch, position):
    """The pictures as 8 frames of 8 bands, and for each class a string of classes 1 to 3 of another length."""
    strings = torch.tensor([[1, -100, -100], [2, 1, -100], [3, 3, -100], [1, 2, 3]])
    views = {k: v[:, 0] for k, v in batch.items() if isinstance(v, torch.Tensor) and v.dim() == 4}
    return batch | views | {"labels": strings[batch["labels"]]}


def as_text(batch, position):
    """For each class four numbers of words of its own."""
    spelt = torch.tensor([[3, 1, 0, 0], [1, 3, 2, 0], [2, 2, 0, 0], [3, 3, 1, 2]]).float()
    return batch | {k: spelt[batch["labels"]] for k, v in batch.items() if isinstance(v, torch.Tensor) and v.dim() == 4}


def as_words(batch, position):
    """The same, to be translated to a string of 3s of another length and 2."""
    strings = torch.tensor([[3, 2, -100], [3, 3, 2], [2, -100, -100], [3, 3, 2]])
    return as_text(batch, position) | {"labels": strings[batch["labels"]]}


def as_next(batch, position):
    """For each class four tokens of its own, as rows of next tokens have them."""
    spelt = torch.tensor([[3, 1, 0, 2], [1, 3, 2, 0], [2, 2, 0, 1], [3, 3, 1, 2]])[batch["labels"]]
    views = {k: spelt + 1 for k, v in batch.items() if isinstance(v, torch.Tensor) and v.dim() == 4}
    return batch | views | {"labels": torch.nn.functional.pad(spelt[:, 1:], (0, 1), value=-100)}


def as_numbers(batch, position):
    """The class of every sample as four numbers that add up to 1."""
    return batch | {"labels": (torch.nn.functional.one_hot(batch["labels"], CLASSES).float() + 0.1) / 1.4}


def as_boxes(batch, position):
    """The blob of every sample as a box, and no box in one of them."""
    label, count = batch["labels"], len(batch["labels"])
    left, top = 4.0 * (label % 2), 4.0 * (label // 2)
    boxes = torch.full((count, 2, 5), -100.0)
    boxes[:, 0] = torch.stack([label.float(), left, top, left + 4, top + 4], 1)
    boxes[0, 0] = -100.0
    return batch | {"labels": boxes}


def build(model="cnn", seed=0, shape=SHAPE, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return models.build(model, classes=CLASSES, shape=shape, arguments=arguments)


def cast_of(**roles):
    """A cast of `role=width` of small CNNs, or of modules; each role has its own seed."""
    made = {}
    for number, (name, what) in enumerate(roles.items()):
        made[name] = what if isinstance(what, nn.Module) else build(width=what, seed=number)
    return Cast(made)


def fit_of(steps=6, **changes):
    return Fit(
        steps, **{"steps_per_epoch": 3, "lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "schedule": "one_cycle"} | changes
    )


def go(method, cast, *, draw=None, fit=None, **more):
    """Train on the CPU; returns what `train` returns."""
    return train(method, cast, draw or Toy(views=tuple(method.views)), fit or fit_of(), device="cpu", **more)


def state(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def differing(first, second):
    """Names whose bits differ between two states (or that only one has)."""
    names = set(first) ^ set(second)
    return sorted(names | {k for k in set(first) & set(second) if not same(first[k], second[k])})


def same(a, b):
    """Equal to the last bit; NaN equals NaN."""
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and torch.equal(a.flatten().contiguous().view(torch.uint8), b.flatten().contiguous().view(torch.uint8))
    )


class Stop(Exception):  # noqa: N818  no error: the way out
    """Raised by a listener to stop a run."""


def stopping(after):
    """A listener that stops the run in the middle of step `after` (over all stages and updates)."""
    heard = []

    def listen(kind, facts):
        heard.append((kind, facts))
        if kind == "step" and facts["done"] >= after:
            raise Stop

    listen.heard = heard
    return listen


__all__ = [
    "Adapter",
    "Cast",
    "Fit",
    "Stop",
    "Toy",
    "as_boxes",
    "as_frames",
    "as_numbers",
    "as_text",
    "as_words",
    "build",
    "cast_of",
    "copy",
    "differing",
    "fit_of",
    "go",
    "same",
    "state",
    "stopping",
]
