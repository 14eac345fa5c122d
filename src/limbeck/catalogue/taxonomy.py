"""Where the surveys place a method: computed from the declaration, except where its author states it."""

from dataclasses import dataclass, field, replace

from limbeck.catalogue.lessons import Lesson, is_deep, is_raw, lessons
from limbeck.plan import Method
from limbeck.plan.actions import Adopt, Follow, Promote, Snapshot
from limbeck.plan.roles import role_of
from limbeck.plan.taps import Tap, leaves


@dataclass(frozen=True)
class Taxonomy:
    """Where the surveys place a method.

    knowledge: "soft labels" (only the probabilities that the teacher gives) or "other parts" (features,
    relations, parameters, logits as values; alone or with soft labels), or "none". scheme: "offline" (what
    teaches is the end of a finished training) or "online" (it still trains, now or later, follows one who
    does, or was taken along the way). own: whether the learner is its own mentor. ratio: mentors : learners.
    chain: a learner of one stage teaches in a later one. deploys: what is kept. stated: of these, what the method's author
    states; all else is computed.
    """

    knowledge: str
    scheme: str
    own: bool
    ratio: str
    chain: bool
    deploys: str
    stated: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        scheme = self.scheme + (", self" if self.own else "")
        return f"{self.knowledge}; {scheme}; {self.ratio}{', chain' if self.chain else ''}; deploys {self.deploys}" + (
            f" ({', '.join(self.stated)}: stated by the author)" if self.stated else ""
        )


def taxonomy(method: Method) -> Taxonomy:
    """The method's place in survey A's tree and its ratio of teachers to students: computed, unless its author states it."""
    return replace(computed(method), **method.stated, stated=tuple(method.stated))


def computed(method: Method) -> Taxonomy:
    """The method's place as it follows from its declaration."""
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
    deep = any(is_raw(lesson.term) or is_deep(leaf, lesson, method) for lesson in found for leaf in lesson.mentors)
    return "other parts" if deep else "soft labels"


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
