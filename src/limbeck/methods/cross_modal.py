"""What one sense knows, taught to another."""

from limbeck import losses
from limbeck.connectors import ConvRegressor
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap


@method(
    paper="Gupta, Hoffman & Malik 2016, Cross Modal Distillation for Supervision Transfer, arXiv 1507.00448",
    year=2016,
    serves=("unlabelled", "privileged"),
)
def cross_modal(
    paired: str = "channels:0",
    at: str = "layer3",
    teacher_at: str = "",
    pairs: str | tuple[str, ...] = "train",
    first_share: float = 0.5,
) -> Method:
    """The teacher knows one modality with labels; on pairs without labels the student learns its features from another.

    stage 1: L = mean (r(F_student(x)) - F_teacher(x'))^2 on pairs, no labels; stage 2: L = CE(y, p) on train

    r = a regressor where shapes differ. The student's inputs are its modality: give it other columns or channels than
    the teacher's view by its own preprocessing (`columns` of a role), or data of its own.

    Use it when the labelled modality is not the one that you deploy (colour and depth, sound and image) and you have unlabelled
    pairs of both. The two must show the same scene at the same place, as maps are compared position by position.

    Args:
        paired: the teacher's view of a sample (x'). at: the student's layer; all layers up to it train in stage 1.
        teacher_at: the teacher's, if it is called otherwise. pairs: partitions of stage 1; labels are not used.
        first_share: part of the budget given to stage 1.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at, on="paired").detach()
    mimic = Term("transfer", losses.mse, student=student.via("regressor"), teacher=teacher)
    first = Update((f"student:{at}", "regressor"), (mimic,), source=pairs)
    second = Update(("student",), (task(),))
    stages = (Stage("transfer", (first,), share=first_share), Stage("task", (second,), share=1 - first_share))
    return Method(stages, parts={"regressor": Part(ConvRegressor, like=(student, teacher))}, views={"paired": paired})
