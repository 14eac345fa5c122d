"""The teacher's map as a code, which a coarser student can follow."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Encoder, MapAdapter, Restorer
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap

PAPER = "He et al. 2019, Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019, arXiv 1903.04688"


@method(paper=PAPER, year=2019, serves=("segmentation",))
def knowledge_adaptation(
    at: str = "layer3",
    teacher_at: str = "",
    beta: float = 50.0,
    gamma: float = 1.0,
    sparsity: float = 1e-7,
    channels: int = 0,
    code_share: float = 0.2,
) -> Method:
    """An autoencoder translates the teacher's map to a code of the student's size; the student then learns the code.

    Stage 1: L = mean (F - D(E(F)))^2 + sparsity mean |E(F)|, F the teacher's map. Stage 2: L = CE(y, p)
    + beta mean_j ||unit(E(F)_j) - unit(a(F_student)_j)|| + gamma mean_ij (cos(E(F)_i, E(F)_j) - cos(F_student,i,
    F_student,j))^2 over positions i, j; E is fixed by then, a = 3x3 convolution + batch-norm

    Made for a student whose output stride is larger than the teacher's. beta, gamma and the two losses' form are from
    the paper; sparsity and which of the student's maps has its affinity compared are recalled.

    Use it when a light segmentation network with coarse output learns from a heavy one with finer maps: the code brings them to
    one size. The first stage trains the autoencoder only, without the student.

    Args:
        at: the student's last map. teacher_at: the teacher's, if it is called otherwise.
        beta: of the adapter's term. gamma: of the affinity. sparsity: of the code.
        channels: of the code; 0 for as many as the teacher's map has.
        code_share: part of the budget given to stage 1.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    code = teacher.via("encoder")
    first = Update(
        ("encoder", "restorer"),
        (
            Term("restore", losses.mse, student=code.via("restorer"), teacher=teacher),
            Term("sparse", losses.magnitude, weight=sparsity, code=code),
        ),
    )
    adapt = Term("adapt", losses.unit_l2, weight=beta, student=student.via("adapter"), teacher=code.detach())
    affinity = Term("affinity", losses.affinity, weight=gamma, student=student, teacher=code.detach())
    second = Update(("student", "adapter"), (task(), adapt, affinity))
    return Method(
        (Stage("code", (first,), share=code_share), Stage("distil", (second,), share=1 - code_share)),
        parts={
            "encoder": Part(partial(Encoder, channels=channels), like=(student, teacher)),
            "restorer": Part(Restorer, like=(code, teacher)),
            "adapter": Part(MapAdapter, like=(student, code)),
        },
    )
