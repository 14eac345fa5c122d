"""Numbers with the teacher as a bound."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.targets import filled, told


@method(
    paper="Chen et al. 2017, Learning Efficient Object Detection Models with Knowledge Distillation, NeurIPS 2017",
    year=2017,
    serves=("numbers",),
)
def teacher_bounded(weight: float = 0.5, margin: float = 0.0) -> Method:
    """The student is pushed towards the label once more wherever it is worse than the teacher.

    L = |s - y|^2 + weight L_b, L_b = |s - y|^2 where |s - y|^2 + margin > |t - y|^2, else 0

    In the paper it is the box regression of a detector, whose other terms `detection` has; here any numbers are learned so. The
    teacher's number is a bound to reach, not a target: a wrong one is not copied. Numbers are compared in scaled units.

    Use it when numbers are predicted (regression): the plain squared error to a teacher's numbers, `kd`, follows it also where
    it is wrong. It gains little where the teacher is hardly better than the student.

    Args:
        weight: of the bounded term; 0.5 as in the paper. margin: m >= 0, in units of the label's variance.
    """
    by, labels = partial(losses.bounded_regression, margin=margin), Field("labels")
    sides = {"student": Tap("student"), "teacher": Tap("teacher").detach()}
    return single_stage(task(), Term("bounded", by, weight=weight, mask=labels.via(told), goal=labels.via(filled), **sides))
