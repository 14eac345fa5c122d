"""Pixel by pixel, pair by pair, and as a whole."""

from functools import partial

import torch

from limbeck import losses
from limbeck.connectors import Critic
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.schedules import Weight
from limbeck.plan.taps import Field, Source, Tap
from limbeck.transforms import probabilities
from limbeck.transforms.combine import strongest

PAPER = "Liu et al. 2019, Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019, arXiv 1903.04197"


@method(paper=PAPER, year=2019, serves=("segmentation",))
def structured(
    at: str = "layer3",
    teacher_at: str = "",
    similar: float = 10.0,
    holistic: float = 0.1,
    penalty: float = 10.0,
    nodes: int = 8,
    critic_rate: float = 4e-4,
) -> Method:
    """Every pixel's probabilities, the affinity of places, and a critic that judges whole answers beside their image.

    student: CE(y, p) + similar (mean_i KL(p_teacher,i || p_student,i) + mean_ij (cos_teacher,ij - cos_student,ij)^2)
    - holistic D(p_student, x); critic: D(p_student, x) - D(p_teacher, x) + penalty (||grad D|| - 1)^2; they alternate

    The weights are the paper's (lambda_1 = 10, lambda_2 = 0.1), the critic's learning rate and penalty the authors'
    code's, which has other weights: `structured_code`. The paper's KL has its arguments the other way round; the code,
    followed here, is the cross-entropy with the teacher. The critic is a plain convolutional one.

    Use it when the task is segmentation and neighbouring places should agree, as pixel by pixel losses leave speckles. A critic
    is trained beside the student, which is slow to pay off in a short budget.

    Args:
        at: the student's last map. teacher_at: the teacher's, if it is called otherwise. similar: of pixels and pairs.
        holistic: of the critic's score. penalty: of its slope. nodes: places per side that maps are pooled to.
        critic_rate: Adam's for the critic.
    """
    mine, theirs = (Tap(role).via(probabilities) for role in ("student", "teacher"))
    sources = (mine, theirs.detach(), (Field("inputs"),))
    return _declare(
        at,
        teacher_at,
        (similar, similar, holistic),
        penalty,
        nodes,
        critic_rate,
        sources,
        Part(Critic, like=(theirs, Field("inputs"))),
    )


@method(paper=PAPER + " (authors' code)", year=2019, serves=("segmentation", "public code"))
def structured_code(
    at: str = "layer3",
    teacher_at: str = "",
    pixel: float = 10.0,
    pair: float = 0.5,
    holistic: float = 0.1,
    penalty: float = 10.0,
    nodes: int = 2,
    critic_rate: float = 4e-4,
) -> Method:
    """As `structured`, with what the authors' code does otherwise: weights, pooling, and a critic of logits alone.

    student: CE(y, p) + pixel mean_i KL(p_teacher,i || p_student,i) + pair mean_ij (cos_teacher,ij - cos_student,ij)^2
    - holistic D(z_student); critic: D(z_student) - D(z_teacher) + penalty (||grad D|| - 1)^2, z normalised by batch-norm

    https://github.com/irfanICMLL/structure_knowledge_distillation: maps are max-pooled by half their size, to 2 x 2
    places; pixel 10, pair 0.5, holistic 0.1. Its pixel term is summed over the batch, here it is a mean. Its critic
    has self-attention and spectral normalisation, and is trained by SGD; not so here.

    Use it when you compare segmentation results with the authors' code, which has other weights, pools maps first and lets its
    critic see answers without the image.

    Args:
        at, teacher_at, holistic, penalty, nodes, critic_rate: as for `structured`. pixel, pair: of these terms.
    """
    mine, theirs = Tap("student"), Tap("teacher")
    part = Part(partial(Critic, normalised=True), like=(theirs,))
    return _declare(at, teacher_at, (pixel, pair, holistic), penalty, nodes, critic_rate, (mine, theirs.detach(), ()), part)


def _declare(
    at: str,
    teacher_at: str,
    weights: tuple[Weight, Weight, Weight],
    penalty: float,
    nodes: int,
    rate: float,
    sources: tuple[Source, Source, tuple[Source, ...]],
    critic: Part,
) -> Method:
    mine, theirs, beside = sources
    pool = partial(strongest, size=(nodes, nodes))
    student, teacher = Tap("student", at).via(pool), Tap("teacher", teacher_at or at).detach().via(pool)
    learner = Update(
        ("student",),
        (
            task(),
            Term("pixels", losses.kl, weight=weights[0], student=Tap("student"), teacher=Tap("teacher").detach()),
            Term("pairs", losses.affinity, weight=weights[1], student=student, teacher=teacher),
            Term("whole", losses.critic_real, weight=weights[2], score=mine.via("critic", *beside)),
        ),
    )
    fake, real = mine.detach().via("critic", *beside), theirs.via("critic", *beside)
    judge = Update(
        ("critic",),
        (
            Term("fake", losses.critic_fake, score=fake),
            Term("real", losses.critic_real, score=real),
            Term("slope", losses.slope_penalty, weight=penalty, slope=mine.detach().via("critic.penalty", theirs, *beside)),
        ),
        optimizer=partial(torch.optim.Adam, lr=rate),
    )
    return Method((Stage("distil", (learner, judge)),), parts={"critic": critic})
