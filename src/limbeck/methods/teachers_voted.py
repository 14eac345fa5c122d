"""Many teachers: their mean answer, and a vote on what is near to what."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap, Via
from limbeck.transforms import tempered, voted_order
from limbeck.transforms.answers import mean_probabilities

TEACHERS = ("teacher", "teacher_2", "teacher_3")


@method(paper="You et al. 2017, Learning from Multiple Teacher Networks, KDD 2017", year=2017)
def teachers_voted(
    teachers: tuple[str, ...] = TEACHERS,
    at: str = "pool",
    teacher_at: str = "",
    temperature: float = 4.0,
    alpha: float = 0.9,
    order: float = 1.0,
) -> Method:
    """The student learns the mean of the teachers' softened answers, and keeps the order of distances that most of them see.

    L = (1 - alpha) CE(y, p) + alpha T^2 KL(mean_k p_k^T || p^T) + order mean_ijk [D_ij - D_ik]_+ where most D^k_ij < D^k_ik

    Formulas of the survey notes: of the paper the abstract was at hand. Its triplets are all of the batch here; T, alpha
    and the weight of the order are ours.

    Use it when several teachers have embeddings of different sizes, which cannot be averaged: they vote on which samples are near
    each other. Triples of the batch are counted, so its cost grows with the cube of the batch.

    Args:
        teachers: at least one role. at: the student's embedding. teacher_at: the teachers', if it is called otherwise.
        temperature, alpha: as in `kd`. order: weight of the voted order.
    """
    crowd = Via(partial(mean_probabilities, temperature=temperature), tuple(Tap(name) for name in teachers)).detach()
    votes = Via(voted_order, tuple(Tap(name, teacher_at or at) for name in teachers)).detach()
    answer = Tap("student").via(partial(tempered, temperature=temperature))
    soft = Term("soft", losses.kl_to_probabilities, weight=alpha * temperature**2, student=answer, probabilities=crowd)
    near = Term("order", losses.relative_order_votes, weight=order, student=Tap("student", at), order=votes)
    return single_stage(task(weight=1 - alpha), soft, near)
