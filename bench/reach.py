"""Time to accuracy: when the distilled student reaches what the student alone has at its end.

    python -m bench.reach --data FOLDER --weights resnet20.th [--epochs 6] [--seeds 3]

CIFAR-10, 10,000 images, ResNet-20 (published weights) -> ResNet-8, batch 64, one-cycle rate to 0.1, crop and flip with
two views that repeat; 1,000 images are held out and looked at after every quarter of an epoch. The clock is training
time, filling the store of teacher answers included. Written to bench/results/reach.json.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "reach.json"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def curve(name: str, seed: int, chosen: argparse.Namespace) -> list[tuple[float, float]]:
    """(training seconds, accuracy on the held-out part), four times an epoch."""
    from limbeck import engine, methods
    from limbeck.data import Batches, load
    from limbeck.data.streams import Streams
    from limbeck.deploy.student import Deployed
    from limbeck.metrics.classification import accuracy
    from limbeck.plan.roles import Cast
    from limbeck.runs.settings import ModelSettings
    from limbeck.store.planner import plan
    from limbeck.store.shelves import Store
    from limbeck.tasks.predictions import predict

    data = load("cifar10", path=chosen.data, limit=11_000, validation=1000 / 11_000)
    method, cast = methods.find(name)(), Cast({})
    settings: dict[str, Any] = {"student": {"model": "resnet8"}}
    settings["teacher"] = {"model": "resnet20", "weights": chosen.weights, "mean": MEAN, "std": STD}
    for role in method.roles():
        cast.add(role, *ModelSettings.model_validate(settings[role]).build(role, data, seed))
    cast.lay_out()
    held = list(Batches(data["validation"], data, size=250, seed=0).ordered())
    spent, points, begun = 0.0, [], time.perf_counter()

    def look(_: Any) -> dict[str, float]:
        nonlocal spent, begun
        spent += time.perf_counter() - begun
        seen = predict(Deployed(cast, method.deployed).eval(), held, data.task)
        points.append((spent, accuracy(seen.logits, seen.labels)))
        begun = time.perf_counter()
        return {}

    with tempfile.TemporaryDirectory() as folder:
        streams = Streams(data, size=64, seed=seed, augment="crop,flip", cycle=2)
        made = plan(method, cast, streams, Store(Path(folder)))
        steps = streams.steps_per_epoch
        fit = engine.Fit(steps=round(chosen.epochs * steps), steps_per_epoch=steps // 4, lr=0.1)
        begun = time.perf_counter()
        engine.train(made.method, cast, made.draw, fit, seed=seed, device="cpu", validate=look)
    return points


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows = []
    for seed in range(chosen.seeds):
        alone, kd = curve("alone", seed, chosen), curve("kd", seed, chosen)
        goal = alone[-1][1]
        reached = next((seconds for seconds, value in kd if value >= goal), None)
        ratio = None if reached is None else reached / alone[-1][0]
        rows.append({"seed": seed, "goal": goal, "alone": alone, "kd": kd, "ratio": ratio})
        said = "not reached" if ratio is None else f"reached after {ratio:.2f} of the baseline's time"
        print(
            f"seed {seed}: baseline ends at {goal:.3f} after {alone[-1][0]:.0f} s; kd ends at {kd[-1][1]:.3f}; {said}", flush=True
        )
    found = [row["ratio"] for row in rows if row["ratio"] is not None]
    median = statistics.median(found) if found else None
    facts = {"epochs": chosen.epochs, "threads": chosen.threads, "median_ratio": median, "rows": rows}
    RESULTS.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
