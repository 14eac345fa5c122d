"""Time of one training step, limbeck beside a hand-written loop on the same work.

    python -m bench.speed [--rounds 15] [--steps 6] [--threads 2] [--pairs resnet32:resnet8,resnet56:resnet20]

CIFAR-size images (2,048 random uint8 ones in memory, no augmentation), batch 64, 100 classes, SGD with momentum.
The contenders take turns, a few steps each per round, in one process; a figure is the median over rounds of the
median step, a ratio the median of same-round ratios (with the lowest and highest). Whole loops: batches, forward,
backward, step. Written to bench/results/speed.json with the machine and versions.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from limbeck import engine, methods, models
from limbeck.data import Data, from_datasets
from limbeck.data.streams import Streams
from limbeck.engine.planner import plan
from limbeck.knowledge import Store
from limbeck.roles import Cast

RESULTS = Path(__file__).parent / "results" / "speed.json"
CLASSES, SAMPLES, BATCH = 100, 2048, 64


def made_data() -> Data:
    g = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (SAMPLES, 3, 32, 32), generator=g, dtype=torch.uint8)
    return from_datasets((images, torch.randint(0, CLASSES, (SAMPLES,), generator=g)), classes=CLASSES)


def network(name: str) -> torch.nn.Module:
    return models.build(name, classes=CLASSES, shape=(3, 32, 32))


def by_hand(teacher: str | None, student: str, data: Data, attention: bool = False) -> Callable[[int], list[float]]:
    """A plain PyTorch loop through a DataLoader; without a teacher, the student alone."""
    s, t = network(student), network(teacher).eval() if teacher else None
    optimizer = torch.optim.SGD(s.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    part = data["train"]
    dataset = torch.utils.data.TensorDataset(part.inputs, part.labels)
    loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True)
    kept: dict[str, list[torch.Tensor]] = {"s": [], "t": []}
    if attention:
        for key, net in (("s", s), ("t", t)):
            for layer in (net.layer1, net.layer2, net.layer3):
                layer.register_forward_hook(lambda _m, _i, out, key=key: kept[key].append(out))

    def look(f: torch.Tensor) -> torch.Tensor:
        return F.normalize(f.pow(2).mean(1).flatten(1))

    def run(steps: int) -> list[float]:
        s.train()
        ticks, batches = [time.perf_counter()], iter(loader)
        for _ in range(steps):
            x, y = next(batches)
            x = x.float() / 255
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
            ticks.append(time.perf_counter())
        return [b - a for a, b in zip(ticks, ticks[1:], strict=False)]

    return run


def ours(teacher: str, student: str, data: Data, method: Any, stored: Store | None) -> Callable[[int], list[float]]:
    """limbeck's engine with its defaults for images: channels-last; with a store, the teacher's answers from it."""
    cast = Cast({"teacher": network(teacher), "student": network(student)})
    cast.lay_out()
    streams = Streams(data, size=BATCH, seed=0)
    method, draw = (method, streams) if stored is None else (lambda p: (p.method, p.draw))(plan(method, cast, streams, stored))
    if stored is not None:
        draw(("train",), 0)  # filling is not a step; its cost is one teacher pass over the data

    def run(steps: int) -> list[float]:
        ticks: list[float] = []
        fit = engine.Fit(steps=steps + 1, schedule="constant")
        engine.train(
            method,
            cast,
            draw,
            fit,
            device="cpu",
            listen=lambda kind, _: ticks.append(time.perf_counter()) if kind == "step" else None,
        )
        return [b - a for a, b in zip(ticks, ticks[1:], strict=False)]

    return run


def contenders(teacher: str, student: str, data: Data, store: Store) -> dict[str, Callable[[int], list[float]]]:
    return {
        "student alone, by hand": by_hand(None, student, data),
        "kd by hand": by_hand(teacher, student, data),
        "kd limbeck, live teacher": ours(teacher, student, data, methods.kd(), None),
        "kd limbeck, stored answers": ours(teacher, student, data, methods.kd(), store),
        "attention by hand": by_hand(teacher, student, data, attention=True),
        "attention limbeck, live teacher": ours(teacher, student, data, methods.attention(), None),
        "attention limbeck, stored answers": ours(teacher, student, data, methods.attention(), store),
    }


def measure(pair: str, rounds: int, steps: int) -> dict[str, Any]:
    teacher, student = pair.split(":")
    with tempfile.TemporaryDirectory() as folder:
        runs = contenders(teacher, student, made_data(), Store(Path(folder)))
        for run in runs.values():
            run(2)
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                times[name].append(statistics.median(run(steps)))
    table = {}
    for name, found in times.items():
        rivals = ("student alone, by hand", "attention by hand" if name.startswith("attention") else "kd by hand")
        ratios = {rival: sorted(a / b for a, b in zip(found, times[rival], strict=True)) for rival in rivals}
        table[name] = {"ms": 1000 * statistics.median(found), "low_ms": 1000 * min(found), "high_ms": 1000 * max(found)}
        table[name] |= {f"ratio to {rival}": [statistics.median(r), r[0], r[-1]] for rival, r in ratios.items()}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", default="resnet32:resnet8,resnet56:resnet20")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    out: dict[str, Any] = {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "threads": chosen.threads,
        "rounds": chosen.rounds,
        "pairs": {},
    }
    for pair in chosen.pairs.split(","):
        out["pairs"][pair] = table = measure(pair, chosen.rounds, chosen.steps)
        print(f"\n{pair}\n{'contender':<36}{'ms/step':>9}{'low':>8}{'high':>8}{'/ alone':>9}{'/ by hand':>11}")
        for name, row in table.items():
            alone, hand = (v[0] for k, v in row.items() if k.startswith("ratio"))
            print(f"{name:<36}{row['ms']:>9.1f}{row['low_ms']:>8.1f}{row['high_ms']:>8.1f}{alone:>9.2f}{hand:>11.2f}")
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
