"""Where each channel looks."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Connector
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(
    paper="Shu et al. 2021, Channel-wise Knowledge Distillation for Dense Prediction, arXiv 2011.13256",
    year=2021,
    serves=("segmentation",),
    pull=1.7,
)
def cwd(at: str = "layer3", teacher_at: str = "", temperature: float = 1.0, weight: float = 5.0) -> Method:
    """Every channel of a map, as a distribution over its pixels, follows the teacher's.

    L = CE(y, p) + weight T^2/C sum_c KL(softmax_xy(F_t,c / T) || softmax_xy(r(F_s)_c / T)), r = 1x1 convolution + BN

    Made for dense prediction, where it also serves on the logit maps; here on a classifier's map.

    Use it when the task is dense prediction such as segmentation, where it is known to work well on late maps or logit maps: each
    channel says where its thing is. On a classifier's small maps (4 x 4 pixels and fewer) a distribution over pixels says little.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise; of equal height and width.
        temperature: T; 1 as in mmrazor. weight: 5, mmrazor's for segmentation (recalled).
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    by = partial(losses.cwd, temperature=temperature)
    term = Term("channels", by, weight=weight, student=student.via("connector"), teacher=teacher)
    return single_stage(
        task(), term, trains=("student", "connector"), parts={"connector": Part(Connector, like=(student, teacher))}
    )
