"""The general model with its fields as settings: one method for each assignment."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import product

from torch import Tensor

from limbeck import losses
from limbeck.connectors import ConvRegressor
from limbeck.errors import UserError, unknown
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.actions import Follow, Promote
from limbeck.plan.taps import Field, Source, Tap
from limbeck.transforms import attention_map
from limbeck.transforms.combine import channel_relations, sample_relations
from limbeck.transforms.labelling import is_right


@dataclass(frozen=True)
class KnowledgeKind:
    """A kind of knowledge: where it can be read, what is made of an activation, how it can be compared, and whether the
    learner's activation must first get the mentor's shape."""

    at: tuple[str, ...]
    transfers: dict[str, Callable[..., Tensor]]
    through: Callable[..., Tensor] | None = None
    shaped: bool = False


_ANSWERS = {
    "divergence": losses.soft_target,
    "squares": losses.probability_mse,
    "absolute": losses.total_variation,
    "correlation": losses.dist_inter,
}
_VALUES = {"squares": losses.mse, "absolute": losses.l1, "angle": losses.cosine, "correlation": losses.one_minus_pearson}
KNOWLEDGE = {
    "soft labels": KnowledgeKind(("output",), _ANSWERS),
    "logits": KnowledgeKind(("output",), _VALUES | {"squares": losses.logit_mse}),
    "features": KnowledgeKind(("embedding", "middle"), _VALUES | {"contrast": losses.info_nce}, shaped=True),
    "attention maps": KnowledgeKind(("middle",), _VALUES, through=attention_map),
    "relations of samples": KnowledgeKind(("output", "embedding", "middle"), _VALUES, through=sample_relations),
    "relations of channels": KnowledgeKind(("middle",), _VALUES, through=channel_relations, shaped=True),
}
PATHS = {"output": "", "embedding": "pool", "middle": "layer3"}
MASKS = ("all", "right")
PAIRS = {  # by scheme: (learner, mentor)
    "offline": (("student", "teacher"),),
    "online": (("student", "peer"), ("peer", "student")),
    "self": (("student", "average"),),
}
DATA = ("same", "two views", "unlabelled")


@method(paper="Abbasi et al. 2019, Modeling Teacher-Student Techniques in Deep Neural Networks, arXiv 1912.13179", year=2019)
def compose(
    knowledge: str = "soft labels",
    location: str = "output",
    transfer: str = "divergence",
    mask: str = "all",
    scheme: str = "offline",
    data: str = "same",
    weight: float = 1.0,
    at: str = "",
) -> Method:
    """Any assignment of the general model's fields: what is taught, read where, compared how, for which samples, by whom, on
    which data. `limbeck methods --unexplored` lists those that no paper of the catalogue has.

    L = CE(y, p) + weight d(K_learner, [K_mentor]), over the samples that the mask keeps

    Use it when none of the named methods has the combination that you want to try: it assembles knowledge, place, loss, mask,
    scheme and data from their names. It is a research tool; its combinations have no published settings.

    Args:
        knowledge: soft labels, logits, features, attention maps, relations of samples, relations of channels.
        location: output, embedding or middle. transfer: divergence, squares, absolute, angle, correlation, contrast.
        mask: all, or right: only samples whose label the mentor gets right.
        scheme: offline (a finished teacher), online (student and peer teach one another), self (the student's own average).
        data: same, two views (the mentor sees a view of its own), or unlabelled (unlabelled samples too).
        weight: of the transfer. at: a layer in place of the location's usual one (pool, layer3).
    """
    chosen, path = need(knowledge, location, transfer, mask, scheme, data), at or PATHS[location]
    view = "second" if data == "two views" else "inputs"
    source = ("train", "unlabelled") if data == "unlabelled" else None
    known = Field("labelled") if data == "unlabelled" else None
    updates, parts = [], dict[str, Part]()
    for learner, mentor in PAIRS[scheme]:
        mine, theirs, made = _sides(chosen, learner, mentor, path, view)
        parts |= made
        kept = Field("labels").via(is_right, Tap(mentor, on=view).detach()) if mask == "right" else None
        term = Term(f"transfer to {learner}", chosen.transfers[transfer], weight=weight, mask=kept, student=mine, teacher=theirs)
        updates.append(Update((learner, *made), (task(learner, mask=known), term), source=source))
    before, after = ((Promote("average", "student"),), (Follow("average", "student"),)) if scheme == "self" else ((), ())
    stage = Stage("distil", tuple(updates), before=before, after_step=after)
    return Method((stage,), parts=parts, views={"second": "default"} if view == "second" else {})


def _sides(kind: KnowledgeKind, learner: str, mentor: str, path: str, view: str) -> tuple[Source, Source, dict[str, Part]]:
    """What is compared: the learner's side, the mentor's (stopped), and the part that shapes the learner's, if any."""
    mine: Source = Tap(learner, path)
    theirs: Source = Tap(mentor, path, on=view)
    parts = {}
    if kind.shaped:
        there = Tap("student" if mentor == "average" else mentor, path, on=view)  # the average is made when training starts
        parts[f"regressor_{learner}"] = Part(ConvRegressor, like=(mine, there))
        mine = mine.via(f"regressor_{learner}")
    if kind.through is not None:
        mine, theirs = mine.via(kind.through), theirs.via(kind.through)
    return mine, theirs.detach(), parts


def need(knowledge: str, location: str, transfer: str, mask: str, scheme: str, data: str) -> KnowledgeKind:
    """The kind of knowledge, once every field is known and they go together; else a sentence that says what would."""
    if knowledge not in KNOWLEDGE:
        raise unknown("knowledge", knowledge, KNOWLEDGE)
    chosen = KNOWLEDGE[knowledge]
    fields: tuple[tuple[str, str, Collection[str]], ...] = (
        ("location", location, chosen.at),
        ("transfer", transfer, chosen.transfers),
        ("mask", mask, MASKS),
        ("scheme", scheme, PAIRS),
        ("data", data, DATA),
    )
    for name, value, allowed in fields:
        if value not in allowed:
            raise UserError(f"compose: {knowledge} has no {name} {value!r}; choose {', '.join(allowed)}")
    return chosen


def assignments() -> Iterator[dict[str, str]]:
    """Every assignment of the fields that `compose` can run."""
    for name, kind in KNOWLEDGE.items():
        for location, transfer, mask, scheme, data in product(kind.at, kind.transfers, MASKS, PAIRS, DATA):
            yield {
                "knowledge": name,
                "location": location,
                "transfer": transfer,
                "mask": mask,
                "scheme": scheme,
                "data": data,
            }
