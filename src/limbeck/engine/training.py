"""Training, from outside: run a plan to its end, step by step, or only check that it would run."""

from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import torch

from limbeck.engine.fit import Fit
from limbeck.engine.loop import Loop, accelerator_of
from limbeck.engine.state import BatchSource, EngineListener, EventFacts, Placed, Trained
from limbeck.engine.turns import last
from limbeck.plan import Method
from limbeck.plan.roles import Cast
from limbeck.plan.shared import SharedAnswers


def train(
    method: Method,
    cast: Cast,
    draw: BatchSource,
    fit: Fit,
    *,
    seed: int = 0,
    folder: Path | None = None,
    listen: EngineListener | None = None,
    validate: Callable[[Cast], Mapping[str, float]] | None = None,
    device: str | None = None,
    answers: SharedAnswers | None = None,
) -> Trained:
    """Run a method's plan on a cast and return the learning curve, one record per epoch, and the cost.

    The cast is trained in place; parts and promoted roles are added to it. With `folder`, checkpoints
    are kept there and a second call with the same arguments continues where the first one stopped, to
    the same final bits. `listen(kind, facts)` hears "stage", "step", "epoch" and "say" events.
    Raises `UserError` before the first step if the plan cannot work, `NonFinite` if it breaks later.
    answers: shared by runs that take turns (see `training`).
    """
    return last(training(method, cast, draw, fit, seed, folder, listen or _silent, validate, device, answers))


def training(
    method: Method,
    cast: Cast,
    draw: BatchSource,
    fit: Fit,
    seed: int,
    folder: Path | None,
    listen: EngineListener,
    validate: Callable[[Cast], Mapping[str, float]] | None,
    device: str | None,
    answers: SharedAnswers | None,
) -> Generator[None, None, Trained]:
    """`train`, step by step: it stops after every step, so that several runs can take turns.

    Who takes turns must give every run its own random state back (see `turns.take_turns`).
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return (yield from Loop(method, cast, draw, fit, seed, folder, listen, validate, device, answers).go())


def place(cast: Cast, draw: BatchSource, fit: Fit, *, device: str | None = None) -> torch.device:
    """Move a cast, and the samples where they fit into a quarter of its free memory, to where `train` will run; say where."""
    found = accelerator_of(fit.precision, device == "cpu").device
    if found.type == "cuda" and isinstance(draw, Placed):
        draw.to(found, torch.cuda.mem_get_info(found)[0] // 4)
    cast.to(found)
    return found


def rehearse(method: Method, cast: Cast, draw: BatchSource, fit: Fit, *, device: str | None = None) -> None:
    """Everything that `train` checks before its first step, and nothing else: the cast stays as it was.

    Raises `UserError` if the plan cannot work.
    """
    before = set(cast)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            Loop(method, cast, draw, fit, 0, None, _silent, None, device, None).prepare(resuming=False)
        finally:
            for part in set(cast) - before:
                del cast[part]


def _silent(kind: str, facts: EventFacts) -> None:
    pass
