"""From a teacher of another task: not its answers, but what it finds alike."""

from functools import partial

import torch

from limbeck import losses
from limbeck.connectors import ClassMeans
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap
from limbeck.transforms import pairwise_distances
from limbeck.transforms.combine import similarities


@method(
    paper="Ye, Lu & Zhan 2020, Distilling Cross-Task Knowledge via Relationship Matching (ReFilled), CVPR 2020",
    year=2020,
    serves=("other family",),
)
def cross_task(
    at: str = "pool",
    teacher_at: str = "",
    temperature: float = 4.0,
    scale: float = 0.1,
    weight: float = 1.0,
    share: float = 0.5,
) -> Method:
    """Stage 1, without labels: who is near whom in the batch, as the teacher sees it. Stage 2: the task, and soft labels that
    the teacher's embedding gives for the student's classes.

    stage 1: L = KL(softmax_j(-D_t,ij) || softmax_j(-D_s,ij)); stage 2: L = CE(y, p) + weight T^2 KL(softmax(c / T) || p^T),
    c_k = cos(f_t, mean of f_t in class k) / scale

    The teacher's classifier is never used, so its classes may be others. In our reading, from the abstract: the paper draws
    tuples with one positive where here all pairs of the batch count, and its class means are those of the batch.

    Use it when the teacher was trained for other classes than the student's, so that its answers cannot be compared. Its
    embedding must tell the new classes apart; the batch should hold several samples of each class.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise. temperature: T of stage 2.
        scale: of the cosines. weight: of the soft labels. share: part of the budget for stage 1.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    mine, theirs = (x.via(pairwise_distances).via(torch.neg) for x in (student, teacher))
    labels = Field("labels")
    relate = Term("relations", losses.kl, student=mine, teacher=theirs)
    centres = teacher.via("centres", labels)
    believed = teacher.via(partial(similarities, temperature=scale), centres)
    by = partial(losses.soft_target, temperature=temperature)
    learn = Term("local", by, weight=weight, student=Tap("student"), teacher=believed)
    stages = (
        Stage("relations", (Update((f"student:{at}",), (relate,)),), share=share),
        Stage("task", (Update(("student", "centres"), (task(), learn)),), share=1 - share),
    )
    return Method(stages, parts={"centres": Part(ClassMeans, like=(teacher, Tap("student")))})
