"""What a method costs and needs, counted from its declaration: models run, forwards, steps, parts, trainings, data.

Nothing here is measured or typed in; `limbeck plan` measures time and memory for given models and data.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from limbeck.engine.step import active_terms
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.roles import role_of
from limbeck.plan.schedules import Progress
from limbeck.plan.taps import Field, Now, Source, State, Tap, functions_of, leaves, modules_of, reads_labels
from limbeck.store.planner import frozen_roles
from limbeck.transforms.facts import facts_of

STEPS, PER_EPOCH = 300, 100  # steps that are looked at where weights change on the way


@dataclass(frozen=True)
class MethodCosts:
    """Of the dearest stage, per step: models that run, those of them that do not learn by it, forwards through whole
    models and optimiser steps. stored: models whose answers may be kept. parts: learned pieces beside the models.
    budgets: how often the run's budget is used up. fitted: fitted once, without steps. batchwise: samples of a batch are
    compared. whole_batch: gradient accumulation is refused. labels: whether any are used. needs: what else it asks for.
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
    labels: bool
    needs: tuple[str, ...]

    def __str__(self) -> str:
        words = ["fitted once, without steps" if self.fitted else f"each step {self._step()}"]
        words += [f"{_many(self.parts, 'learned part')} beside the models" + self._copies()] if self.parts else []
        words += [f"{self.budgets:g} times the run's budget"] if self.budgets > 1 else []
        words += [f"answers of {', '.join(self.stored)} can be stored"] if self.stored else []
        why = "samples of a batch are compared" if self.batchwise else "a model decides which samples count"
        words += [f"no gradient accumulation ({why})"] if self.whole_batch else []
        words += [f"needs {', '.join(self.needs)}"] if self.needs else []
        words += [] if self.labels else ["uses no labels"]
        return "; ".join(words)

    def _step(self) -> str:
        frozen = f" ({_number(self.frozen)} without gradient)" if self.frozen else ""
        return f"{_many(self.models, 'model')}{frozen}, {_many(self.forwards, 'forward')}, {_many(self.updates, 'update')}"

    def _copies(self) -> str:
        return f" ({self.copies} built of a model's own layers)" if self.copies else ""

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


def costs(method: Method) -> MethodCosts:
    """Count what a method costs."""
    runs = [_Turn.of(method, stage) for stage in method.stages]
    dearest = max(runs, key=lambda turn: (turn.forwards, turn.updates, turn.models))
    terms = [(update, term) for _, update, term in method.terms() if update.apply is None]
    batchwise = any(term.batchwise for _, term in terms)
    masked = any(not all(isinstance(x, Field | Now) for x in leaves(t.mask)) for _, t in terms if t.mask is not None)
    return MethodCosts(
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
        labels=any(reads_labels(source) for source in method.sources()),
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
        still = frozen_roles(method)
        models = frozen = forwards = 0
        for k in ways:
            now = Progress(stage.name, k, STEPS, epoch=k / PER_EPOCH)
            asked = [(u, _asked(method, [t for t, _ in active_terms(u, now)])) for u in stage.updates]
            roles = {role for _, found in asked for role, _ in found}
            models, frozen = models + len(roles), frozen + len(roles - learning)
            forwards += _forwards(asked, still)
        steps = sum(update.repeat for update in stage.updates if update.apply is None)
        return cls(models / len(ways), frozen / len(ways), forwards / len(ways), steps)


def _forwards(asked: list[tuple[Update, set[tuple[str, str]]]], still: set[str]) -> int:
    """Forwards of a turn; of a model that does not change, updates on the same batch share one."""
    alone = sum(update.repeat for update, found in asked for role, _ in found if role not in still)
    shared = {
        (role, view, update.source, k)
        for update, found in asked
        for role, view in found
        for k in range(update.repeat)
        if role in still
    }
    return alone + len(shared)


def _asked(method: Method, terms: list[Term]) -> set[tuple[str, str]]:
    """(role, view) of every forward through a model that terms ask for; a model called by name is one as well."""
    found: set[tuple[str, str]] = set()
    for source in (source for term in terms for source in term.sources):
        found |= {(leaf.role, leaf.on) for leaf in leaves(source) if isinstance(leaf, Tap) and leaf.role not in method.parts}
        found |= {(name, "called") for name in modules_of(source) if "." not in name and name not in method.parts}
    return {(role, view) for role, view in found if not _input_only(role, view, terms)}


def _input_only(role: str, view: str, terms: list[Term]) -> bool:
    """Whether all that is read of a model is its input, not its output."""
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
            asking = [u for u in stage.updates if u.apply is None and role in dict(_asked(method, list(u.terms)))]
            if asking and all(len(update.partitions) == 1 for update in asking):
                found.add(role)
    return found


def _needs(method: Method) -> Iterator[str]:
    trained = {role_of(path) for stage in method.stages for path in stage.trains}
    given = [role for role in method.roles() if role not in trained]
    read = [leaf for source in (*method.sources(), *_like(method)) for leaf in leaves(source)]
    inside = {leaf.role for leaf in read if isinstance(leaf, Tap | State) and leaf.path}
    if given:
        yield f"{' and '.join(given)} finished" + (" and open, with layers and weights" if inside & set(given) else "")
    partitions = dict.fromkeys(name for _, update in method.updates() for name in update.partitions if name != "train")
    yield from (f"{name} samples" for name in partitions if "[" not in name)
    chosen = [name for name in partitions if "[" in name]
    if chosen:
        yield f"chosen training samples ({' '.join(chosen)})"
    sources = [update.source for _, update in method.updates() if callable(update.source)]
    if any(hasattr(source, "part") for source in sources):
        yield "time to make inputs"
    if any(not hasattr(source, "part") for source in sources):
        yield "all samples of a partition in one batch"
    yield from (f"the view {name} ({view})" for name, view in method.views.items())
    if reads_boxes(method):
        yield "boxes"


def reads_boxes(method: Method) -> bool:
    """Whether labels are boxes."""
    return any(facts_of(fn).boxes for source in method.sources() for fn in functions_of(source))


def _like(method: Method) -> Iterator[Source]:
    return (source for part in method.parts.values() for source in part.like)


def _number(value: float) -> str:
    return f"{round(value, 1):g}"


def _many(value: float, what: str) -> str:
    return f"{_number(value)} {what}" + ("" if _number(value) == "1" else "s")
