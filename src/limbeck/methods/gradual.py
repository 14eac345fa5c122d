"""A tiny ternary student that follows its teacher's training."""

from functools import partial

from limbeck.connectors.quantise import Quantise, Ternary
from limbeck.methods._terms import soft, task
from limbeck.plan import Count, Method, Stage, Update, method
from limbeck.plan.actions import Promote, Reinit, Snapshot


@method(paper="Min et al. 2019, A Gradually Distilled CNN for SAR Target Recognition, IEEE Access 7", year=2019)
def gradual(
    snapshots: Count = 20, temperature: float = 4.0, alpha: float = 0.9, scale: bool = False, given: bool = False
) -> Method:
    """The teacher trains; the student, whose weights are -1, 0 or 1, learns at every time from a recent snapshot of it.

    teacher: L = CE(y, p_t); student: L = (1 - alpha) CE(y, p) + alpha T^2 KL(p_snapshot^T || p^T), straight-through

    Only the paper's abstract was at hand: its route (the student does not start from the finished teacher) and its
    ternary weights are followed; threshold, temperature and weights are not its own.

    Use it when the student's weights may take three values only and teacher and student can be trained together: it follows the
    teacher's progress from easy to hard. With three values some loss against full precision remains.

    Args:
        snapshots: how often the student's teacher is renewed over the run.
        temperature, alpha: as in `kd`. scale: ternary weights times one number per layer instead of exactly -1, 0, 1.
        given: for a teacher that is finished: it stays, and a twin that starts anew learns from it as in `kd`; the
            student follows the twin. False: the teacher trains here, from the weights it has.
    """
    taught = partial(soft, temperature=temperature, weight=alpha)
    who = "walker" if given else "teacher"
    lead = (task(who, weight=1 - alpha), taught(who, "teacher")) if given else (task(who),)
    student = Update(("student",), (task(weight=1 - alpha), taught("student", "snapshot")))
    start = (Promote("walker", "teacher"), Reinit("walker")) if given else ()
    before = (*start, Promote("snapshot", who), Quantise("student", partial(Ternary, scale=scale)))
    renew = Snapshot("snapshot", who, at=tuple((k + 1) / snapshots for k in range(snapshots)))
    return Method((Stage("follow", (Update((who,), lead), student), before=before, after_step=(renew,)),))
