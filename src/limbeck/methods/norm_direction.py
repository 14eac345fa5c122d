"""Long features in the right direction."""

from limbeck import losses
from limbeck.connectors import ClassMeans, Linear
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(paper="Wang et al. 2023, Improving KD via Regularizing Feature Norm and Direction (KD++), arXiv 2305.17007", year=2023)
def norm_direction(
    at: str = "pool", teacher_at: str = "", weight: float = 1.0, temperature: float = 4.0, alpha: float = 1.0, labels: float = 1.0
) -> Method:
    """Soft labels, and the student's embedding grows along the direction of the teacher's mean of its class.

    L = labels CE(y, p) + alpha T^2 KL(p_t^T || p^T) + weight (1 - <f_s, e_y> / max(|f_s|, |f_t|)), e_y = unit(mean of f_t in y)

    The authors measure the class means beforehand; here they are the means over all samples seen so far, which come to
    the same within an epoch. A linear map leads from the student's width to the teacher's.

    Use it when labels are known and the teacher's classes form clear clusters: the student's embedding is driven along the class
    directions. It needs embeddings, and classes that appear often enough for their means to settle.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise.
        weight: of norm and direction. temperature, alpha, labels: of the rest.
    """
    student, teacher, labelled = Tap("student", at), Tap("teacher", teacher_at or at).detach(), Field("labels")
    centres = teacher.via("centres", labelled)
    by = losses.norm_direction
    term = Term(
        "direction", by, weight=weight, student=student.via("projector"), teacher=teacher, labels=labelled, centers=centres
    )
    parts = {"projector": Part(Linear, like=(student, teacher)), "centres": Part(ClassMeans, like=(teacher, Tap("teacher")))}
    return single_stage(
        task(weight=labels), soft(temperature=temperature, weight=alpha), term, trains=("student", *parts), parts=parts
    )
