"""One embedding follows another through a learned projector."""

from functools import partial
from typing import Literal

from limbeck import losses
from limbeck.connectors import Linear, Projector
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap

DISTANCES = {"cosine": losses.cosine, "squared": losses.mse}


@method(
    paper="Ranzinger et al. 2024, AM-RADIO: Agglomerative Vision Foundation Model, arXiv 2312.06709",
    year=2024,
    serves=("unlabelled",),
)
def embedding_match(
    distance: Literal["cosine", "squared"] = "cosine",
    at: str = "",
    teacher_at: str = "",
    weight: float = 1.0,
    ship: int = 0,
) -> Method:
    """The student's embedding, through a linear projector, points where the teacher's does.

    L = CE(y, p) + w d(g(u_s), u_t), d = 1 - cos or the mean squared difference, g linear; no CE where labels do not teach

    Cosine is what AM-RADIO does for the embedding of a whole picture; the squared difference also keeps its length. The
    projector g makes widths equal. It stays outside of the student: what is kept is u_s, whose directions are not the teacher's;
    with `ship` it is kept as the student's last layer, so that the student stands in for the teacher in an index.

    Use it when there are pictures or texts without labels and a teacher whose embedding is good: it needs no memory and no large
    batches. Neighbours count for it no more than all else that an embedding holds; relations (rkd, seed_similarity) weigh them.

    Args:
        distance: cosine or squared. at: the student's embedding, "" for what it gives. teacher_at: the teacher's, if it is called
            otherwise. weight: w. ship: the width of the teacher's embedding, to keep the projector; 0 leaves it outside.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    mapped = student.via("projection")
    part = Part(partial(Projector, size=ship), like=(student,)) if ship else Part(Linear, like=(student, teacher))
    follow = Term("embedding", DISTANCES[distance], weight=weight, student=mapped, teacher=teacher)
    kept = mapped if ship else "student"
    return single_stage(task(), follow, trains=("student", "projection"), parts={"projection": part}, deploys=kept)
