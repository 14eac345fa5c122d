"""A published ResNet-56 teaches a ResNet-8 on CIFAR-10: four methods and more, against the same-budget baseline.

    python -m bench.cifar10 --data FOLDER --weights resnet56.th [--workers 2]

Each (method, seed) is one line of bench/results/cifar10.jsonl; what is there already is not run again. The
recipe is fixed beforehand and nothing is chosen by its result: 15 epochs, batch 64, SGD with momentum 0.9 and
one-cycle rate to 0.1, weight decay 5e-4, crop and flip, teacher and student on the same view, five views that
repeat. 100 of the training images are held out (for the curve); the test part is read once, after the last epoch.
"""

import argparse
import json
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "cifar10.jsonl"
METHODS: dict[str, dict[str, Any]] = {
    "alone": {},
    "kd": {"temperature": 4.0, "alpha": 0.9},
    "kd_standardised": {"temperature": 2.0},
    "dkd": {},
    "attention": {},
    "fitnets": {},
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def one(job: tuple[str, int, str, str, float, int]) -> None:
    name, seed, path, weights, epochs, threads = job
    import torch

    torch.set_num_threads(threads)
    from limbeck import engine, methods
    from limbeck.data import Batches, load
    from limbeck.data.streams import Streams
    from limbeck.deploy.student import Deployed
    from limbeck.plan.roles import Cast
    from limbeck.runs.settings import ModelSettings
    from limbeck.store.planner import plan
    from limbeck.store.shelves import Store
    from limbeck.tasks.predictions import predict

    data = load("cifar10", path=path, validation=0.005)
    settings = {
        "teacher": ModelSettings(model="resnet56", weights=weights, mean=MEAN, std=STD),
        "student": ModelSettings(model="resnet8"),
    }
    cast = Cast({})
    method = methods.find(name)(**METHODS[name])
    for role in dict.fromkeys((*method.roles(), "teacher")):
        cast.add(role, *settings[role].build(role, data, seed))
    cast.lay_out()
    streams = Streams(data, size=64, seed=seed, augment="crop,flip", cycle=5)
    made = plan(method, cast, streams, Store(limit=3 * 2**30))
    for decision in made.decisions:
        print(name, seed, decision, flush=True)
    fit = engine.Fit(steps=round(epochs * streams.steps_per_epoch), steps_per_epoch=streams.steps_per_epoch, lr=0.1)
    start = time.monotonic()
    trained = engine.train(made.method, cast, made.draw, fit, seed=seed, device="cpu")
    seconds = time.monotonic() - start
    test = Batches(data["test"], data, size=250, seed=0)
    student, teacher = (predict(Deployed(cast, t).eval(), test.ordered(), data.task) for t in (method.deployed, _tap("teacher")))
    facts = data.task.measure(student, data.classes, teacher)
    line = {
        "method": name,
        "arguments": METHODS[name],
        "seed": seed,
        "epochs": epochs,
        "score": facts.score,
        "worst": None if facts.worst is None else vars(facts.worst),
        "agreement": facts.figures["agreement_with_teacher"],
        "calibration_error": facts.figures["calibration_error"],
        "seconds": round(seconds, 1),
        "steps": trained.steps,
        "terms": trained.history[-1]["terms"],
    }
    with RESULTS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(line, flush=True)


def _tap(role: str) -> Any:
    from limbeck.plan.taps import Tap

    return Tap(role)


def table() -> str:
    """Mean and 95 % interval per method (Student's t), and the paired difference to the baseline."""
    import numpy as np
    from scipy import stats

    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    by = {name: {r["seed"]: 100 * r["score"] for r in rows if r["method"] == name} for name in METHODS}
    out = [f"{'method':<18}{'seeds':>6}{'mean':>8}{'+-':>6}{'minus alone':>13}{'+-':>6}"]
    for name, found in by.items():
        if not found:
            continue
        values = np.array(list(found.values()))
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        gaps = np.array([found[s] - by["alone"][s] for s in found if s in by["alone"]])
        wide = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5 if len(gaps) > 1 else float("nan")
        gap = gaps.mean() if len(gaps) else float("nan")
        out.append(f"{name:<18}{len(values):>6}{values.mean():>8.2f}{half:>6.2f}{gap:>13.2f}{wide:>6.2f}")
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with cifar-10-batches-bin")
    parser.add_argument("--weights", help="state_dict of the ResNet-56")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=15)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    if chosen.data:
        RESULTS.parent.mkdir(exist_ok=True)
        done = (
            {(r["method"], r["seed"]) for r in map(json.loads, RESULTS.read_text().splitlines())} if RESULTS.exists() else set()
        )
        jobs = [
            (name, seed, chosen.data, chosen.weights, chosen.epochs, chosen.threads)
            for seed in range(chosen.seeds)
            for name in METHODS
            if (name, seed) not in done
        ]
        with get_context("spawn").Pool(chosen.workers, maxtasksperchild=1) as pool:
            pool.map(one, jobs, chunksize=1)
    print(table())


if __name__ == "__main__":
    main()
