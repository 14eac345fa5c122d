"""A teacher who wavers."""

from functools import partial

from limbeck import losses
from limbeck.connectors import NoisyAnswer
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(
    paper="Sau & Balasubramanian 2016, Deep Model Compression: Distilling Knowledge from Noisy Teachers, arXiv 1610.09650",
    year=2016,
)
def noisy_teacher(share: float = 0.5, sigma: float = 0.8, weight: float = 1.0, labels: float = 0.0) -> Method:
    """The student regresses logits on which noise was put: many teachers out of one, and a regulariser.

    L = weight 1/2 ||z_student - z'||^2 + labels CE(y, p), z' = (1 + xi) z_teacher, xi ~ N(0, sigma^2), for a share of the samples

    Use it when the student overfits the teacher's exact logits, as with little data and one teacher: noise makes a crowd of it.
    With plenty of data or strong augmentation noise only slows down.

    Args:
        share: of the samples that get noise, drawn at every step (alpha); 0.5 and
        sigma: of the noise, 0.8, are within what the paper tries (recalled). weight: of the regression.
        labels: of the task loss; 0 as in the logit regression that it extends.
    """
    taught = Tap("teacher").detach().via("noise")
    regress = Term("logits", losses.logit_regression, weight=weight, student=Tap("student"), teacher=taught)
    part = {"noise": Part(partial(NoisyAnswer, share=share, sigma=sigma), like=(Tap("teacher"),))}
    extra = (task(weight=labels),) if labels else ()
    return single_stage(regress, *extra, trains=("student", "noise"), parts=part)
