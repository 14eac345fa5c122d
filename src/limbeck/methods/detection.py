"""Detectors: from labels alone, and from all that a larger detector says."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Connector
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Tap
from limbeck.tasks.detect import box_terms
from limbeck.transforms import boxes

CHEN = "Chen et al. 2017, Learning Efficient Object Detection Models with Knowledge Distillation, NeurIPS 2017"


@method(paper=CHEN, year=2017)
def detection(
    at: str = "layer3",
    teacher_at: str = "",
    hard: float = 0.5,
    bound: float = 0.5,
    hint: float = 0.5,
    margin: float = 0.0,
    background: float = 1.5,
    box_weight: float = 1.0,
) -> Method:
    """Classes from labels and a teacher, boxes bounded by the teacher's, and a hint from a map.

    L = hard CE(y, p) + (1 - hard) weighted CE(p_teacher, p) + box_weight (smooth_l1 + bound L_b) + hint mean (a(F_student)
    - F_teacher)^2, L_b = |s - y|^2 where |s - y|^2 + margin > |t - y|^2, else 0; a = 1x1 convolution + batch-norm

    The paper distils a two-stage detector; its terms are here those of a one-stage detector's cells, so that the
    background is the class "nothing here". Weights recalled: hard 0.5, bound 0.5, hint 0.5, background 1.5.

    Use it when a detector with boxes is to be compressed and you want all three places taught: classes, boxes and a middle map.
    Its terms are made for the built-in one-stage detector, whose answers have one row per cell.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise; of equal height and width.
        hard: share of the labels in the classes' term. bound: of the bounded regression. hint: of the map's term.
        margin: m >= 0. background: weight of "nothing here" in the soft term. box_weight: of the boxes' terms.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    mine, theirs, labels, inputs = Tap("student"), Tap("teacher").detach(), Field("labels"), Field("inputs")
    classes, place = box_terms(weight=box_weight)
    soft = Term(
        "soft classes",
        partial(losses.background_cross_entropy, background=background),
        weight=1 - hard,
        student=mine.via(boxes.class_logits),
        teacher=theirs.via(boxes.class_logits),
    )
    bounded = Term(
        "bounded boxes",
        partial(losses.bounded_regression, margin=margin),
        weight=box_weight * bound,
        mask=place.mask,
        student=mine.via(boxes.box_numbers),
        teacher=theirs.via(boxes.box_numbers),
        goal=labels.via(boxes.box_targets, mine, inputs),
    )
    match = Term("hint", losses.mse, weight=hint, student=student.via("connector"), teacher=teacher)
    return single_stage(
        classes.but(weight=hard),
        soft,
        place,
        bounded,
        match,
        trains=("student", "connector"),
        parts={"connector": Part(Connector, like=(student, teacher))},
    )
