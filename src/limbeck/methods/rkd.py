"""Distances and angles between samples."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(paper="Park et al. 2019, Relational Knowledge Distillation, arXiv 1904.05068", year=2019, serves=("transfer",), pull=0.73)
def rkd(at: str = "pool", teacher_at: str = "", distance: float = 25.0, angle: float = 50.0) -> Method:
    """Pairs keep their relative distances, triples their angles.

    L = CE(y, p) + distance Huber(d_student, d_teacher) + angle Huber(cos_student, cos_teacher)

    Use it when the student is an embedding for retrieval or has another width than the teacher: distances and angles between
    samples are kept without any adapter. Angles of all triples cost the cube of the batch.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise.
        distance, angle: 25 and 50, the paper's for classification.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    return single_stage(
        task(),
        Term("distance", losses.rkd_distance, weight=distance, student=student, teacher=teacher),
        Term("angle", losses.rkd_angle, weight=angle, student=student, teacher=teacher),
    )
