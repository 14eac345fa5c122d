"""Labels, soft answers for every pixel, and a hint from the middle, together."""

from limbeck import losses
from limbeck.connectors import Connector
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap

PAPER = (
    "Wang et al. 2019, Segmenting Neuronal Structure in 3D Optical Microscope Images via Knowledge Distillation with "
    "Teacher-Student Network, ISBI 2019"
)


@method(paper=PAPER, year=2019, serves=("segmentation",))
def dense_hints(
    at: str = "up1", teacher_at: str = "", temperature: float = 2.0, soft_weight: float = 1.0, hint_weight: float = 1.0
) -> Method:
    """A small U-Net learns a large one's probability of every pixel and a map of its decoder, beside the labels.

    L = CE(y, p) + soft_weight T^2 KL(p_teacher^T || p_student^T) + hint_weight mean (r(F_student) - F_teacher)^2,
    the first two as means over pixels; r = 1x1 convolution + batch-norm

    Only the abstract and the survey notes were at hand: the three terms are theirs, their weights, T and the place of
    the hint are ours. The paper's networks are 3-D; this declaration takes any dense network, `unet` here is 2-D.

    Use it when the task is segmentation with networks that end in a decoder, as U-Nets do, and the teacher's decoder map is at
    hand. It expects the two maps to have equal height and width.

    Args:
        at: the student's map, the end of the decoder. teacher_at: the teacher's, if it is called otherwise; of equal
            height and width. temperature: T > 0. soft_weight, hint_weight: of the teacher's two terms.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    hint = Term("hint", losses.mse, weight=hint_weight, student=student.via("connector"), teacher=teacher)
    return single_stage(
        task(),
        soft(temperature=temperature, weight=soft_weight),
        hint,
        trains=("student", "connector"),
        parts={"connector": Part(Connector, like=(student, teacher))},
    )
