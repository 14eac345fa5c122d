"""The catalogue by need: for which kind of task, teacher or data a method is, read from declarations and docstrings."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from limbeck.catalogue import describe
from limbeck.catalogue.costs import Costs, costs, reads_boxes
from limbeck.catalogue.facts import use_of
from limbeck.connectors.quantise import Quantise
from limbeck.methods import find
from limbeck.models.fitted import fit_role
from limbeck.plan import Method
from limbeck.plan.roles import role_of
from limbeck.transforms.facts import plain

FEATURES = {"features", "attention maps", "activation boundaries", "factors"}


@dataclass(frozen=True)
class Known:
    """A method with what its purposes are read from."""

    method: Method

    @cached_property
    def place(self) -> describe.Taxonomy:
        return describe.taxonomy(self.method)

    @cached_property
    def costs(self) -> Costs:
        return costs(self.method)

    @cached_property
    def kinds(self) -> set[str]:
        found = describe.lessons(self.method)
        return {describe.kind_of(m, lesson, self.method) for lesson in found for m in lesson.mentors}

    @property
    def mentors(self) -> int:
        """The most models that teach at a time without learning."""
        found: dict[str, set[str]] = {}
        for lesson in describe.lessons(self.method):
            learning = {role_of(path) for path in lesson.stage.trains}
            roles = {getattr(leaf, "role", "") for leaf in lesson.mentors} - learning - {""}
            found.setdefault(lesson.stage.name, set()).update(roles)
        return max(map(len, found.values()), default=0)

    @property
    def taught(self) -> bool:
        return self.place.knowledge != "none"

    def says(self, pattern: str) -> bool:
        """Whether its docstring's "Use it when" has such words."""
        return re.search(pattern, use_of(find(self.method.name))) is not None

    def compares_by(self, module: str) -> bool:
        """Whether a term's loss is one of that file."""
        return any(getattr(plain(term.by), "__module__", "") == f"limbeck.losses.{module}" for _, _, term in self.method.terms())


def _soft(known: Known) -> bool:
    place = known.place
    return place.knowledge == "soft labels" and place.scheme == "offline" and not place.own and known.mentors == 1


def _features(known: Known) -> bool:
    return bool(known.kinds & FEATURES)


def _relations(known: Known) -> bool:
    return any(kind.startswith("relations") for kind in known.kinds)


def _judged(known: Known) -> bool:
    return known.compares_by("adversarial") or "critic" in known.method.parts


def _peers(known: Known) -> bool:
    return known.taught and known.place.scheme == "online" and len(known.method.roles()) > 1


def _alone(known: Known) -> bool:
    return known.taught and len(known.method.roles()) == 1


def _makes_inputs(known: Known) -> bool:
    return any(hasattr(update.source, "part") for _, update in known.method.updates())


def _unlabelled(known: Known) -> bool:
    return any("unlabelled" in update.partitions for _, update in known.method.updates()) or known.says(
        "unlabelled|labelled or not"
    )


def _quantised(known: Known) -> bool:
    return any(isinstance(action, Quantise) for stage in known.method.stages for action in stage.before)


def _fitted(known: Known) -> bool:
    return any(plain(update.apply) is fit_role for _, update in known.method.updates())


PURPOSES: dict[str, Callable[[Known], bool]] = {
    "Soft labels of one finished teacher": _soft,
    "Logits as values": lambda known: "logits" in known.kinds,
    "Features, attention and activation maps": _features,
    "Relations between samples, channels, classes, layers or places": _relations,
    "A judge learns along (adversarial)": _judged,
    "Several teachers": lambda known: known.mentors > 1,
    "Teacher and student, or peers, train together (online)": _peers,
    "One network, no teacher (self)": _alone,
    "A chain: who was taught teaches in turn": lambda known: known.place.chain,
    "Another family or other classes than the teacher's": lambda known: known.says(
        "different families|other classes than|unlike shapes|differ in kind"
    ),
    "Few or no data: inputs are made": _makes_inputs,
    "Unlabelled samples": _unlabelled,
    "No labels are used": lambda known: known.taught and not known.costs.labels,
    "Labels that may be wrong": lambda known: known.says("labels are wrong|wrongly|fits the label"),
    "Private data, or data that may not be kept": lambda known: known.says(
        "private|may not be kept|leave the place|data are gone"
    ),
    "More is known in training than later: privileged inputs, other modalities": lambda known: known.says(
        "modality|never will|at hand later|streams"
    ),
    "Few bits: the student is quantised": _quantised,
    "Segmentation": lambda known: known.says("segmentation"),
    "Detection": lambda known: reads_boxes(known.method) or known.says("detect"),
    "Strings from sequences: speech, handwriting, translation": lambda known: known.compares_by("sequence"),
    "Text and language models": lambda known: known.says("language model|text model"),
    "Retrieval and transfer: the embedding is what counts": lambda known: known.says("retrieval|for transfer"),
    "Trees and models without gradient": _fitted,
    "Early exits, or several sizes from one training": lambda known: (
        bool(known.method.exits) or known.says("different width, of")
    ),
    "As in the authors' or a public code": lambda known: known.says("you compare"),
    "Without a teacher (baselines)": lambda known: not known.taught,
}


def by_need(methods: Iterable[Method]) -> dict[str, list[str]]:
    """Purpose -> names of the methods that serve it, in the catalogue's order."""
    known = [Known(method) for method in methods]
    return {purpose: [k.method.name for k in known if fits(k)] for purpose, fits in PURPOSES.items()}
