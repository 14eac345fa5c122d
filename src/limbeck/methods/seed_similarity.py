"""No labels anywhere: near to what the teacher is near to."""

from functools import partial

from limbeck import losses
from limbeck.connectors import ContrastHead, Queue
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap
from limbeck.transforms import probabilities, tempered
from limbeck.transforms.combine import beside


@method(
    paper="Fang et al. 2021, SEED: Self-supervised Distillation for Visual Representation, arXiv 2101.04731",
    year=2021,
    serves=("unlabelled",),
)
def seed_similarity(
    at: str = "pool",
    teacher_at: str = "",
    data: tuple[str, ...] = ("train",),
    size: int = 65_536,
    temperature: float = 0.2,
    teacher_temperature: float = 0.01,
    share: float = 0.7,
) -> Method:
    """Stage 1, without labels: the student's similarities to a queue of teacher embeddings follow the teacher's own.
    Stage 2: the task, from there.

    stage 1: L = -sum_j q_j log p_j, q = softmax(<u_t, d_j> / T_t), p = softmax(<g(u_s), d_j> / T_s), d = own teacher and queue

    The teacher may be a self-supervised network: its classifier is not used. The queue is part of the checkpoint.

    Use it when the teacher is a self-supervised network without a classifier and the student is too small to be trained that way
    by itself. It wants many samples, labelled or not, and a queue long enough to hold many neighbours.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise. data: partitions of stage 1.
        size: of the queue. temperature, teacher_temperature: T_s and T_t, 0.2 and 0.01. share: of stage 1.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    remembered = teacher.via("queue")
    mine = student.via("projection").via(beside, remembered).via(partial(tempered, temperature=temperature))
    goal = teacher.via(beside, remembered).via(partial(probabilities, temperature=teacher_temperature))
    follow = Term("similarity", losses.soft_labels_cross_entropy, student=mine, probabilities=goal)
    first = Update((f"student:{at}" if at else "student", "projection", "queue"), (follow,), source=data)
    parts = {"projection": Part(ContrastHead, like=(student, teacher)), "queue": Part(partial(Queue, size=size), like=(teacher,))}
    stages = (Stage("similarity", (first,), share=share), Stage("task", (Update(("student",), (task(),)),), share=1 - share))
    return Method(stages, parts=parts)
