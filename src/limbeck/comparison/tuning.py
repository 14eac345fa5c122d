"""An equal-size search of settings for every entry of a comparison: the same number of trials, chosen on validation.

The test part is not read here. A trial is a folder with `trial.json`; what is there is not run again.
"""

import inspect
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NotRequired

from typing_extensions import TypedDict

from limbeck import methods
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.files import read_json, write_json
from limbeck.runs.inputs import OtherInputs
from limbeck.runs.session import Session, validation_score
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import open_sources

FILE, VERSION = "trial.json", 1
SPREAD = 3.0  # settings are drawn between a third and three times what they are by default


@dataclass(frozen=True)
class TrialSettings:
    """What one trial was run with: the learning rate and the method's own arguments."""

    lr: float
    arguments: Mapping[str, object]

    def on(self, recipe: Recipe) -> Recipe:
        """A recipe with these settings."""
        method = recipe.method.model_copy(update={"arguments": dict(self.arguments)})
        return recipe.model_copy(update={"method": method, "train": recipe.train.model_copy(update={"lr": self.lr})})


class TrialFile(TypedDict):
    """What trial.json holds: the settings, and the score on validation or why there is none."""

    version: int
    lr: float
    arguments: dict[str, object]
    score: NotRequired[float]
    error: NotRequired[str]


def drawn(method: str, arguments: Mapping[str, object], lr: float, number: int, name: str) -> TrialSettings:
    """The settings of a trial; number 0 are the given ones.

    The learning rate and every float argument of the method (weights, temperatures, shares) are drawn
    independently, log-uniformly between a third and three times its value; one between 0 and 1, on the logits of
    it, so that it stays there. A given argument is where its own draw is centred.
    """
    if number == 0:
        return TrialSettings(lr, dict(arguments))
    random = Random(zlib.crc32(f"{name} {number}".encode()))
    made = dict(arguments)
    for key, parameter in inspect.signature(methods.find(method)).parameters.items():
        value = arguments.get(key, parameter.default)
        if isinstance(value, float) and value > 0:
            made[key] = _moved(value, random)
    return TrialSettings(_scaled(lr, random), made)


def _moved(value: float, random: Random) -> float:
    if value < 1:
        odds = value / (1 - value) * math.exp(random.uniform(-1, 1) * math.log(SPREAD))
        return float(f"{odds / (1 + odds):.4g}")
    return _scaled(value, random)


def _scaled(value: float, random: Random) -> float:
    return float(f"{value * math.exp(random.uniform(-1, 1) * math.log(SPREAD)):.4g}")


def tuned(
    recipe: Recipe, name: str, trials: int, folder: Path, say: Callable[[str], None]
) -> tuple[TrialSettings, list[TrialFile]]:
    """The settings of the best of so many trials by the score on validation, and what all of them gave.

    recipe: with its method and seed. A trial that fails counts as tried. Raises `UserError` if all of them failed.
    """
    given, found = recipe.method, list[TrialFile]()
    for number in range(trials):
        trial = drawn(given.name, given.arguments, recipe.train.lr, number, name)
        place = folder / f"trial-{number}"
        if not (place / FILE).exists():
            _try(trial.on(recipe), place)
        kept = read_json(place / FILE, TrialFile, VERSION)
        found.append(kept)
        gave = f"failed: {kept['error']}" if "error" in kept else f"{kept['score']:.4f} on validation"
        say(f"{name}, trial {number + 1} of {trials}: {gave}")
    good = [kept for kept in found if "error" not in kept]
    if not good:
        raise UserError(f"every trial of {name} failed; the first: {found[0]['error']}")
    best = max(good, key=lambda kept: kept["score"])  # the earliest of equals
    return TrialSettings(best["lr"], best["arguments"]), found


def _try(recipe: Recipe, place: Path) -> None:
    facts = TrialFile(version=VERSION, lr=recipe.train.lr, arguments=recipe.method.arguments)
    place.mkdir(parents=True, exist_ok=True)
    try:
        sources = open_sources(recipe)
        facts["score"] = validation_score(last(Session(sources, place, among=place.parents[2]).learning()), sources.data)
    except OtherInputs:
        raise
    except UserError as error:
        if isinstance(error.__cause__, OSError):
            raise
        facts["error"] = str(error)
    write_json(place / FILE, facts)
