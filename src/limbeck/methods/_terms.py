"""Two terms that most declarations share."""

from functools import partial

from limbeck import losses
from limbeck.masks import known
from limbeck.plan import Term, Weight
from limbeck.taps import Field, Source, Tap


def task(role: str = "student", *, weight: Weight = 1.0, mask: Source | None = None) -> Term:
    """Cross-entropy of a role's logits with the labels, wherever these are known (`mask` says otherwise where)."""
    labels = Field("labels")
    name = "task" if role == "student" else f"task {role}"
    return Term(name, losses.cross_entropy, weight=weight, mask=mask or labels.via(known), student=Tap(role), labels=labels)


def soft(learner: str = "student", mentor: str = "teacher", *, temperature: float = 4.0, weight: Weight = 1.0) -> Term:
    """T^2 KL(mentor || learner) of their tempered probabilities; the mentor does not learn from it."""
    name = "soft" if (learner, mentor) == ("student", "teacher") else f"soft {learner} from {mentor}"
    by = partial(losses.soft_target, temperature=temperature)
    return Term(name, by, weight=weight, student=Tap(learner), teacher=Tap(mentor).detach())
