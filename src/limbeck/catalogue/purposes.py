"""The catalogue by need: for which kind of task, teacher or data a method is.

Computed from its declaration, or stated where the method is defined.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from limbeck.catalogue.costs import MethodCosts, costs, reads_boxes
from limbeck.catalogue.lessons import kind_of, lessons
from limbeck.catalogue.taxonomy import Taxonomy, taxonomy
from limbeck.connectors.quantise import Quantise
from limbeck.losses import Traits
from limbeck.models.fitted import fit_role
from limbeck.plan import Method
from limbeck.plan.needs import Need
from limbeck.plan.roles import role_of
from limbeck.transforms.facts import facts_of, plain

FEATURES = {"features", "attention maps", "activation boundaries", "factors"}


@dataclass(frozen=True)
class Known:
    """A method with what its purposes are read from."""

    method: Method

    @cached_property
    def place(self) -> Taxonomy:
        return taxonomy(self.method)

    @cached_property
    def costs(self) -> MethodCosts:
        return costs(self.method)

    @cached_property
    def kinds(self) -> set[str]:
        found = lessons(self.method)
        return {kind_of(m, lesson, self.method) for lesson in found for m in lesson.mentors}

    @property
    def mentors(self) -> int:
        """The most models that teach at a time without learning."""
        found: dict[str, set[str]] = {}
        for lesson in lessons(self.method):
            learning = {role_of(path) for path in lesson.stage.trains}
            roles = {getattr(leaf, "role", "") for leaf in lesson.mentors} - learning - {""}
            found.setdefault(lesson.stage.name, set()).update(roles)
        return max(map(len, found.values()), default=0)

    @property
    def taught(self) -> bool:
        return self.place.knowledge != "none"

    def serves(self, need: Need) -> bool:
        """Whether its author states so, where it is defined."""
        return need in self.method.serves


def _soft(known: Known) -> bool:
    place = known.place
    return place.knowledge == "soft labels" and place.scheme == "offline" and not place.own and known.mentors == 1


def _features(known: Known) -> bool:
    return bool(known.kinds & FEATURES)


def _relations(known: Known) -> bool:
    return any(kind.startswith("relations") for kind in known.kinds)


def _judged(known: Known) -> bool:
    return any(isinstance(t := facts_of(term.by), Traits) and t.family == "judge" for _, _, term in known.method.terms())


def _peers(known: Known) -> bool:
    return known.taught and known.place.scheme == "online" and len(known.method.roles()) > 1


def _alone(known: Known) -> bool:
    return known.taught and len(known.method.roles()) == 1


def _makes_inputs(known: Known) -> bool:
    return any(hasattr(update.source, "part") for _, update in known.method.updates())


def _unlabelled(known: Known) -> bool:
    return known.serves("unlabelled") or any("unlabelled" in update.partitions for _, update in known.method.updates())


def _quantised(known: Known) -> bool:
    return any(isinstance(action, Quantise) for stage in known.method.stages for action in stage.before)


def _fitted(known: Known) -> bool:
    return any(plain(update.apply) is fit_role for _, update in known.method.updates())


PURPOSES: dict[str, Callable[[Known], bool]] = {
    "Soft labels of one finished teacher": _soft,
    "Logits as values": lambda known: "logits" in known.kinds,
    "Features, attention and activation maps": _features,
    "Relations between samples, channels, classes, layers or places": _relations,
    "A discriminator is trained too (adversarial)": _judged,
    "Several teachers": lambda known: known.mentors > 1,
    "Teacher and student, or peers, train together (online)": _peers,
    "One network, no teacher (self)": _alone,
    "A chain: a student teaches the next": lambda known: known.place.chain,
    "Another family or other classes than the teacher's": lambda known: known.serves("other family"),
    "Few or no data: inputs are generated": _makes_inputs,
    "Unlabelled samples": _unlabelled,
    "No labels are used": lambda known: known.taught and not known.costs.labels,
    "Noisy labels": lambda known: known.serves("wrong labels"),
    "Private data, or data that cannot be stored": lambda known: known.serves("private data"),
    "Privileged inputs or other modalities in training": lambda known: known.serves("privileged"),
    "Few bits: the student is quantised": _quantised,
    "Segmentation": lambda known: known.serves("segmentation"),
    "Detection": lambda known: reads_boxes(known.method) or known.serves("detection"),
    "Numbers (regression)": lambda known: known.serves("numbers"),
    "Strings from sequences: speech, handwriting, translation": lambda known: known.serves("strings"),
    "Text and language models": lambda known: known.serves("text"),
    "Retrieval and transfer: the embedding matters": lambda known: known.serves("transfer"),
    "Trees and models trained without gradients": _fitted,
    "Early exits, or several sizes from one training": lambda known: bool(known.method.exits) or known.serves("exits"),
    "As in the authors' or a public code": lambda known: known.serves("public code"),
    "Without a teacher (baselines)": lambda known: not known.taught,
}


def by_need(methods: Iterable[Method]) -> dict[str, list[str]]:
    """Purpose -> names of the methods that serve it, in the catalogue's order."""
    known = [Known(method) for method in methods]
    return {purpose: [k.method.name for k in known if fits(k)] for purpose, fits in PURPOSES.items()}
