"""What a run finds out before it trains a student: how hard lessons pull, and what brings them to the pull they had.

A published weight of a loss on layers or relations holds for the networks it was found with: with others the same number may
pull a thousand times as hard. So the gradient of all lessons together over that of the labels' terms is measured on a few
batches, at the student's random start. Where it is below what the method states of the setting that its weights were found in
(`Method.pull`), lessons are weighed up to it; where it is above that and above `MUCH`, down to the larger of the two. On 300
digits (seeds 0 to 2, labels alone 90.9 %) `attention` pulls 1,600 times as hard as the labels and reached 59 %; at 0.3 to 30
times it reached 91 to 92 %, `neuron_selectivity` 81 % at 37 and 89 % at 10, `factor_transfer_code` 78 % at 446 and 91 % at 10;
`mgd_code` 90.6 % at 0.0007 and 93.6 % at 0.2. But `rkd` reached 95 % at 41 times, 94 % at 10 and 92 % at the 0.7 that it states,
and `pkt` is alike: what is within the bounds stays as it is.
"""

import hashlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from limbeck import processes
from limbeck.engine import Fit
from limbeck.engine.balance import Balance, balance, rescaled, too_large
from limbeck.files import atomic_write
from limbeck.plan import Method
from limbeck.plan.roles import Cast
from limbeck.runs import rates
from limbeck.runs.decided import Decided, PullFacts
from limbeck.runs.folder import RECIPE
from limbeck.runs.recipes import dump, load, make
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import Sources
from limbeck.store.planner import Plan
from limbeck.tasks.keeping import LONGER, STARTED

BATCHES = 3  # on which the pull is measured
MUCH = 10.0  # times the labels' gradient
UP = 1000.0  # that lessons are weighed times at most


def of(recipe: Recipe) -> str:
    """The hash of a recipe's settings without what was found out for them."""
    return hashlib.sha256(dump(recipe.undecided()).encode()).hexdigest()[:16]


def known(recipe: Recipe, folder: Path) -> Decided:
    """What was found out for these settings: in an earlier go of the run, or by the run that its recipe is of."""
    own = recipe.decided
    if (folder / RECIPE).exists():
        own = make(load(folder / RECIPE), str(folder / RECIPE)).decided
    return own if own.of == of(recipe) else Decided(of=of(recipe))


def keep(recipe: Recipe, decided: Decided, folder: Path) -> None:
    """Write the recipe with what was found out in place of the one without it."""
    with atomic_write(folder / RECIPE, text=True) as file:
        file.write(dump(recipe.undecided().model_copy(update={"decided": decided})))


def scales_of(method: Method, pulls: Mapping[str, float], wanted: bool | None) -> dict[str, float]:
    """What lessons are to be weighed times, by the number of their update; those that stay as they are, are left out.

    wanted: as the setting `train.balance`.
    """
    stated = method.pull
    if wanted is False or (wanted is None and (stated is None or own_weights(method))):
        return {}
    low = stated or 0.0
    bounded = {number: min(max(pull, low), max(low, MUCH)) / pull for number, pull in pulls.items() if pull > 0}
    return {number: float(f"{min(factor, UP):.3g}") for number, factor in bounded.items() if factor != 1}


def own_weights(method: Method) -> list[str]:
    """The numbers among a method's settings that are not its defaults, by name: weights that somebody chose for this run."""
    if method.declared is None:
        return []
    usual = method.declared().arguments
    given = {key: value for key, value in method.arguments.items() if key not in method.by_classes}
    return [key for key, value in given.items() if isinstance(value, int | float) and value != usual.get(key)]


def words(method: Method, decided: Decided) -> list[str]:
    """What to say of the lessons' weights; nothing where they are as declared."""
    found = []
    for number, factor in decided.scales.items():
        was, now = decided.pulls[number], decided.pulls[number] * factor
        found.append(
            f"{method.name}: lessons x {factor:.3g}, so that they pull {now:.2g} times as hard as the labels instead of "
            f"{was:.3g} times, for their weights were found with other networks; train.balance = false leaves them"
        )
    return found


def facts(method: Method, decided: Decided) -> list[PullFacts]:
    """The same as a card holds it, update by update."""
    stages = [stage.name for stage, _ in method.updates()]
    pairs = [(number, pull, pull * decided.scales.get(number, 1.0)) for number, pull in decided.pulls.items()]
    return [
        {"stage": stages[int(number)], "declared": was, "trained": float(f"{now:.3g}"), "stated": method.pull}
        for number, was, now in pairs
    ]


def decide(sources: Sources, decided: Decided) -> tuple[Decided, list[str]]:
    """Measure the pull of each update with lessons and labels; with sentences of terms that overwhelm the labels all the same."""
    method, streams, recipe = sources.method, sources.streams(), sources.recipe
    fit = sources.fit(streams, "student")
    found = balance(sources.lean(method, join=False), sources.cast, streams, fit, device=recipe.on, batches=BATCHES)
    pulls = {str(each.update): float(f"{each.pull:.3g}") for each in found}
    scales = scales_of(method, pulls, recipe.train.balance)
    trained = [_times(each, scales.get(str(each.update), 1.0)) for each in found]
    return decided.model_copy(update={"pulls": pulls, "scales": scales}), too_large(trained)


def _times(found: Balance, factor: float) -> Balance:
    return replace(found, ratios={name: ratio * factor for name, ratio in found.ratios.items()}, pull=found.pull * factor)


@dataclass
class Decisions:
    """What a run finds out before its trainings: out of its folder or recipe where it is known, else measured, said and kept."""

    sources: Sources
    folder: Path
    note: Callable[[list[str]], None]
    decided: Decided = field(init=False)

    def __post_init__(self) -> None:
        self.decided = known(self.sources.recipe, self.folder)

    def weighed(self) -> Method:
        """The method with its lessons as they are to be weighed."""
        trained = (self.folder / "weights" / "student.json").exists()
        if not processes.several() and not trained and not self.decided.pulls:
            self.decided, notes = decide(self.sources, self.decided)
            self.note(notes)
            if self.decided.pulls:
                keep(self.sources.recipe, self.decided, self.folder)
        self.note(words(self.sources.method, self.decided))
        return self.as_trained()

    def as_trained(self) -> Method:
        """The same, once it is known."""
        return rescaled(self.sources.method, {int(number): factor for number, factor in self.decided.scales.items()})

    def rated(
        self, who: str, method: Method, cast: Cast, planned: Plan, fit: Fit
    ) -> Generator[None, None, tuple[Fit, tuple[float, float]]]:
        """The budget with the rate that was probed, where it is to be, and what the probe cost: seconds, and samples asked.

        The rate of LONGER is that of its baseline.
        """
        sources, first = self.sources, {LONGER: STARTED if self.sources.starts else "baseline"}.get(who, who)
        if not sources.recipe.train.probe or who in sources.untrained() or processes.several():
            return fit, (0.0, 0.0)
        if first not in self.decided.rates:
            if why := rates.unfit(sources, method, fit):
                self.note([f"{who}: no rate was probed: {why}"])
                return fit, (0.0, 0.0)
            found = yield from rates.probe(sources, who, method, cast, planned, fit)
            self.decided = self.decided.with_rate(who, found.rate, found.why, (round(found.seconds, 2), found.asked))
            keep(sources.recipe, self.decided, self.folder)
        self.note([self.decided.why[first]])
        spent = self.decided.spent[who] if first == who else (0.0, 0.0)
        return replace(fit, lr=self.decided.rates[first]), spent
