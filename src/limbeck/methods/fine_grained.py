"""The teacher's map near objects, and nowhere else."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Imitator
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Tap
from limbeck.tasks.detect import box_terms
from limbeck.transforms.combine import places
from limbeck.transforms.masks import near_objects

PAPER = "Wang et al. 2019, Distilling Object Detectors with Fine-grained Feature Imitation, CVPR 2019, arXiv 1906.03609"


@method(paper=PAPER, year=2019)
def fine_grained(
    at: str = "layer3", teacher_at: str = "", weight: float = 0.01, share: float = 0.5, box_weight: float = 1.0
) -> Method:
    """The student's map follows the teacher's at places where anchors overlap an object well.

    L = L_detector + weight mean over the places of I of 1/2 ||a(F_student) - F_teacher||^2, I = places where an anchor
    covers some box by more than share times what that box's best anchor does; a = 3x3 convolution + ReLU

    The paper's anchors are the detector's own; these networks have none, so `masks.near_objects` has some.

    Use it when objects are small against a background that would swamp a plain comparison of maps: only places near objects are
    taught. It needs boxes, and maps of equal height and width.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise; of equal height and width.
        weight: of the imitation, 0.01 as in the paper. share: psi, 0 .. 1; 0.5 as in the paper. box_weight: of the
            detector's boxes.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    near = Field("labels").via(partial(near_objects, share=share), teacher, Field("inputs"))
    imitate = Term(
        "imitate",
        losses.logit_regression,
        weight=weight,
        mask=near,
        student=student.via("connector").via(places),
        teacher=teacher.via(places),
    )
    return single_stage(
        *box_terms(weight=box_weight),
        imitate,
        trains=("student", "connector"),
        parts={"connector": Part(Imitator, like=(student, teacher))},
    )
