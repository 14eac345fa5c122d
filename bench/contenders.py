"""The loops that `bench.speed` times, each in a process of its own.

    python -m bench.contenders NAME TEACHER:STUDENT THREADS [--rivals FOLDER]

is started by `bench.speed`; it reads a number of steps from each line of its input and answers with one line of
JSON: seconds of every step, and the peak memory so far. Work: CIFAR-size images (2,048 random uint8 ones in memory,
no augmentation), batch 64, 100 classes, SGD with momentum. The clock ticks when a loop asks for its next batch.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

CLASSES, SAMPLES, BATCH = 100, 2048, 64
Loop = Callable[[int], list[float]]


def made_data(samples: int = SAMPLES, classes: int = CLASSES) -> Any:
    from limbeck.data import from_datasets

    g = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (samples, 3, 32, 32), generator=g, dtype=torch.uint8)
    return from_datasets((images, torch.arange(samples) % classes), classes=classes)


def network(name: str, classes: int = CLASSES) -> torch.nn.Module:
    from limbeck import models

    return models.build(name, classes=classes, shape=(3, 32, 32))


class Ticking:
    """A loader of `steps` batches from a DataLoader that notes when it was asked."""

    def __init__(self, collate: Callable[[Any, Any], Any] | None = None):
        part = made_data()["train"]
        self.dataset = torch.utils.data.TensorDataset(part.inputs.float() / 255, part.labels)
        self.inner = torch.utils.data.DataLoader(self.dataset, batch_size=BATCH, shuffle=True, drop_last=True)
        self.steps, self.ticks, self.collate = 0, [], collate  # type: ignore[var-annotated]

    def __iter__(self) -> Iterator[Any]:
        self.ticks, batches = [time.perf_counter()], iter(self.inner)
        for _ in range(self.steps):
            x, y = next(batches)
            yield (x, y) if self.collate is None else self.collate(x, y)
            self.ticks.append(time.perf_counter())

    def __len__(self) -> int:
        return self.steps

    def times(self) -> list[float]:
        return [b - a for a, b in zip(self.ticks, self.ticks[1:], strict=False)]


def by_hand(teacher: str | None, student: str, attention: bool = False) -> Loop:
    """A plain PyTorch loop through a DataLoader; without a teacher, the student alone."""
    s, t = network(student), network(teacher).eval() if teacher else None
    optimizer = torch.optim.SGD(s.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    loader = Ticking()
    kept: dict[str, list[torch.Tensor]] = {"s": [], "t": []}
    if attention:
        for key, net in (("s", s), ("t", t)):
            for layer in (net.layer1, net.layer2, net.layer3):
                layer.register_forward_hook(lambda _m, _i, out, key=key: kept[key].append(out))

    def look(f: torch.Tensor) -> torch.Tensor:
        return F.normalize(f.pow(2).mean(1).flatten(1))

    def run(steps: int) -> list[float]:
        s.train()
        loader.steps = steps
        for x, y in loader:
            kept["s"].clear(), kept["t"].clear()
            z = s(x)
            loss = F.cross_entropy(z, y)
            if t is not None:
                with torch.no_grad():
                    zt = t(x)
                if attention:
                    loss = loss + 500 * sum((look(a) - look(b)).pow(2).mean() for a, b in zip(kept["s"], kept["t"], strict=True))
                else:
                    soft = F.kl_div(F.log_softmax(z / 4, 1), F.softmax(zt / 4, 1), reduction="batchmean") * 16
                    loss = 0.1 * loss + 0.9 * soft
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        return loader.times()

    return run


def ours(teacher: str, student: str, method: Any, stored: bool, compiled: bool = False) -> Loop:
    """limbeck's engine with its defaults for images; with `stored`, the teacher's answers from the store."""
    from limbeck import engine
    from limbeck.data.streams import Streams
    from limbeck.plan.roles import Cast
    from limbeck.processes import keep_freed
    from limbeck.store.planner import plan
    from limbeck.store.shelves import Store

    keep_freed()  # as its commands do
    cast = Cast({"teacher": network(teacher), "student": network(student)})
    cast.lay_out()
    streams = Streams(made_data(), size=BATCH, seed=0)
    made = plan(method, cast, streams, Store(Path(tempfile.mkdtemp())) if stored else None)
    cast.stand_ins = dict(made.stand_ins)
    made.draw(("train",), 0)  # filling is not a step; its cost is one teacher pass over the data
    steps: Iterator[None] = iter(())

    def run(count: int) -> list[float]:
        nonlocal steps
        ticks = [time.perf_counter()]
        for _ in range(count):
            next(steps)
            ticks.append(time.perf_counter())
        return [b - a for a, b in zip(ticks, ticks[1:], strict=False)]

    fit = engine.Fit(steps=10**6, steps_per_epoch=10**6, schedule="constant", compile=compiled)
    steps = engine.training(made.method, cast, made.draw, fit, 0, None, lambda kind, facts: None, None, "cpu", None)
    return run


TEN = ("kd", "kd_standardised", "dkd", "dist", "nkd", "logit_regression", "attention", "rkd", "similarity", "pkt")


def ten_by_hand(teacher: str, student: str) -> Loop:
    """Ten methods in ten separate plain loops, one after another; a step is a step of each."""
    from limbeck import methods
    from limbeck.plan.observe import observe
    from limbeck.plan.roles import Cast
    from limbeck.plan.schedules import Progress

    loops = []
    t = network(teacher).eval().requires_grad_(False)
    for name in TEN:
        cast = Cast({"teacher": t, "student": network(student)})
        terms = [term for _, _, term in methods.find(name)().terms()]
        optimizer = torch.optim.SGD(cast["student"].parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
        loops.append((cast, terms, optimizer, Ticking()))
    now = Progress("", 500, 1000, 0.0)

    def run(steps: int) -> list[float]:
        spent = []
        for cast, terms, optimizer, loader in loops:
            loader.steps = steps
            cast["student"].train()
            for x, y in loader:
                scene = observe(
                    cast, {"inputs": x, "labels": y}, [s for term in terms for s in term.sources], learns=("student",)
                )
                loss = sum(t.weight_at(now) * t.by(**{k: scene(s) for k, s in t.inputs.items()}).mean() for t in terms)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss.item()
            spent.append(loader.times())
        return [sum(each) for each in zip(*spent, strict=True)]

    return run


def ten_together(teacher: str, student: str, stored: bool) -> Loop:
    """The same ten in limbeck's shared pass: each batch made once, the teacher asked once."""
    from limbeck import engine, methods
    from limbeck.plan.roles import Cast
    from limbeck.plan.shared import SharedAnswers
    from limbeck.processes import keep_freed
    from limbeck.runs.sharing import SharedStreams
    from limbeck.store.planner import plan
    from limbeck.store.shelves import Store

    keep_freed()
    t, streams, answers = network(teacher), SharedStreams(made_data(), size=BATCH, seed=0), SharedAnswers()
    folder, runs = Path(tempfile.mkdtemp()), []
    for name in TEN:
        cast = Cast({"teacher": t, "student": network(student)})
        cast.lay_out()
        made = plan(methods.find(name)(), cast, streams, Store(folder) if stored else None, folds=False)
        made.draw(("train",), 0)
        fit = engine.Fit(steps=10**6, steps_per_epoch=10**6, schedule="constant", lr=1e-4)
        runs.append(engine.training(made.method, cast, made.draw, fit, 0, None, lambda kind, facts: None, None, "cpu", answers))
    states = [torch.get_rng_state()] * len(runs)

    def run(steps: int) -> list[float]:
        ticks = [time.perf_counter()]
        for _ in range(steps):
            for number, steps_of in enumerate(runs):
                torch.set_rng_state(states[number])
                next(steps_of)
                states[number] = torch.get_rng_state()
            ticks.append(time.perf_counter())
        return [b - a for a, b in zip(ticks, ticks[1:], strict=False)]

    return run


