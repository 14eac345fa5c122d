"""The teacher's own classifier on the student's body."""

from limbeck import losses
from limbeck.connectors import HeadProjector
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap
from limbeck.transforms import match_spatial
from limbeck.transforms.combine import pooled


@method(paper="Chen et al. 2022, Knowledge Distillation with the Reused Teacher Classifier (SimKD), arXiv 2203.14001", year=2022)
def simkd(at: str = "layer3", teacher_at: str = "", head: str = "linear") -> Method:
    """The student learns the teacher's last map through a projector and nothing else; the teacher's classifier answers.

    L = mean (P(F_s) - F_t)^2; deployed: the teacher's head on the mean over pixels of P(F_s)

    No labels. P = 1x1, 3x3, 1x1 convolutions with batch-norm and ReLU; the student's own classifier is not used.

    Use it when the student may carry the teacher's classifier and a projector when deployed, and labels are not needed. The
    projector adds its own parameters to the student's size, and the student can only be as right as the teacher.

    Args:
        at: the student's last map. teacher_at: the teacher's, if it is called otherwise.
        head: the teacher's classifier, from pooled features to logits.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    projected = student.via("projector")
    match = Term("feature", losses.mse, student=projected, teacher=teacher.via(match_spatial, student)[0])
    answer = projected.via(pooled).via(f"teacher.{head}", answers=True)
    part = {"projector": Part(HeadProjector, like=(student, teacher))}
    return single_stage(match, trains=(f"student:{at}", "projector"), parts=part, deploys=answer)
