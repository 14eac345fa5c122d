"""A `Method` read back: as text, as a row of the general model's table, as a place in the taxonomy.

Nothing here is typed in by hand: all of it is computed from the declaration.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from limbeck.catalogue.kinds import knowledge_of
from limbeck.losses import Traits
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.actions import Adopt, Follow, Promote, Snapshot
from limbeck.plan.roles import role_of
from limbeck.plan.schedules import weight_text
from limbeck.plan.taps import Field, Item, Source, State, Tap, Via, call_text, detach, leaves, modules_of
from limbeck.transforms.facts import facts_of
from limbeck.transforms.masks import known

LABELS = ("labels", "labelled", "inputs", "index", "made")  # fields of a batch that no model has said


@dataclass(frozen=True)
class Taxonomy:
    """Where the surveys place a method.

    knowledge: "soft labels" (only the probabilities that the teacher gives) or "other parts" (features,
    relations, parameters, logits as values; alone or with soft labels), or "none". scheme: "offline" (what
    teaches is the end of a finished training) or "online" (it still trains, now or later, follows one who
    does, or was taken along the way). own: whether the learner is its own mentor. ratio: mentors : learners.
    chain: a learner of one stage teaches in a later one. deploys: what is kept.
    """

    knowledge: str
    scheme: str
    own: bool
    ratio: str
    chain: bool
    deploys: str

    def __str__(self) -> str:
        scheme = self.scheme + (", self" if self.own else "")
        return f"{self.knowledge}; {scheme}; {self.ratio}{', chain' if self.chain else ''}; deploys {self.deploys}"


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


def taxonomy(method: Method) -> Taxonomy:
    """Compute the method's place in survey A's tree and its ratio of teachers to students."""
    found = list(lessons(method))
    actions = [a for stage in method.stages for a in (*stage.before, *stage.after_step)]
    made = {a.role: a for a in actions if isinstance(a, Promote | Follow)}
    taken = {a.role: a.source for a in actions if isinstance(a, Snapshot)}
    taken |= {a.role: a.of[-1] for a in actions if isinstance(a, Adopt)}
    online = own = False
    mentors: dict[str, None] = {}
    learners: dict[str, None] = {}
    for lesson in found:
        rest = method.stages[method.stages.index(lesson.stage) :]
        trained = {role_of(path) for stage in rest for path in stage.trains}
        followed = {a.role for a in lesson.stage.after_step if isinstance(a, Follow)}
        for leaf in lesson.mentors:
            role = getattr(leaf, "role", "")
            if not role:
                continue
            mentors[taken.get(role, role)] = None
            online |= role in trained | followed | set(taken)
            own |= role in lesson.learners or (role in made and made[role].source in lesson.learners)
        learners |= dict.fromkeys(lesson.learners)
    return Taxonomy(
        knowledge=_knowledge(method, found),
        scheme="online" if online else "offline",
        own=own,
        ratio=f"{_count(len(mentors) or 1)}-{_count(len(learners) or 1)}" if found else "0-1",
        chain=_is_chain(method, found),
        deploys=_deploys(method),
    )


def _count(n: int) -> str:
    return "1" if n == 1 else "n"


def _knowledge(method: Method, found: list[Lesson]) -> str:
    if not found:
        return "none"
    deep = any(_is_raw(lesson.term) or _is_deep(leaf, lesson, method) for lesson in found for leaf in lesson.mentors)
    return "other parts" if deep else "soft labels"


def _is_raw(term: Term) -> bool:
    traits = facts_of(term.by)
    return isinstance(traits, Traits) and traits.raw


def _is_deep(leaf: Source, lesson: Lesson, method: Method) -> bool:
    """Whether a mentor's source is more than its final answer (a tap that only ever goes into a
    branch's classifier is that branch's answer)."""
    if isinstance(leaf, State):
        return True
    return isinstance(leaf, Tap) and bool(leaf.path) and not _is_answer(leaf, lesson.term, method)


def _is_answer(leaf: Tap, term: Term, method: Method) -> bool:
    using = [source for source in term.inputs.values() if leaf in set(leaves(source))]
    return bool(using) and all(_written(s) or any(_answers(method, name) for name in modules_of(s)) for s in using)


def _written(source: Source) -> bool:
    """Whether a source goes through a function that reads strings which a model has written: its answer, tapped inside."""
    return isinstance(source, Via) and (facts_of(source.fn).written or any(map(_written, source.sources)))


def _answers(method: Method, name: str) -> bool:
    part = method.parts.get(name)
    return bool(part and facts_of(part.build).answers) or name.endswith(("linear", "fc", "classifier", "head"))


def _is_chain(method: Method, found: list[Lesson]) -> bool:
    """Whether someone who was taught (by more than labels), or an earlier self of the learner, teaches later."""
    order = {id(stage): i for i, stage in enumerate(method.stages)}
    promoted = [(i, a) for i, stage in enumerate(method.stages) for a in stage.before if isinstance(a, Promote)]
    learned: dict[str, int] = {}
    for lesson in found:
        for role in lesson.learners:
            learned.setdefault(role, order[id(lesson.stage)])
    for lesson in found:
        now = order[id(lesson.stage)]
        for leaf in lesson.mentors:
            role = getattr(leaf, "role", "")
            taught = {role} | {a.source for i, a in promoted if a.role == role and 0 < i <= now}
            if any(name in learned and learned[name] < now for name in taught - set(lesson.learners)) or (
                taught & set(lesson.learners) - {role}
            ):
                return True
    return False


def _deploys(method: Method) -> str:
    source = method.deployed
    taps = [leaf for leaf in leaves(source) if isinstance(leaf, Tap)]
    roles = list(dict.fromkeys(tap.role for tap in taps))
    if len(roles) > 1:
        return f"the ensemble of {', '.join(roles)}"
    if isinstance(source, Tap) and not source.path:
        return source.role
    return f"a branch of {roles[0]}" if roles and len(taps) == 1 else f"several branches of {roles[0]}"


# ------------------------------------------------------------------------------------------------ text


def text(method: Method) -> str:
    """The abstract view in words: stages, who trains, each term with its sources, loss and weight."""
    head = f"{method.name or 'method'}({', '.join(f'{k}={v!r}' for k, v in method.arguments.items())})"
    lines = [head, f"  {method.year}  {method.paper}"] if method.paper else [head]
    lines.append(f"  taxonomy: {taxonomy(method)}")
    lines.append(f"  roles: {', '.join(method.roles())}" + _parts_text(method))
    if method.views:
        lines.append("  views: " + ", ".join(f"{name} = {view}" for name, view in method.views.items()))
    for stage in method.stages:
        share = f"{stage.steps} steps" if stage.steps is not None else f"share {stage.share:g}"
        lines.append(f"  stage {stage.name} ({share})")
        lines += [f"    before: {action}" for action in stage.before]
        for update in stage.updates:
            lines += [f"    {line}" for line in _update_lines(update)]
        lines += [f"    after each step: {action}" for action in stage.after_step]
    lines.append(f"  deploys: {source_text(method.deployed)}")
    return "\n".join(lines)


def _parts_text(method: Method) -> str:
    if not method.parts:
        return ""
    return "; learned parts: " + ", ".join(f"{name} = {call_text(part.build)}" for name, part in method.parts.items())


def _update_lines(update: Update) -> Iterator[str]:
    extra = "" if update.source is None else f" on {update.source if not callable(update.source) else call_text(update.source)}"
    extra += f", {update.repeat} times" if update.repeat != 1 else ""
    extra += f", by {call_text(update.apply)}" if update.apply is not None else ""
    extra += f", with {call_text(update.optimizer)}" if update.optimizer is not None else ""
    yield f"trains {', '.join(update.trains)}{extra}"
    for term in update.terms:
        yield f"  {term_text(term)}"


def term_text(term: Term) -> str:
    inputs = ", ".join(f"{key}: {source_text(source)}" for key, source in term.inputs.items())
    mask = f"  where {source_text(term.mask)}" if term.mask is not None else ""
    return f"{term.name:<12} {weight_text(term.weight)} x {call_text(term.by)}  <-  {inputs}{mask}"


def source_text(source: Source) -> str:
    """A source as a path of steps: `student.layer2 -> regressor`, `[teacher]` when its gradient is stopped."""
    if not isinstance(source, Via):
        return str(source)
    inner = ", ".join(source_text(s) for s in source.sources)
    if source.fn is detach:
        return f"[{inner}]"
    if isinstance(source.fn, Item):
        return f"{inner}[{source.fn.index}]"
    return f"{inner if len(source.sources) == 1 else '(' + inner + ')'} -> {call_text(source.fn)}"


# ------------------------------------------------------------------------------------------------ table


def row(method: Method) -> dict[str, str]:
    """The method as one line of the general model: survey C's fields."""
    found = list(lessons(method))
    mentors = ((lesson, leaf) for lesson in found for leaf in lesson.mentors)
    knowledge = dict.fromkeys(f"{kind_of(m, lesson, method)} @ {getattr(m, 'path', '') or 'output'}" for lesson, m in mentors)
    transfer = dict.fromkeys(
        call_text(lesson.term.by).split("[")[0]
        + (" (masked)" if lesson.term.mask not in (None, Field("labels").via(known)) else "")
        for lesson in found
    )
    place = taxonomy(method)
    return {
        "method": method.name,
        "year": str(method.year or ""),
        "data": _data_text(method),
        "teachers : students": place.ratio.replace("-", " : ") + (", chain" if place.chain else ""),
        "knowledge @ location": "; ".join(knowledge),
        "transfer": "; ".join(transfer) + (f" through {', '.join(method.parts)}" if method.parts else ""),
        "output": place.deploys,
        "place": f"{place.knowledge}, {place.scheme}" + (", self" if place.own else ""),
    }


def kind_of(leaf: Source, lesson: Lesson, method: Method) -> str:
    said = isinstance(leaf, Tap) and bool(leaf.path) and _is_answer(leaf, lesson.term, method)
    return "soft labels" if said else knowledge_of(leaf, lesson.term, method)


def _data_text(method: Method) -> str:
    parts = dict.fromkeys(p for _, update in method.updates() for p in update.partitions)
    made = dict.fromkeys(call_text(u.source) for _, u in method.updates() if callable(u.source))
    words = [*(p for p in parts if p != "train"), *(f"made by {name}" for name in made)]
    words += [f"view {name}" for name in method.views]
    return ", ".join(words) or "same"