def input_only(constant: bool) -> Loop:
    """The student alone in limbeck, on real batches (crop and flip) or on one batch again and again."""
    from limbeck import engine, methods
    from limbeck.data.streams import Streams
    from limbeck.plan.roles import Cast
    from limbeck.processes import keep_freed

    keep_freed()
    cast = Cast({"student": network("resnet8")})
    cast.lay_out()
    streams = Streams(made_data(), size=BATCH, seed=0, augment="crop,flip")
    first = streams(("train",), 0)
    draw: Any = (lambda partitions, position: first) if constant else streams
    fit = engine.Fit(steps=10**6, steps_per_epoch=10**6, schedule="constant")
    steps = engine.training(methods.alone(), cast, draw, fit, 0, None, lambda kind, facts: None, None, "cpu", None)

    def run(count: int) -> list[float]:
        ticks = [time.perf_counter()]
        for _ in range(count):
            next(steps)
            ticks.append(time.perf_counter())
        return [b - a for a, b in zip(ticks, ticks[1:], strict=False)]

    return run


def contender(name: str, teacher: str, student: str) -> Loop:
    from bench import rivals
    from limbeck import methods

    makers: dict[str, Callable[[], Loop]] = {
        "student alone, by hand": lambda: by_hand(None, student),
        "kd by hand": lambda: by_hand(teacher, student),
        "kd limbeck": lambda: ours(teacher, student, methods.kd(), False),
        "kd limbeck, stored": lambda: ours(teacher, student, methods.kd(), True),
        "kd limbeck, compiled": lambda: ours(teacher, student, methods.kd(), False, compiled=True),
        "kd limbeck, stored and compiled": lambda: ours(teacher, student, methods.kd(), True, compiled=True),
        "kd torchdistill": lambda: rivals.torchdistill_kd(network(teacher), network(student), Ticking, BATCH),
        "kd KD-Lib": lambda: rivals.kd_lib(network(teacher), network(student), Ticking),
        "ten methods by hand": lambda: ten_by_hand(teacher, student),
        "ten methods limbeck, together": lambda: ten_together(teacher, student, False),
        "ten methods limbeck, together and stored": lambda: ten_together(teacher, student, True),
        "one batch again and again": lambda: input_only(True),
        "real batches, crop and flip": lambda: input_only(False),
        "attention by hand": lambda: by_hand(teacher, student, attention=True),
        "attention limbeck": lambda: ours(teacher, student, methods.attention(), False),
        "attention limbeck, stored": lambda: ours(teacher, student, methods.attention(), True),
    }
    return makers[name]()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("pair")
    parser.add_argument("threads", type=int)
    parser.add_argument("--rivals")
    chosen = parser.parse_args()
    if chosen.rivals:
        sys.path.insert(0, chosen.rivals)
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    answer, sys.stdout = sys.stdout, sys.stderr  # what a package prints is no answer
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = contender(chosen.name, *chosen.pair.split(":"))
    for line in sys.stdin:
        seconds = run(int(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
        print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024}), file=answer, flush=True)


if __name__ == "__main__":
    main()
