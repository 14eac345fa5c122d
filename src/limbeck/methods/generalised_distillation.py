"""A teacher that sees more of a sample than its student ever will."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap
from limbeck.transforms import tempered


@method(
    paper="Lopez-Paz et al. 2016, Unifying Distillation and Privileged Information, ICLR, arXiv 1511.03643",
    year=2016,
    serves=("privileged",),
)
def generalised_distillation(temperature: float = 2.0, imitation: float = 0.5) -> Method:
    """The student matches the labels and a teacher's prediction for another, privileged view of the sample.

    L = (1 - imitation) CE(y, p(x)) + imitation KL(softmax(z_teacher(x*) / T) || p(x))

    The student's own answer is not tempered. Who sees what is said with the roles (`teacher.sees`, `student.sees`):
    with one view for both and a larger teacher it is Hinton's distillation (but for his T^2 and tempered student), with
    a view x* that only the teacher has it is learning with privileged information. Fukuda et al. 2017 teach a narrowband
    student by a wideband teacher in this way. The paper writes cross-entropy; KL has the same gradient and is 0 at a match.

    Use it when a finished teacher sees something at training time that the student never will (cleaner sound, more sensors, later
    measurements). With the same inputs on both sides it is ordinary distillation.

    Args:
        temperature: T > 0 of the teacher. imitation: lambda, 0 .. 1. The paper tunes both; the defaults are limbeck's.
    """
    privileged = Tap("teacher").via(partial(tempered, temperature=temperature)).detach()
    imitate = Term("imitate", losses.kl, weight=imitation, student=Tap("student"), teacher=privileged)
    return single_stage(task(weight=1 - imitation), imitate)
