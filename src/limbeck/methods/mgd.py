"""A whole map out of a torn one."""

from functools import partial

from limbeck import losses
from limbeck.connectors import MaskedGenerator
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap

PAPER = "Yang et al. 2022, Masked Generative Distillation, arXiv 2205.01529"


@method(paper=PAPER, year=2022, serves=("segmentation", "detection"), pull=0.2)
def mgd(at: str = "layer3", teacher_at: str = "", weight: float = 7e-5, masked: float = 0.5) -> Method:
    """Random pixels of the student's map are blanked, and from the rest the teacher's whole map is generated.

    L = CE(y, p) + weight sum (T - G(a(S) * M))^2 per sample, G = 3x3 convolution, ReLU, 3x3 convolution; M = 0 at a
    share `masked` of the pixels, drawn anew at every step

    Use it when maps of both networks are at hand with equal height and width and the student is free to differ from the teacher
    otherwise: it has to make up the blanked places. It is used for segmentation and detection as well as for classes.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise; of equal height and width.
        weight: 7e-5, for classification. masked: 0.5 (recalled; the paper varies it with the task).
    """
    return _generate(at, teacher_at, weight, partial(MaskedGenerator, masked=masked))


@method(paper=PAPER + " (as in the authors' code for classification)", year=2022, serves=("public code",), pull=0.2)
def mgd_code(at: str = "layer3", teacher_at: str = "", weight: float = 7e-5, masked: float = 0.15) -> Method:
    """The same with whole channels blanked instead of pixels, as yzd-v/cls_KD has it.

    M = 0 at a share `masked` of the channels

    Use it when you compare with the authors' code for classification, where whole channels are blanked; on late maps of a few
    pixels this leaves more to guess from than `mgd`.

    Args:
        at, teacher_at, weight: as in `mgd`. masked: 0.15, the code's.
    """
    return _generate(at, teacher_at, weight, partial(MaskedGenerator, masked=masked, channels=True))


def _generate(at: str, teacher_at: str, weight: float, build: partial) -> Method:
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    term = Term("generate", losses.mgd, weight=weight, student=student.via("generator"), teacher=teacher)
    return single_stage(task(), term, trains=("student", "generator"), parts={"generator": Part(build, like=(student, teacher))})
