"""A detector whose map cannot be told from the teacher's."""

from limbeck import losses
from limbeck.connectors import Connector, MapJudge
from limbeck.methods._terms import of_judges
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap
from limbeck.tasks.detect import box_terms

PAPER = "Hong & Yu 2019, GAN-Knowledge Distillation for one-stage Object Detection, arXiv 1906.08467"


@method(paper=PAPER, year=2019)
def detection_gan(
    at: str = "layer3", teacher_at: str = "", weight: float = 0.1, box_weight: float = 1.0, judge_rate: float = 2e-4
) -> Method:
    """A judge learns to tell the teacher's map from the student's; the student learns to detect and to fool it.

    judge: -log D(F_teacher) - log(1 - D(a(F_student))); student: L_detector - weight log D(a(F_student)); they alternate

    Only the abstract was at hand: that the backbones' maps are the real and the fake samples is its; weight, the
    judge's form and the connector a (1x1 convolution + batch-norm) are ours.

    Use it when a detector's map is to be taught without saying which positions matter. A judge of maps is slow to become useful;
    compare with `fine_grained`, which names the positions.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise; of equal height and width.
        weight: of the adversarial term. box_weight: of the detector's boxes. judge_rate: of Adam for the judge.
    """
    student, teacher = Tap("student", at).via("connector"), Tap("teacher", teacher_at or at).detach()
    judge = Update(
        ("judge",),
        (Term("real", losses.real, logit=teacher.via("judge")), Term("fake", losses.fake, logit=student.detach().via("judge"))),
        optimizer=of_judges(judge_rate),
    )
    fool = Term("fool", losses.real, weight=weight, logit=student.via("judge"))
    learner = Update(("student", "connector"), (*box_terms(weight=box_weight), fool))
    return Method(
        (Stage("distil", (judge, learner)),),
        parts={"connector": Part(Connector, like=(Tap("student", at), teacher)), "judge": Part(MapJudge, like=(teacher,))},
    )
