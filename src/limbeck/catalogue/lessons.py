"""Who learns what from whom, and how it is compared: the terms of a method that carry knowledge, read from the declaration
and from the facts of the functions that it names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from limbeck.losses import Traits
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.roles import role_of
from limbeck.plan.taps import Field, Source, State, Tap, Via, detach, leaves, modules_of
from limbeck.transforms.facts import call_text, facts_of, plain

LABELS = ("labels", "labelled", "inputs", "index", "made")  # fields of a batch that are no model's answers


@dataclass(frozen=True)
class Lesson:
    """One term that carries knowledge: who learns, from which sources of whom."""

    stage: Stage
    update: Update
    term: Term
    learners: tuple[str, ...]
    mentors: tuple[Tap | State | Field, ...]


def lessons(method: Method) -> Iterator[Lesson]:
    """The terms in which a role learns from a model's answer (a task loss on labels is none).

    What a learned part was taught elsewhere counts for the role that is then taught through it: a
    student that fools a judge learns from the teacher whom the judge has seen. So does what inputs
    were taught that a part holds and a source of batches takes from it.
    """
    taught: dict[str, dict[Tap | State | Field, None]] = {}
    for _, update, term in method.terms():
        for part in {role_of(path) for path in update.trains} & set(method.parts):
            learners, mentors = _sides(method, update, term)
            taught.setdefault(part, {}).update(dict.fromkeys(mentors))
    for stage, update, term in method.terms():
        learners, mentors = _sides(method, update, term)
        through = {name for source in term.inputs.values() for name in modules_of(source)} - set(update.trains)
        for part in through:
            mentors += tuple(m for m in taught.get(part, ()) if getattr(m, "role", "") not in learners)
        made = getattr(update.source, "part", "")
        mentors += tuple(m for m in taught.get(made, ()) if getattr(m, "role", "") not in ("", *learners))
        if mentors and learners:
            yield Lesson(stage, update, term, learners, tuple(dict.fromkeys(mentors)))


def _sides(method: Method, update: Update, term: Term) -> tuple[tuple[str, ...], tuple[Tap | State | Field, ...]]:
    """(roles that learn by this term, the sources they learn from)."""
    trained = {role_of(path) for path in update.trains} - set(method.parts)
    learners: dict[str, None] = {}
    mentors: dict[Tap | State | Field, None] = {}
    knobs = traits.knobs if isinstance(traits := facts_of(term.by), Traits) else ()
    for key, source in term.inputs.items():
        for leaf, stopped in _leaves_with_stop(source):
            if key in knobs:
                continue
            if isinstance(leaf, Field):
                if leaf.key not in LABELS:
                    mentors[leaf] = None
            elif isinstance(leaf, Tap | State):
                if leaf.role in trained and not stopped:
                    learners[leaf.role] = None
                elif leaf.role not in method.parts:
                    mentors[leaf] = None
        if key not in knobs:  # a learner or a mentor that is called on other sources, as `inputs.via("student", ...)`
            called = list(modules_of(source))
            learners |= dict.fromkeys(role_of(name) for name in called if role_of(name) in trained)
            mentors |= {Tap(name): None for name in called if "." not in name and name not in trained | set(method.parts)}
    return tuple(learners), tuple(mentors)


def _leaves_with_stop(source: Source, stopped: bool = False) -> Iterator[tuple[Source, bool]]:
    if isinstance(source, Via):
        for inner in source.sources:
            yield from _leaves_with_stop(inner, stopped or source.fn is detach)
    else:
        yield source, stopped


def kind_of(leaf: Source, lesson: Lesson, method: Method) -> str:
    answer = isinstance(leaf, Tap) and bool(leaf.path) and is_answer(leaf, lesson.term, method)
    return "soft labels" if answer else knowledge_of(leaf, lesson.term, method)


def knowledge_of(leaf: Source, term: Term, method: Method) -> str:
    """The kind of knowledge that a mentor's source brings into a term: by what it goes through, else by the loss, else by
    where it is read."""
    for source in term.inputs.values():
        for fn in _way(source, leaf):
            found = facts_of(_built(fn, method)).knowledge
            if found:
                return found
    if isinstance(leaf, Field):
        return f"the view {leaf.key}" if leaf.key in ("inputs", *method.views) else "stored targets"
    traits = facts_of(term.by)
    by_loss = traits.knowledge
    inside = isinstance(leaf, Tap) and bool(leaf.path)
    if by_loss and not (by_loss == "logits" and inside):  # squares of a map's features
        return by_loss
    if isinstance(leaf, State):
        return "parameters"
    if inside:
        return "features"
    return "logits" if isinstance(traits, Traits) and traits.raw else "soft labels"


def _way(source: Source, leaf: Source) -> Iterator[Callable[..., object] | str]:
    """The functions and modules between a leaf and the root of a source, the nearest to the leaf first."""
    if isinstance(source, Via):
        for inner in source.sources:
            if leaf in set(leaves(inner)):
                yield from _way(inner, leaf)
                yield source.fn
                return


def transfer_of(term: Term) -> str:
    """The family of a term's loss; a loss that is in no family stands for itself."""
    traits = facts_of(term.by)
    return traits.family if isinstance(traits, Traits) else call_text(plain(term.by))


def is_raw(term: Term) -> bool:
    traits = facts_of(term.by)
    return isinstance(traits, Traits) and traits.raw


def is_deep(leaf: Source, lesson: Lesson, method: Method) -> bool:
    """Whether a mentor's source is more than its final answer (a tap that only ever goes into a
    branch's classifier is that branch's answer)."""
    if isinstance(leaf, State):
        return True
    return isinstance(leaf, Tap) and bool(leaf.path) and not is_answer(leaf, lesson.term, method)


def is_answer(leaf: Tap, term: Term, method: Method) -> bool:
    using = [source for source in term.inputs.values() if leaf in set(leaves(source))]
    return bool(using) and all(_answers(source, method) for source in using)


def _answers(source: Source, method: Method) -> bool:
    """Whether a source goes through a classifier, or a function that reads strings which a model has written: what is tapped
    inside is then that model's answer."""
    if not isinstance(source, Via):
        return False
    facts = facts_of(_built(source.fn, method))
    return source.answers or facts.answers or facts.written or any(_answers(inner, method) for inner in source.sources)


def _built(fn: Callable[..., object] | str, method: Method) -> object:
    """What a step of a source is defined by: a function itself, a learned part by what builds it."""
    return method.parts[fn].build if isinstance(fn, str) and fn in method.parts else fn
