"""Terms whose loss is the data's to say: what a role learns from its labels, and from a mentor's answers.

They print, draw and classify as the cross-entropy and the tempered divergence that they are for one class a sample, and train
as these where nobody binds them; a run replaces them by the terms of its data's task (`limbeck.tasks.bind`).
"""

from functools import partial

from limbeck.losses import cross_entropy, kl, soft_target
from limbeck.plan.kinds import Value
from limbeck.plan.method import Term
from limbeck.plan.schedules import Weight
from limbeck.plan.taps import Field, Source, Tap
from limbeck.transforms.masks import known

FREE = frozenset({"name", "weight", "mask"})  # what may change without saying what is compared


class Labels(Term):
    """What a role learns from the labels, wherever these are known; `chosen` says otherwise where."""

    __slots__ = ("chosen", "role")
    role: str
    chosen: Source | None

    def __init__(self, role: str = "student", *, weight: Weight = 1.0, mask: Source | None = None, name: str = ""):
        labels = Field("labels")
        called = name or named("task", role)
        super().__init__(called, cross_entropy, weight=weight, mask=mask or labels.via(known), student=Tap(role), labels=labels)
        object.__setattr__(self, "role", role)
        object.__setattr__(self, "chosen", mask)

    def but(self, **changes: Value) -> Term:
        if not changes.keys() <= FREE:
            return super().but(**changes)
        mask = changes.get("mask", self.chosen)
        return Labels(self.role, weight=changes.get("weight", self.weight), mask=mask, name=changes.get("name", self.name))


class Soft(Term):
    """What a learner learns from a mentor's answers, softened by a temperature; the mentor does not learn from it."""

    __slots__ = ("learner", "mentor", "scaled", "temperature")
    learner: str
    mentor: str
    temperature: float
    scaled: bool  # by T^2

    def __init__(
        self,
        learner: str = "student",
        mentor: str = "teacher",
        *,
        temperature: float = 4.0,
        scaled: bool = True,
        weight: Weight = 1.0,
        mask: Source | None = None,
        name: str = "",
    ):
        called = name or ("soft" if (learner, mentor) == ("student", "teacher") else f"soft {learner} from {mentor}")
        by = partial(soft_target if scaled else kl, temperature=temperature)
        super().__init__(called, by, weight=weight, mask=mask, student=Tap(learner), teacher=Tap(mentor).detach())
        for key, value in (("learner", learner), ("mentor", mentor), ("temperature", temperature), ("scaled", scaled)):
            object.__setattr__(self, key, value)

    def but(self, **changes: Value) -> Term:
        if not changes.keys() <= FREE:
            return super().but(**changes)
        now = {key: changes.get(key, getattr(self, key)) for key in FREE}
        return Soft(self.learner, self.mentor, temperature=self.temperature, scaled=self.scaled, **now)


def named(word: str, role: str) -> str:
    """A term's name: of the student the word itself, of another role with that.

    >>> named("task", "student"), named("task", "peer")
    ('task', 'task peer')
    """
    return word if role == "student" else f"{word} {role}"
