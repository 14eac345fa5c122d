"""Teachers that changed behind the same weights, and data and teachers that draw random numbers: what the store of answers does.

    python -m bench.stale

Each change is made after the store was filled by the teacher as it was; then every batch of two epochs is drawn once more, and
each stored answer is compared with the live teacher's. Stale answers must be 0. Of random Datasets and teachers nothing must be
stored, or what is stored must be the answer to the very input of the batch.
"""

import copy
import functools
import os
import random
import sys
import tempfile
import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

COUNT, SIZE = 96, 16
FACTOR = 1.0
SETTINGS = {"gain": 1.0}


class Mode(Enum):
    """A setting that is neither number nor word."""

    PLAIN = 1
    TURNED = 2


@dataclass
class Options:
    """Settings of a user's own class."""

    gain: float = 1.0
    steps: tuple[int, ...] = (1,)


class Base(nn.Module):
    """What the teacher inherits."""

    shift = 0.0

    def finish(self, z: Tensor) -> Tensor:
        return z + self.shift


class Teacher(Base):
    """A network with as many settings beside its weights as fit."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.norm, self.act = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.1)
        self.pool, self.drop, self.last = nn.AvgPool2d(2, 2, ceil_mode=False), nn.Dropout(0.5), nn.Linear(64, 5)
        self.scale, self.mode, self.options, self.order = 1.0, Mode.PLAIN, Options(), [0, 1, 2, 3, 4]
        self.table, self.weights_of, self.own = (
            np.ones(5, np.float32),
            {"a": [1.0, {"b": 1.0}]},
            functools.partial(torch.mul, other=1.0),
        )
        self.how: Callable[[Tensor], Tensor] = helper
        self.register_buffer("mask", torch.ones(5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(self.pool(self.act(self.norm(self.conv(x)))))
        z = self.last(self.own(h).flatten(1)) * self.scale * self.mask
        z = z.flip(1) if self.mode is Mode.TURNED else z
        z = z * self.options.gain * torch.from_numpy(self.table) * self.weights_of["a"][1]["b"] * FACTOR * SETTINGS["gain"]
        return self.finish(self.how(helper(z[:, self.order])))


def helper(z: Tensor) -> Tensor:
    """A function that `forward` calls."""
    return z


def changes() -> dict[str, Callable[[Teacher], None]]:
    """What is done to a teacher whose state_dict stays the same."""

    def put(path: str, value: Any) -> Callable[[Teacher], None]:
        def change(teacher: Teacher) -> None:
            *inside, name = path.split(".")
            setattr(functools.reduce(getattr, inside, teacher), name, value)

        return change

    def outside(name: str, value: Any) -> Callable[[Teacher], None]:
        return lambda teacher: setattr(sys.modules[__name__], name, value)

    return {
        "slope of an activation": put("act.negative_slope", 0.9),
        "another activation": put("act", nn.Tanh()),
        "eps of a batch norm": put("norm.eps", 0.9),
        "batch norm without statistics": put("norm.track_running_stats", False),
        "padding mode": put("conv.padding_mode", "circular"),
        "dilation and padding": lambda t: (put("conv.dilation", (2, 2))(t), put("conv.padding", (2, 2))(t))[0],
        "kind of pooling": put("pool", nn.MaxPool2d(2, 2)),
        "count_include_pad": lambda t: put("pool", nn.AvgPool2d(4, 2, padding=1, count_include_pad=False))(t),
        "a number": put("scale", 2.0),
        "an enum": put("mode", Mode.TURNED),
        "a dataclass": put("options", Options(gain=-1.0)),
        "inside a dataclass": lambda t: setattr(t.options, "gain", 3.0),
        "a list": lambda t: t.order.reverse(),
        "an array": lambda t: t.table.__imul__(np.float32(-1)),
        "deep in a mapping": lambda t: t.weights_of["a"][1].update(b=-2.0),
        "a partial": put("own", functools.partial(torch.mul, other=-1.0)),
        "a function": put("how", lambda z: z.flip(1)),
        "a lambda with a closure": (lambda k: put("how", lambda z: z * k))(-3.0),
        "a bound method": lambda t: put("how", types.MethodType(lambda self, z: -z, t))(t),
        "forward of one object": lambda t: put("forward", types.MethodType(lambda self, x: -Teacher.forward(self, x), t))(t),
        "a forward hook": lambda t: t.last.register_forward_hook(lambda m, args, out: -out),
        "a pre-hook": lambda t: t.conv.register_forward_pre_hook(lambda m, args: (args[0].flip(3),)),
        "a buffer that is not saved": lambda t: t.mask.fill_(-1.0),
        "a class attribute of a base": lambda t: setattr(Base, "shift", 5.0),
        "a method of a base": lambda t: setattr(Base, "finish", lambda self, z: -z),
        "forward of the class": lambda t: setattr(Teacher, "forward", lambda self, x: self.last(self.conv(x).flatten(1)[:, :64])),
        "a global number": outside("FACTOR", -1.0),
        "a global mapping": lambda t: SETTINGS.update(gain=-1.0),
        "a helper function": outside("helper", lambda z: z.flip(1)),
        "an activation of torch, replaced": lambda t: setattr(nn.LeakyReLU, "forward", lambda self, x: F.relu(-x)),
        "an environment variable": lambda t: (os.environ.update(BENCH_GAIN="-1"), put("how", by_environment)(t))[0],
        "a module swapped for its like": lambda t: put("drop", nn.Sequential(nn.Dropout(0.5), Negative()))(t),
    }


class Negative(nn.Module):
    """The input with its sign turned."""

    def forward(self, x: Tensor) -> Tensor:
        return -x


def by_environment(z: Tensor) -> Tensor:
    """Depends on what no key can see."""
    return z * float(os.environ.get("BENCH_GAIN", "1"))


def kept() -> Callable[[], None]:
    """What puts the process back as it was."""
    module = sys.modules[__name__]
    globals_then = {name: getattr(module, name) for name in ("FACTOR", "helper")}
    classes = {(Base, "shift"): Base.shift, (Base, "finish"): Base.finish, (Teacher, "forward"): Teacher.forward}
    activation = nn.LeakyReLU.forward

    def back() -> None:
        for name, value in globals_then.items():
            setattr(module, name, value)
        for (kind, name), value in classes.items():
            setattr(kind, name, value)
        nn.LeakyReLU.forward = activation  # type: ignore[method-assign]
        SETTINGS["gain"] = 1.0
        os.environ.pop("BENCH_GAIN", None)

    return back


def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(COUNT, 1, 8, 8, generator=generator), torch.arange(COUNT) % 5


def pass_of(teacher: nn.Module, samples: Any, store: Path, augment: str = "") -> tuple[int, int, list[str]]:
    """(answers read from the store, those of them that are not the live teacher's, what was said)."""
    from limbeck import methods
    from limbeck.data import from_datasets
    from limbeck.data.streams import Streams
    from limbeck.engine.check import quiet
    from limbeck.plan.observe import observe
    from limbeck.plan.roles import Cast
    from limbeck.plan.taps import Tap
    from limbeck.store.planner import plan
    from limbeck.store.shelves import Store

    said: list[str] = []
    data = from_datasets(samples, validation=images(), classes=5)
    streams = Streams(data, size=SIZE, seed=0, cycle=2, augment=augment)
    cast = Cast({"teacher": teacher.eval(), "student": nn.Sequential(nn.Flatten(), nn.Linear(64, 5))})
    planned = plan(methods.kd(), cast, streams, Store(store), say=said.append, folds=False)
    said += [str(decision) for decision in planned.decisions]
    read = stale = 0
    for position in range(2 * COUNT // SIZE):
        batch = planned.draw(("train",), position)
        for item in planned.stored:
            with torch.no_grad(), quiet(cast):
                live = observe(cast, batch, [Tap("teacher")])(Tap("teacher"))
            room = 1e-4 * float(live.abs().max())
            read += len(live)
            stale += int(((batch[item.field] - live).abs().amax(1) > room).sum())
    return read, stale, said


class Items(Dataset[Any]):
    """Items that are not the same whenever they are read, in one of many ways."""

    def __init__(self, way: str):
        self.way, (self.inputs, self.labels) = way, images()
        self.reads, self.own = 0, np.random.default_rng()

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, row: int) -> tuple[Any, int]:
        x, label = self.inputs[row], int(self.labels[row])
        self.reads += 1
        chance: dict[str, Callable[[], float]] = {
            "torch": lambda: float(torch.rand(())),
            "numpy": lambda: float(np.random.rand()),  # noqa: NPY002  what users do
            "python": random.random,
            "own generator": lambda: float(self.own.random()),
            "system": lambda: random.SystemRandom().random(),
            "bytes": lambda: os.urandom(1)[0] / 256,
            "how often it was read": lambda: (self.reads % 7) / 7,
            "rarely": lambda: float(torch.rand(())) if torch.rand(()) < 0.2 else 0.0,
            "only late rows": lambda: float(torch.rand(())) if row > 60 else 0.0,
            "odd rows": lambda: float(torch.rand(())) if row % 2 else 0.0,
        }
        return x.roll(int(8 * chance[self.way]()), -1) if self.way != "odd rows" else x * (1 + chance[self.way]()), label


class Chance(nn.Module):
    """A teacher that draws random numbers in evaluation, in one of many ways."""

    def __init__(self, way: str):
        super().__init__()
        self.way, self.inner, self.calls, self.own = (
            way,
            Teacher(),
            0,
            torch.Generator().manual_seed(random.SystemRandom().getrandbits(32)),
        )

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        z = self.inner(x)
        noise: dict[str, Callable[[], Tensor]] = {
            "dropout left on": lambda: F.dropout(z, 0.5, training=True),
            "noise on inputs": lambda: self.inner(x + 0.3 * torch.randn_like(x)),
            "noise on logits": lambda: z + torch.randn_like(z),
            "numpy": lambda: z + torch.from_numpy(np.random.randn(*z.shape)).float(),  # noqa: NPY002
            "python": lambda: z * random.random(),
            "own generator": lambda: z + torch.randn(z.shape, generator=self.own),
            "system": lambda: z * random.SystemRandom().random(),
            "calls": lambda: z * (1 + self.calls % 3),
            "Gumbel": lambda: F.gumbel_softmax(z, hard=True),
            "a shuffled batch": lambda: z[torch.randperm(len(z))],
        }
        return noise[self.way]()


def main() -> None:
    torch.set_num_threads(1)
    total = {"changes": 0, "stale": 0, "random": 0, "stored of random": 0}
    for name, change in changes().items():
        back = kept()
        with tempfile.TemporaryDirectory() as folder:
            before = Teacher()
            filled, wrong, _ = pass_of(before, images(), Path(folder))
            assert filled == 2 * COUNT and not wrong, (name, filled, wrong)
            after = copy.deepcopy(before)
            try:
                change(after)
                same = all(
                    torch.equal(a, b) for a, b in zip(before.state_dict().values(), after.state_dict().values(), strict=False)
                )
                read, stale, said = pass_of(after, images(), Path(folder))
            finally:
                back()
        total["changes"] += 1
        total["stale"] += stale
        noticed = "asked again: emptied" if any("asked again" in text for text in said) else "another key"
        print(f"{name:<36} read {read:4d}, stale {stale:3d}  {noticed if same else 'other weights'}", flush=True)
    for kind, ways in (("Dataset", list_of_items()), ("teacher", list_of_chances())):
        for name, samples, teacher in ways:
            with tempfile.TemporaryDirectory() as folder:
                pass_of(teacher, samples, Path(folder))
                read, stale, said = pass_of(teacher, samples, Path(folder))
            total["random"] += 1
            total["stored of random"] += stale
            print(
                f"{kind} {name:<28} read {read:4d}, stale {stale:3d}  {[t for t in said if 'random' in t or 'same' in t][:1]}",
                flush=True,
            )
    print(total)


def list_of_items() -> list[tuple[str, Any, nn.Module]]:
    ways = [
        "torch",
        "numpy",
        "python",
        "own generator",
        "system",
        "bytes",
        "how often it was read",
        "rarely",
        "only late rows",
        "odd rows",
    ]
    return [(way, Items(way), Teacher()) for way in ways]


def list_of_chances() -> list[tuple[str, Any, nn.Module]]:
    ways = [
        "dropout left on",
        "noise on inputs",
        "noise on logits",
        "numpy",
        "python",
        "own generator",
        "system",
        "calls",
        "Gumbel",
    ]
    return [(way, images(), Chance(way)) for way in [*ways, "a shuffled batch"]]


if __name__ == "__main__":
    main()
