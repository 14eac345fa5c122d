"""What a method costs and needs, counted from its declaration: models run, forwards, steps, parts, trainings, data.

Nothing here is measured or typed in; `limbeck plan` measures time and memory for given models and data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from limbeck import boxes, quantise
from limbeck.engine.planner import frozen_roles
from limbeck.engine.step import active_terms
from limbeck.plan import Method, Progress, Stage, Term, Update
from limbeck.roles import role_of
from limbeck.taps import Field, State, Tap, functions_of, leaves, modules_of

STEPS, PER_EPOCH = 300, 100  # steps that are looked at where weights change on the way
MADE = {"part": "makes its own inputs", "partition": "reads all of a partition at once"}
MEASURED = ("unlabelled", "validation", "public")


@dataclass(frozen=True)
class Costs:
    """Of the dearest stage, per step: models that run, those of them that do not learn by it, forwards through whole
    models and optimiser steps. stored: models whose answers may be kept. parts: learned pieces beside the models.
    budgets: how often the run's budget is used up. fitted: fitted once, without steps. batchwise: samples of a batch are
    compared. whole_batch: gradient accumulation is refused. needs: what it asks for beside labelled training samples.
    """

    models: float
    frozen: float
    stored: tuple[str, ...]
    forwards: float
    updates: int
    parts: int
    copies: int
    budgets: float
    fitted: bool
    batchwise: bool
    whole_batch: bool
    needs: tuple[str, ...]

    def __str__(self) -> str:
        words = ["fitted once, without steps" if self.fitted else f"each step {self._step()}"]
        words += [f"{_many(self.parts, 'learned part')} beside the models" + self._copies()] if self.parts else []
        words += [f"{self.budgets:g} times the run's budget"] if self.budgets > 1 else []
        words += [f"answers of {', '.join(self.stored)} can be stored"] if self.stored else []
        why = "samples of a batch are compared" if self.batchwise else "a model decides which samples count"
        words += [f"no gradient accumulation ({why})"] if self.whole_batch else []
        words += [f"needs {', '.join(self.needs)}"] if self.needs else []
        return "; ".join(words)

    def _step(self) -> str:
        frozen = f" ({_number(self.frozen)} frozen)" if self.frozen else ""
        return f"{_many(self.models, 'model')}{frozen}, {_many(self.forwards, 'forward')}, {_many(self.updates, 'update')}"

    def _copies(self) -> str:
        return f" ({self.copies} of them copies of a model's layers)" if self.copies else ""

    @property
    def brief(self) -> str:
        """In a few words, for a table.

        >>> from limbeck import methods
        >>> costs(methods.assistant()).brief
        '2 models, 2 forwards, 2 x budget'
        """
        if self.fitted:
            return "fitted once"
        words = [_many(self.models, "model"), _many(self.forwards, "forward")]
        return ", ".join(words + ([f"{self.budgets:g} x budget"] if self.budgets > 1 else []))


def costs(method: Method) -> Costs:
    """Count what a method costs."""
    runs = [_Turn.of(method, stage) for stage in method.stages]
    dearest = max(runs, key=lambda turn: (turn.forwards, turn.updates))
    terms = [(update, term) for _, update, term in method.terms() if update.apply is None]
    batchwise = any(term.batchwise for _, term in terms)
    masked = any(not all(isinstance(x, Field) for x in leaves(t.mask)) for _, t in terms if t.mask is not None)
    return Costs(
        models=dearest.models,
        frozen=dearest.frozen,
        stored=tuple(sorted(_storable(method))),
        forwards=dearest.forwards,
        updates=dearest.updates,
        parts=len(method.parts),
        copies=sum(bool(part.copies) for part in method.parts.values()),
        budgets=round(sum(stage.share for stage in method.stages if stage.steps is None), 6),
        fitted=not terms,
        batchwise=batchwise,
        whole_batch=batchwise or masked,
        needs=tuple(dict.fromkeys(_needs(method))),
    )


# ------------------------------------------------------------------------------------------------ a step


@dataclass(frozen=True)
class _Turn:
    """Means over the steps of a stage, every update having its turn in each."""

    models: float
    frozen: float
    forwards: float
    updates: int

    @classmethod
    def of(cls, method: Method, stage: Stage) -> "_Turn":
        changing = any(callable(term.weight) for update in stage.updates for term in update.terms)
        ways = range(STEPS if changing else 1)
        learning = {role_of(path) for path in stage.trains}
        models = frozen = forwards = 0
        for k in ways:
            now = Progress(stage.name, k, STEPS, epoch=k / PER_EPOCH)
            asked = [(u, _asked(method, [t for t, _ in active_terms(u, now)])) for u in stage.updates]
            roles = {role for _, found in asked for role, _ in found}
            models, frozen = models + len(roles), frozen + len(roles - learning)
            forwards += sum(update.repeat * len(found) for update, found in asked)
        steps = sum(update.repeat for update in stage.updates if update.apply is None)
        return cls(models / len(ways), frozen / len(ways), forwards / len(ways), steps)


def _asked(method: Method, terms: list[Term]) -> set[tuple[str, str]]:
    """(role, view) of every forward through a model that terms ask for; a model called by name is one as well."""
    found: set[tuple[str, str]] = set()
    for source in (source for term in terms for source in term.sources):
        found |= {(leaf.role, leaf.on) for leaf in leaves(source) if isinstance(leaf, Tap) and leaf.role not in method.parts}
        found |= {(name, "called") for name in modules_of(source) if "." not in name and name not in method.parts}
    return {(role, view) for role, view in found if not _input_only(role, view, terms)}


def _input_only(role: str, view: str, terms: list[Term]) -> bool:
    """Whether all that is read of a model is what it is given, not what it says."""
    taps = (leaf for t in terms for s in t.sources for leaf in leaves(s) if isinstance(leaf, Tap) and leaf.role == role)
    of_view = [tap for tap in taps if tap.on == view]
    return bool(of_view) and all(tap.io == "input" and not tap.path for tap in of_view)


# ------------------------------------------------------------------------------------------------ data


def _storable(method: Method) -> set[str]:
    """Models that nothing changes and that see one partition of real samples in some stage: as the planner has it, where
    views repeat."""
    found = set()
    for role in frozen_roles(method):
        for stage in method.stages:
            asking = [u for u in stage.updates if any(role == name for name, _ in _asked(method, list(u.terms)))]
            if asking and all(len(update.partitions) == 1 for update in asking):
                found.add(role)
    return found


def _needs(method: Method) -> Iterator[str]:
    given = [role for role in method.roles() if role not in {role_of(path) for stage in method.stages for path in stage.trains}]
    inside = {tap.role for tap in method.taps() if tap.path} | {s.role for s in _states(method)}
    if given:
        yield f"{', '.join(given)} finished" + (" and open to look inside" if inside & set(given) else "")
    for _, update in method.updates():
        yield from _of_source(update)
    for name, view in method.views.items():
        yield f"the view {name} ({view})"
    if any(vars(boxes).get(getattr(fn, "__name__", "")) is fn for source in method.sources() for fn in functions_of(source)):
        yield "boxes"
    if any(isinstance(action, quantise.Quantise) for stage in method.stages for action in stage.before):
        yield "a student that may be quantised"
    if not any(isinstance(leaf, Field) and leaf.key == "labels" for source in method.sources() for leaf in leaves(source)):
        yield "no labels"


def _of_source(update: Update) -> Iterator[str]:
    for partition in update.partitions:
        if partition != "train":
            kept = "samples" if partition in MEASURED else "of the training samples"
            yield f"{partition} samples" if kept == "samples" else partition
    if callable(update.source):
        yield "inputs that it makes itself" if hasattr(update.source, "part") else "a whole partition at once"


def _states(method: Method) -> Iterator[State]:
    return (leaf for source in method.sources() for leaf in leaves(source) if isinstance(leaf, State))


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _many(value: float, what: str) -> str:
    return f"{_number(value)} {what}" + ("" if _number(value) == "1" else "s")
