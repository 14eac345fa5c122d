"""What a phase of a run is made of: the labels-only method of a role, the judge on validation, and a phase taken up again."""

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from limbeck import engine, methods, models
from limbeck.data import Batches, Data
from limbeck.data.streams import Streams
from limbeck.deploy.student import Deployed, used
from limbeck.plan import Method
from limbeck.plan.roles import Cast
from limbeck.tasks.predictions import predict


def validator(method: Method, data: Data) -> Callable[[Cast], Mapping[str, float]] | None:
    """What measures the deployed answer on validation; None where the data has no such part."""
    if "validation" not in data.partitions:
        return None
    batches = list(Batches(data["validation"], data, size=data.task.at_once(data.shape), seed=0).ordered())

    def validate(cast: Cast) -> Mapping[str, float]:
        if not all(name in cast for name in used(method.deployed)):
            return {}
        device = next(iter(cast.state_dict().values())).device
        seen = predict(Deployed(cast, method.deployed).to(device).eval(), batches, data.task)
        return {"accuracy": data.task.score(seen)}

    return validate


def plain_method(module: nn.Module, data: Data, role: str = "student") -> Method:
    """How a role learns from the labels alone: by gradient, or fitted at once if it has nothing to move."""
    moves = any(True for _ in module.parameters())
    return methods.find(data.task.alone)(role=role) if moves else methods.alone_tree(role=role)


def load_phase(method: Method, cast: Cast, streams: Streams, weights: Path, seed: int) -> None:
    """Make what the method adds to the cast, then load the weights of all."""
    engine.check.build_parts(method, cast, streams(("train",), 0) if method.parts else {})
    for index, stage in enumerate(method.stages):
        for action in stage.before:
            action(cast, seed=seed + index)
    models.load_weights(cast, weights, who="run")
