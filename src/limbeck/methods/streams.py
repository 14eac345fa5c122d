"""Teachers of several streams: one for pictures, one for motion, and what they say together."""

from functools import partial

from limbeck import losses
from limbeck.errors import UserError
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap, Via
from limbeck.transforms import mean_of


@method(
    paper="Wu, Chiu & Wu 2019, Multi-Teacher Knowledge Distillation for Compressed Video Action Recognition on Deep Neural "
    "Networks, ICASSP 2019",
    year=2019,
    serves=("privileged",),
)
def streams(
    teachers: tuple[str, ...] = ("teacher", "teacher_2"),
    weights: tuple[float, ...] = (),
    fused: float = 1.0,
    temperature: float = 4.0,
) -> Method:
    """The student learns from a teacher per stream and from the fused answer of all.

    L = CE(y, p) + sum_m weight_m T^2 KL(p_m^T || p^T) + fused T^2 KL(softmax(mean_m z_m / T) || p^T)

    Each teacher sees a stream of its own (`teacher_2.sees = "differences"`). Form and numbers are recalled, not read in
    the paper.

    Use it when the full answer needs several streams (a frame and its motion, several sensors) and the student gets only one: as
    in video recognition. Every stream has a teacher of its own, which must be trained already.

    Args:
        teachers: a role per stream. weights: one for each; () is 1 / number of teachers for all.
        fused: weight of the mean of the teachers' logits; 0 leaves it out. temperature: T > 0.
    """
    weights = weights or tuple(1 / len(teachers) for _ in teachers)
    if len(weights) != len(teachers):
        raise UserError(f"streams has {len(teachers)} teachers and {len(weights)} weights; give a weight for each")
    taught = [soft("student", name, temperature=temperature, weight=w) for name, w in zip(teachers, weights, strict=True)]
    if fused:
        together = Via(mean_of, tuple(Tap(name) for name in teachers)).detach()
        by = partial(losses.soft_target, temperature=temperature)
        taught.append(Term("soft fused", by, weight=fused, student=Tap("student"), teacher=together))
    return single_stage(task(), *taught)
