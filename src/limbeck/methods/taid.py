"""A target on the way from the student to the teacher."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Field, Now, Tap
from limbeck.tasks.translate import forced as along_labels
from limbeck.tasks.translate import word_term
from limbeck.transforms.answers import interpolated
from limbeck.transforms.masks import known


@method(
    paper="Shing et al. 2025, Temporally Adaptive Interpolated Distillation (TAID), ICLR, arXiv 2501.16937",
    year=2025,
    serves=("text",),
    taxonomy={"scheme": "offline", "own": False, "ratio": "1-1"},
)
def taid(start: float = 0.4, end: float = 1.0, labels: float = 0.0, forced: bool = False) -> Method:
    """The student learns from a mixture of its own answer and the teacher's, in which the teacher's share grows with time.

    L = KL(p_t || q) + labels CE(y, q), p_t = softmax((1 - t) stop(z_student) + t z_teacher), t rising in a straight line

    Logits (n, C) or (n, tokens, C); a token counts where its label is known (not -100). Time is the stage's. The paper also lets
    t run ahead of the line while the loss falls, by at most 0.0005 (1 - t) a step: up to 2,000 steps the line is always ahead.
    That is left out here, as by the switch of the authors' code.

    Use it when the teacher is far ahead of the student and its answers are too sharp to begin with: the first targets lie near
    the student's own prediction. For a teacher that is hardly better, or a short training, plain `kd` is enough.

    Args:
        start, end: t at the beginning and at the end of the stage, 0.4 and 1 as in the paper.
        labels: weight of the plain task. forced: both are encoder-decoders, and asked for the label's words (see `skewed`).
    """
    read = along_labels if forced else Tap
    student, teacher = read("student"), read("teacher").detach()
    target = student.detach().via(interpolated, teacher, Now(linear(start, end)))
    follow = Term("interpolated", losses.kl, mask=Field("labels").via(known), student=student, teacher=target)
    label = word_term(weight=labels, per_token=True) if forced else task(weight=labels)
    return single_stage(follow, *([label] if labels else []))
