"""The student's own average teaches it on unlabelled data."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.actions import Follow, Promote
from limbeck.plan.schedules import ramp_up
from limbeck.plan.taps import Tap


@method(paper="Tarvainen & Valpola 2017, Mean teachers are better role models, arXiv 1703.01780", year=2017)
def mean_teacher(decay: float = 0.99, weight: float = 10.0, ramp: float = 0.4, view: str = "default") -> Method:
    """The teacher is a moving average of the student; both answer to different views, also of unlabelled samples.

    L = CE(y, p) on the labelled + w(t) mean (p_student(x') - p_teacher(x''))^2 on all, w ramps up

    Use it when few samples are labelled, many are not, and augmentation is strong enough that two views differ: the average of
    the student's weights gives it stable targets. The student's network is the teacher's, so it does not compress.

    Args:
        decay: of the moving average. weight: largest consistency weight.
        ramp: part of the run over which it rises. view: the teacher's view ("default": another draw of the run's own).
    """
    agree = Term(
        "consistency",
        losses.probability_mse,
        weight=ramp_up(weight, over=ramp),
        student=Tap("student"),
        teacher=Tap("teacher", on="second").detach(),
    )
    update = Update(("student",), (task(), agree), source=("train", "unlabelled"))
    stage = Stage("train", (update,), before=(Promote("teacher", "student"),), after_step=(Follow("teacher", "student", decay),))
    return Method((stage,), views={"second": view})
