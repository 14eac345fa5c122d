"""Leaving a network early: what a threshold on confidence gains in time and costs in accuracy.

A sample leaves at the first exit whose largest probability reaches the threshold, else at the last one.
Letters: n samples, C classes, e exits from shallow to deep.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import TypedDict

from limbeck.data import Batches, Data
from limbeck.deploy.measure import latency
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.plan.kinds import Value
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast, in_evaluation
from limbeck.plan.taps import Source
from limbeck.tasks.predictions import predict


class Exit(TypedDict):
    """An exit: its accuracy if all left there, what it needs, and how long a sample takes that does."""

    name: str
    accuracy: float
    parameters: int
    latency_ms: float


class Threshold(TypedDict):
    """What a threshold on confidence gives: the share of samples that leaves at each exit, and the mean time."""

    threshold: float
    accuracy: float
    shares: list[float]
    latency_ms: float


class Exits(TypedDict):
    """`measure_exits` on a card."""

    exits: list[Exit]
    thresholds: list[Threshold]


THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def leave(logits: Sequence[Tensor], labels: Tensor, threshold: float) -> tuple[float, list[float]]:
    """Return (accuracy, the share of samples that leaves at each exit) of logits (n, C) per exit.

    >>> sure, unsure = torch.tensor([[9.0, 0.0], [0.1, 0.0]]), torch.tensor([[0.0, 9.0], [0.0, 9.0]])
    >>> leave([sure, unsure], torch.tensor([0, 1]), 0.9)
    (1.0, [0.5, 0.5])
    """
    if not logits or not 0 <= threshold <= 1:
        raise UserError(f"leaving early needs at least one exit and a threshold from 0 to 1, got {len(logits)} and {threshold}")
    where = torch.full_like(labels, len(logits) - 1)
    for k in reversed(range(len(logits) - 1)):
        where[logits[k].softmax(1).amax(1) >= threshold] = k
    answers = torch.stack([z.argmax(1) for z in logits]).gather(0, where[None])[0]
    counts = torch.bincount(where, minlength=len(logits))
    return (answers == labels).float().mean().item(), (counts / len(labels)).tolist()


def measure_exits(
    cast: Cast, exits: Mapping[str, Source], data: Data, example: Value, thresholds: Sequence[float] = THRESHOLDS
) -> Exits:
    """Accuracy and mean cost per threshold on the judged part, ready for JSON.

    Returns "exits" (name, accuracy, parameters, and latency_ms of a sample that leaves there, the exits before it having
    been asked too; batch 1, one thread) and "thresholds" (threshold, accuracy, shares, latency_ms: the mean of the exits'
    latencies by their shares).
    """
    batches = Batches(data.judged, data, size=256, seed=0)
    models = {name: Deployed(cast, source).eval() for name, source in exits.items()}
    seen = {name: predict(model, batches.ordered(), data.task) for name, model in models.items()}
    labels, logits = next(iter(seen.values())).labels, [found.logits for found in seen.values()]
    sources, times = list(exits.values()), []
    for k in range(len(sources)):
        times.append(_time(cast, sources[: k + 1], example))
    facts: list[Exit] = [
        {
            "name": name,
            "accuracy": (seen[name].logits.argmax(1) == labels).float().mean().item(),
            "parameters": model.parameter_count(example),
            "latency_ms": time,
        }
        for (name, model), time in zip(models.items(), times, strict=True)
    ]
    rows: list[Threshold] = []
    for threshold in thresholds:
        accuracy, shares = leave(logits, labels, threshold)
        mean = sum(share * time for share, time in zip(shares, times, strict=True))
        rows.append({"threshold": threshold, "accuracy": accuracy, "shares": shares, "latency_ms": mean})
    return {"exits": facts, "thresholds": rows}


def _time(cast: Cast, sources: Sequence[Source], example: Value) -> float:
    """Median milliseconds of one sample up to the last of these exits; the network stops there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with in_evaluation(cast), torch.no_grad():

            def answer() -> None:
                scene = observe(cast, {"inputs": example[:1]}, sources, shorten=True)
                for source in sources:
                    scene(source)

            return float(latency(answer, seconds=1.0)["median"])
    finally:
        torch.set_num_threads(threads)
