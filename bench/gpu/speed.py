"""KD of ResNet-56 on the device, beside loops by hand on the same work: images a second, and ratios of the same rounds.

By hand: bf16 autocast, channels-last, fused SGD, a DataLoader with workers that crops and flips every picture (as most scripts
do), and a stronger one whose pictures lie on the device and are cropped and flipped there, a batch at a time.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Loop = Callable[[int], float]
_KEPT: dict[str, Any] = {}


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def data_of(chosen: argparse.Namespace) -> Any:
    from limbeck.data import load

    if "data" not in _KEPT:
        limit = 512 if chosen.small else None
        _KEPT["data"] = load("cifar10", path=chosen.data, validation=0.02, limit=limit)
    return _KEPT["data"]


def cast_of(student: str, chosen: argparse.Namespace) -> Any:
    from limbeck.plan.roles import Cast
    from limbeck.runs.settings import ModelSettings

    data, cast = data_of(chosen), Cast({})
    weights = str(chosen.weights) if chosen.weights else None
    for role, settings in (
        ("teacher", ModelSettings(model="resnet56", weights=weights, mean=MEAN, std=STD)),
        ("student", ModelSettings(model=student)),
    ):
        cast.add(role, *settings.build(role, data, 0))
    cast.lay_out()
    return cast


def fit_of(streams: Any, epochs: float, chosen: argparse.Namespace, graphs: bool = True, steps: int | None = None) -> Any:
    from limbeck.engine import Fit

    count = streams.steps_per_epoch
    return (
        Fit(steps=steps or 10**6, steps_per_epoch=10**6, schedule="constant", precision="bf16", cuda_graphs=graphs)
        if count
        else None
    )


def ours(student: str, chosen: argparse.Namespace, stored: bool, alone: bool = False, graphs: bool = True) -> Loop:
    """limbeck's engine: data on the device, crop and flip there."""
    import tempfile

    from limbeck import engine, methods
    from limbeck.data.streams import Streams
    from limbeck.store.planner import plan
    from limbeck.store.shelves import Store

    method = methods.alone() if alone else methods.kd()
    streams = Streams(data_of(chosen), size=batch_of(chosen), seed=0, augment="crop,flip", cycle=4 if stored else None)
    cast, fit = cast_of(student, chosen), fit_of(streams, 1, chosen, graphs)
    if alone:
        del cast["teacher"]
    engine.place(cast, streams, fit)
    made = plan(method, cast, streams, Store(Path(tempfile.mkdtemp())) if stored else None)
    cast.stand_ins = dict(made.stand_ins)
    if stored:
        for epoch in range(4):
            made.draw(("train",), epoch * streams.steps_per_epoch)
    said: list[str] = []
    steps: Iterator[None] = engine.training(
        made.method,
        cast,
        made.draw,
        fit,
        0,
        None,
        lambda kind, facts: said.append(facts["text"]) if kind == "say" else None,
        None,
        None if device().type == "cuda" else "cpu",
        None,
    )

    def run(count: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(count):
            next(steps)
        wait()
        for text in said:
            print("  said:", text, flush=True)
        said.clear()
        return time.perf_counter() - start

    return run


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def batch_of(chosen: argparse.Namespace) -> int:
    return 32 if chosen.small else 512


class Pictures(torch.utils.data.Dataset):
    """Each picture cropped and flipped by itself, as torchvision's transforms do."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor):
        self.images, self.labels = images, labels
        self.mean, self.std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, k: int) -> Any:
        x = F.pad(self.images[k], (4, 4, 4, 4))
        i, j = torch.randint(9, (2,)).tolist()
        x = x[:, i : i + 32, j : j + 32]
        x = x.flip(-1) if torch.rand(()) < 0.5 else x
        return (x.float() / 255 - self.mean) / self.std, self.labels[k]


def read_by_workers(chosen: argparse.Namespace) -> Iterator[Any]:
    """One DataLoader for all loops by hand, which take turns."""
    part = data_of(chosen)["train"]
    if "stream" not in _KEPT:
        workers: dict[str, Any] = {} if chosen.small else {"num_workers": 14, "multiprocessing_context": "forkserver"}
        pictures = Pictures(part.inputs, part.labels)
        made = torch.utils.data.DataLoader(
            pictures,
            batch_of(chosen),
            shuffle=True,
            drop_last=True,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=not chosen.small,
            **workers,
        )
        _KEPT["stream"] = itertools.chain.from_iterable(itertools.repeat(made))
    return _KEPT["stream"]


def by_hand(student: str, chosen: argparse.Namespace, teacher: bool, loader: bool) -> Loop:
    """A plain loop in bf16; with a DataLoader, or with everything on the device."""
    where, part = device(), data_of(chosen)["train"]
    cast = cast_of(student, chosen)
    t, s = (cast[role].to(where, memory_format=torch.channels_last) for role in ("teacher", "student"))
    t.eval().requires_grad_(False), s.train()
    optimizer = torch.optim.SGD(s.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, fused=where.type == "cuda")
    mean, std = torch.tensor(MEAN, device=where).view(3, 1, 1), torch.tensor(STD, device=where).view(3, 1, 1)

    def batches() -> Iterator[Any]:
        if loader:
            for x, y in read_by_workers(chosen):
                yield x.to(where, non_blocking=True).contiguous(memory_format=torch.channels_last), y.to(where, non_blocking=True)
        images, labels = part.inputs.to(where), part.labels.to(where)
        while True:
            for rows in torch.randperm(len(images), device=where).split(batch_of(chosen)):
                if len(rows) == batch_of(chosen):
                    x = F.pad(images[rows], (4, 4, 4, 4))
                    i, j = torch.randint(9, (2,)).tolist()  # one place for the whole batch: less than ours does
                    x = x[:, :, i : i + 32, j : j + 32]
                    x = torch.where(torch.rand(len(x), 1, 1, 1, device=where) < 0.5, x.flip(-1), x)
                    yield ((x.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last), labels[rows]

    stream = batches()

    def run(count: int) -> float:
        for _ in range(count if loader else 0):
            next(stream)  # what workers read ahead while others had their turn is no work of this one's
        wait()
        start = time.perf_counter()
        for _ in range(count):
            x, y = next(stream)
            with torch.autocast(where.type, torch.bfloat16):
                z = s(x)
                loss = F.cross_entropy(z, y)
                if teacher:
                    with torch.no_grad():
                        zt = t(x)
                    soft = F.kl_div(F.log_softmax(z / 4, 1), F.softmax(zt / 4, 1), reduction="batchmean") * 16
                    loss = 0.1 * loss + 0.9 * soft
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        wait()
        return time.perf_counter() - start

    return run


def go(chosen: argparse.Namespace) -> dict[str, Any]:
    torch.backends.cudnn.benchmark = True
    made: dict[str, Any] = {}
    for student in ("resnet20", "resnet8"):
        loops = {
            "student alone by hand, DataLoader": lambda s=student: by_hand(s, chosen, False, True),
            "student alone by hand, on device": lambda s=student: by_hand(s, chosen, False, False),
            "kd by hand, DataLoader": lambda s=student: by_hand(s, chosen, True, True),
            "kd by hand, on device": lambda s=student: by_hand(s, chosen, True, False),
            "student alone limbeck": lambda s=student: ours(s, chosen, False, alone=True),
            "kd limbeck": lambda s=student: ours(s, chosen, False),
            "kd limbeck, no graphs": lambda s=student: ours(s, chosen, False, graphs=False),
            "kd limbeck, stored": lambda s=student: ours(s, chosen, True),
        }
        running = {}
        for name, make in loops.items():
            try:
                running[name] = make()
                running[name](8)
            except Exception as error:
                running.pop(name, None)
                print(f"left out: {name}: {type(error).__name__}: {error}", flush=True)
        times: dict[str, list[float]] = {name: [] for name in running}
        rounds, steps = (2, 2) if chosen.small else (5, 30)
        for _ in range(rounds):
            for name, run in running.items():
                times[name].append(run(steps) / steps)
        made[student] = table(times, batch_of(chosen))
        for name, row in made[student].items():
            print(
                f"{student} {name:<36}{row['ms']:8.2f} ms {row['images_per_second']:10,.0f} images/s  {row['ratios']}", flush=True
            )
    return made


def table(times: dict[str, list[float]], batch: int) -> dict[str, Any]:
    rows = {}
    for name, found in times.items():
        ratios = {
            other: round(statistics.median(a / b for a, b in zip(found, times[other], strict=True)), 3)
            for other in (
                "kd by hand, DataLoader",
                "kd by hand, on device",
                "student alone by hand, DataLoader",
                "student alone limbeck",
            )
            if other in times and other != name
        }
        ms = 1000 * statistics.median(found)
        rows[name] = {
            "ms": ms,
            "low": 1000 * min(found),
            "high": 1000 * max(found),
            "images_per_second": 1000 * batch / ms,
            "ratios": ratios,
        }
    return rows
