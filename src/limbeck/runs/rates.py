"""The rate probe: a tenth of the budget goes into three learning rates, and validation says which one the training gets.

The given rate, a third and three times it train a copy each, from the training's own start and on its first batches, at a steady
rate. Batch-norm's statistics are estimated again before the copies are judged, for in so few steps they have not settled. Classes
are judged by the log-likelihood of their labels at the best temperature: after ten steps accuracies are mostly chance, and
plain cross-entropy asks how large logits are. Three times the rate is taken where it is clearly better, a third only where the
given rate failed or has learned nothing in thirty steps: few steps at a steady rate like small ones better than a whole training
does. In runs of 310 steps on Fashion-MNIST (2,000 images, two seeds) labels alone reached 67.6 % at 0.05 and 73.1 % at 0.2,
standardised soft labels 71.3 and 72.7 %, and 68.3 % at 0.0125, although ten steps at a third of 0.05 beat those at 0.05 in two
of three probes.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from math import inf, sqrt

from torch import Tensor

from limbeck import engine
from limbeck.data import Batches
from limbeck.deploy.student import Deployed
from limbeck.engine import Fit, NonFinite
from limbeck.engine.check import twin_for
from limbeck.models.pieces import BATCHES, estimate_again
from limbeck.plan import Method
from limbeck.plan.roles import Cast
from limbeck.runs.sources import Sources
from limbeck.store.planner import Plan
from limbeck.tasks.figure import finite
from limbeck.tasks.predictions import NotFinite, predict

SHARE = 0.1  # of the budget, for all rates together
SPREAD = 3.0  # between neighbouring rates
LEAST = 10  # steps of each rate
WHILE = 30  # steps after which a rate has had time to learn something
CLEAR = 2.0  # standard errors of a paired difference
CLEAR_OTHERWISE = 0.02  # of the given rate's score, where only that is known


@dataclass(frozen=True)
class Tried:
    """What became of a rate: the score on validation, and the task's gauge of it where there is one, (n,); None: it failed.

    nothing: the gauge's mean where nothing is known.
    """

    score: float | None = None
    gauge: Tensor | None = None
    nothing: float = -inf

    @property
    def learned(self) -> bool:
        """Whether it knows more than nothing, as far as that is known."""
        return self.score is not None and (self.gauge is None or _apart(self.gauge - self.nothing) > CLEAR)

    def clearly_beats(self, other: "Tried") -> bool:
        """Whether it is better than another by more than chance."""
        if self.gauge is not None and other.gauge is not None:
            return _apart(self.gauge - other.gauge) > CLEAR
        return (
            self.score is not None and other.score is not None and self.score - other.score > CLEAR_OTHERWISE * abs(other.score)
        )


def _apart(values: Tensor) -> float:
    """The mean of values in its standard errors."""
    return float(values.mean() / (values.std() / sqrt(len(values))).clamp_min(1e-9))


@dataclass(frozen=True)
class Probed:
    """What a probe found: the rate, how that came about, and what it cost in seconds and samples asked of frozen roles."""

    rate: float
    why: str
    seconds: float = 0.0
    asked: int = 0


def unfit(sources: Sources, method: Method, fit: Fit) -> str:
    """Why there is no probe of this training; "" where there is one."""
    if all(update.apply is not None for _, update in method.updates()):
        return "nothing is trained by gradient"
    if "validation" not in sources.data.partitions:
        return "there is no validation part"
    if steps_each(fit) < LEAST:
        return f"{fit.steps} steps are too few for one in a tenth of them"
    return ""


def steps_each(fit: Fit) -> int:
    """Steps that each rate is tried for."""
    return int(SHARE * fit.steps / 3)


def rates_of(given: float) -> tuple[float, float, float]:
    """The rates that are tried, the given one first.

    >>> rates_of(0.3)
    (0.3, 0.1, 0.9)
    """
    return given, float(f"{given / SPREAD:.3g}"), float(f"{given * SPREAD:.3g}")


def best_of(tried: Mapping[float, Tried], given: float, steps: int) -> float:
    """The rate to train with after so many steps of each: a larger one that is clearly better, a smaller one only where the given
    rate failed, or has learned nothing in a while."""
    own = tried[given]
    for rate in sorted(tried, reverse=True):
        other = tried[rate]
        if rate > given and other.learned and (other.clearly_beats(own) or own.score is None):
            return rate
        if rate < given and other.learned and (own.score is None or (steps >= WHILE and not own.learned)):
            return rate
    return given


def probe(sources: Sources, who: str, method: Method, cast: Cast, planned: Plan, fit: Fit) -> Generator[None, None, Probed]:
    """Try the rates, stopping after every step; the cast stays as it is."""
    start, asked, tried = time.monotonic(), 0, dict[float, Tried]()
    steps = steps_each(fit)
    for rate in rates_of(fit.lr):
        twin = twin_for(method, cast)
        twin.stand_ins = dict(planned.stand_ins)
        short = replace(fit, steps=steps, lr=rate, schedule="constant", warmup=None, best=False, patience=None)
        short = replace(short, compile=False, cuda_graphs=False)
        try:
            left = yield from engine.training(
                planned.method,
                twin,
                planned.draw,
                short,
                seed=sources.recipe.seed,
                folder=None,
                listen=lambda kind, facts: None,
                validate=None,
                device=sources.recipe.on,
                answers=None,
            )
            asked += left.answered
            tried[rate] = _judged(sources, method, twin)
        except (NonFinite, NotFinite):
            tried[rate] = Tried()
    score, chosen = sources.data.task.figures[0].facts(), best_of(tried, fit.lr, steps)
    shown = ", ".join(f"{rate:g} {'failed' if t.score is None else score.text(t.score)}" for rate, t in sorted(tried.items()))
    why = f"{who}: learning rate {chosen:g} of those probed for {steps} steps each, by validation ({shown}; train.probe)"
    return Probed(chosen, why, time.monotonic() - start, asked)


def _judged(sources: Sources, method: Method, cast: Cast) -> Tried:
    """What was trained for a few steps, on validation."""
    data, streams = sources.data, sources.streams(method)
    if "student" in cast:
        batches = (streams(("train",), position)["inputs"] for position in range(BATCHES))
        estimate_again(cast["student"], (cast.feed("student", inputs) for inputs in batches))
    part = Batches(data["validation"], data, size=data.task.at_once(data.shape), seed=0)
    seen = predict(Deployed(cast, method.deployed).to(cast.device).eval(), part.ordered(), data.task)
    gauge = data.task.gauge(seen)
    return Tried(finite(data.task.score(seen)), *(gauge or ()))
