"""Samples correlate as they do for the teacher."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Projector
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap

PAPER = "Peng et al. 2019, Correlation Congruence for Knowledge Distillation, arXiv 1904.01802"


@method(paper=PAPER, year=2019, pull=0.00022)
def correlation_congruence(
    at: str = "pool", teacher_at: str = "", weight: float = 1.0, gamma: float = 0.4, order: int = 2
) -> Method:
    """The batch's matrix of Gaussian kernels, by its Taylor series, is kept.

    L = CE(y, p) + weight ||K_student - K_teacher||_F^2 / N^2, K_ij ~ exp(-gamma |f_i - f_j|^2), f of length 1

    Use it when the relations within a batch shall be kept with a cheap term on embeddings, whose widths may differ. Small batches
    hold few pairs, and batches of unlike classes give it most to learn from.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise; widths may differ.
        weight: of the congruence; the paper adds soft labels and weighs by 0.003 (recalled), 1 is ours.
        gamma, order: of the kernel, 0.4 and 2.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    by = partial(losses.correlation_congruence, gamma=gamma, order=order)
    return single_stage(task(), Term("congruence", by, weight=weight, student=student, teacher=teacher))


@method(paper=PAPER + " (as in RepDistiller)", year=2019, serves=("public code",), pull=8.9)
def correlation_congruence_code(at: str = "pool", teacher_at: str = "", weight: float = 0.02, size: int = 128) -> Method:
    """What HobbitLong/RepDistiller computes under that name: differences of neighbours in the batch, after two learned maps.

    L = CE(y, p) + weight mean_i <|s_i - t_i|, |s_(i+1) - t_(i+1)|>, s, t = learned linear embeddings

    Use it when you compare with figures of the public benchmark that computes differences of neighbours in the batch under this
    name; for the paper's idea take `correlation_congruence`.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise.
        weight: 0.02, of that benchmark. size: dimensions of the embeddings, 128.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    parts = {"embed": Part(partial(Projector, size=size), like=(student,))}
    parts["embed_teacher"] = Part(partial(Projector, size=size), like=(teacher,))
    by = losses.correlation_congruence_code
    term = Term("congruence", by, weight=weight, student=student.via("embed"), teacher=teacher.via("embed_teacher"))
    return single_stage(task(), term, trains=("student", *parts), parts=parts)
