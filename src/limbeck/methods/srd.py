"""A projector, batch statistics and a soft maximum."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Linear
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap
from limbeck.transforms.combine import batch_normalised


@method(
    paper="Miles & Mikolajczyk 2024, Understanding the Role of the Projector in KD (SRD), arXiv 2303.11098", year=2024, pull=0.055
)
def srd(
    at: str = "pool",
    teacher_at: str = "",
    weight: float = 2.0,
    exponent: float = 4.0,
    soft_labels: float = 0.0,
    temperature: float = 1.0,
) -> Method:
    """A linear projector brings embeddings together; both are normalised over the batch and compared by a log of a sum.

    L = CE(y, p) + weight log sum |BN(W f_s) - BN(f_t)|^a + soft_labels T^2 KL(p_t^T || p^T), the sum over batch and features

    Use it when the last embedding of both networks is at hand and one cheap, well-behaved feature loss is wanted: a linear
    projector and batch statistics are all. Small batches make those statistics noisy.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise.
        weight: 2, of the public code as torchdistill read it. exponent: a, 4.
        soft_labels, temperature: of an added soft term; that code has one on ImageNet.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    mine, theirs = student.via("projector").via(batch_normalised), teacher.via(batch_normalised)
    by = partial(losses.srd, exponent=exponent)
    extra = (soft(temperature=temperature, weight=soft_labels),) if soft_labels else ()
    return single_stage(
        task(),
        Term("feature", by, weight=weight, student=mine, teacher=theirs),
        *extra,
        trains=("student", "projector"),
        parts={"projector": Part(Linear, like=(student, teacher))},
    )
