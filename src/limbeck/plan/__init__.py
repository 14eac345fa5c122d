"""The language of a method: who (roles), where (taps), when (terms, updates, stages, schedules, actions)."""

from limbeck.plan.actions import Adopt, Follow, Promote, Reinit, Snapshot
from limbeck.plan.declare import Count, P, method
from limbeck.plan.labels import Labels, Soft
from limbeck.plan.method import Action, Method, Part, Stage, Term, Update, single_stage
from limbeck.plan.observe import Scene, observe
from limbeck.plan.roles import Adapter, Cast, Normalise
from limbeck.plan.schedules import (
    Progress,
    Weight,
    choose,
    cosine,
    each_epoch,
    each_part,
    linear,
    ramp_up,
    sometimes,
    weight_text,
)
from limbeck.plan.taps import Field, Now, Source, State, Tap, Via

__all__ = [
    "Count",
    "Action",
    "Adapter",
    "Adopt",
    "Cast",
    "Field",
    "Labels",
    "Follow",
    "Method",
    "Normalise",
    "Now",
    "P",
    "Part",
    "Progress",
    "Promote",
    "Reinit",
    "Scene",
    "Soft",
    "Snapshot",
    "Source",
    "Stage",
    "State",
    "Tap",
    "Term",
    "Update",
    "Via",
    "Weight",
    "choose",
    "cosine",
    "each_epoch",
    "each_part",
    "linear",
    "method",
    "observe",
    "ramp_up",
    "single_stage",
    "sometimes",
    "weight_text",
]
