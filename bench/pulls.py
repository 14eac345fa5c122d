"""How hard the lessons of methods pull where their weights were found: the figures that `@method(pull=...)` states.

    python -m bench.pulls --data FOLDER --weights resnet56.th [--seeds 3]

The setting is that of the papers on CIFAR as far as it can be had here: a published ResNet-56 of 93.4 % teaches a ResNet-20 with
random weights, 64 cropped and flipped images of CIFAR-10, the methods' own weights. Measured is the gradient of all lessons
together over that of the labels' term with respect to the student before the first step (`limbeck.engine.balance`): the median
over three batches, then over the seeds. Papers whose networks were others (CIFAR-100, ImageNet) are measured here all the same.
Written to bench/results/pulls.json.
"""

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results" / "pulls.json"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pull(name: str, data: Any, models: dict[str, Any], seed: int) -> float | None:
    """Of the last stage that has lessons and labels; None where there is none."""
    from limbeck import engine, methods
    from limbeck.data.streams import Streams
    from limbeck.engine.balance import balance
    from limbeck.plan.roles import Cast
    from limbeck.runs.deciding import BATCHES
    from limbeck.tasks.bind import bind

    method = bind(methods.find(name)(), data.task, None)
    cast = Cast({})
    for role in method.roles():
        cast.add(role, *models[role].build(role, data, seed))
    streams = Streams(data, size=64, seed=seed, augment="crop,flip", views=method.views)
    found = balance(method, cast, streams, engine.Fit(steps=1000, lr=0.1), device="cpu", batches=BATCHES)
    return found[-1].pull if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with cifar-10-batches-bin")
    parser.add_argument("--weights", required=True, help="state_dict of the ResNet-56")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    from limbeck import methods
    from limbeck.data import load
    from limbeck.runs.settings import ModelSettings

    data = load("cifar10", path=chosen.data, validation=0.005)
    models = {
        "teacher": ModelSettings(model="resnet56", weights=chosen.weights, mean=MEAN, std=STD),
        "student": ModelSettings(model="resnet20", mean=MEAN, std=STD),
    }
    table: dict[str, dict[str, Any]] = {}
    for name in methods.CATALOGUE:
        stated = methods.find(name)().pull
        if stated is not None:
            found = [p for seed in range(chosen.seeds) if (p := pull(name, data, models, seed)) is not None]
            table[name] = {"stated": stated, "median": float(f"{median(found):.2g}"), "seeds": [float(f"{p:.3g}") for p in found]}
            print(name, table[name], flush=True)
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
