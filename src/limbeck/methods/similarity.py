"""Which samples look alike."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(paper="Tung & Mori 2019, Similarity-Preserving Knowledge Distillation, arXiv 1907.09682", year=2019, pull=0.52)
def similarity(at: str = "layer3", teacher_at: str = "", gamma: float = 3000.0) -> Method:
    """The batch's similarity matrix at a layer is kept.

    L = CE(y, p) + gamma ||G_student - G_teacher||_F^2 / N^2, G = row-normalised A A^T

    Use it when maps of student and teacher have any shapes: only who is like whom within the batch is kept at one layer, at
    almost no cost. With small batches of many classes the matrix is nearly the identity and says little.

    Args:
        at: the student's layer. teacher_at: the teacher's, if it is called otherwise.
        gamma: 3000, the paper's.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    return single_stage(task(), Term("similarity", losses.similarity_preserving, weight=gamma, student=student, teacher=teacher))
