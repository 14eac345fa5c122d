"""Maps that rise and fall together."""

from limbeck import losses
from limbeck.connectors import Connector
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(
    paper="Cao et al. 2022, PKD: General Distillation Framework via Pearson Correlation, arXiv 2207.02039",
    year=2022,
    serves=("detection",),
    pull=0.026,
)
def pkd(at: str = "layer3", teacher_at: str = "", weight: float = 6.0) -> Method:
    """The Pearson correlation of student and teacher maps, channel by channel, is raised to one.

    L = CE(y, p) + weight (1 - mean_c corr(r(F_s)_c, F_t,c)), over batch and pixels; r = 1x1 convolution + BN

    Made for detectors whose maps have equal channels, without r. Blind to scale and mean of either side.

    Use it when maps of student and teacher differ in scale, as between detectors of different backbones, and only their pattern
    shall agree. Blind to size and mean, it should not be the only signal of a network whose output needs them.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise; of equal height and width.
        weight: 6, mmrazor's for detectors (recalled).
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    term = Term("correlation", losses.pkd, weight=weight, student=student.via("connector"), teacher=teacher)
    return single_stage(
        task(), term, trains=("student", "connector"), parts={"connector": Part(Connector, like=(student, teacher))}
    )
