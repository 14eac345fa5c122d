"""Who is near whom, as probabilities."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(
    paper="Passalis & Tefas 2018, Learning Deep Representations with Probabilistic Knowledge Transfer, ECCV 2018",
    year=2018,
    serves=("transfer",),
    pull=0.0028,
)
def pkt(at: str = "pool", teacher_at: str = "", weight: float = 30000.0) -> Method:
    """The distribution of cosine similarities within the batch is kept.

    L = CE(y, p) + weight mean over pairs of p_t log(p_t / p_s), rows of (cos + 1) / 2 normalised

    Use it when embeddings are to serve retrieval or have different widths on both sides: the probabilities of being neighbours
    are kept. A batch must be large enough that a sample has neighbours in it.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise.
        weight: 30000, of the benchmark of Tian et al. 2020 for the authors' mean over N^2.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    return single_stage(task(), Term("pkt", losses.pkt, weight=weight, student=student, teacher=teacher))
