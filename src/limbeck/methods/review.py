"""Deep layers explained by going back over shallow ones."""

from limbeck import losses
from limbeck.connectors import Review
from limbeck.connectors.review import as_map
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Tap, Via


@method(paper="Chen et al. 2021, Distilling Knowledge via Knowledge Review (ReviewKD), arXiv 2104.09044", year=2021, pull=4.7)
def review(
    at: tuple[str, ...] = ("layer1", "layer2", "layer3", "pool"),
    teacher_at: tuple[str, ...] = (),
    weight: float = 1.0,
    warm_up: float = 1 / 12,
) -> Method:
    """Each of the student's maps, fused with all deeper ones by attention, follows the teacher's map of that level.

    L = CE(y, p) + w(t) sum_l HCL(ABF_l(F_s,l, deeper), F_t,l), HCL = weighted mean squares at several pooled sizes

    After the authors' code (dvlab-research/ReviewKD). An embedding counts as a map of one pixel.

    Use it when teacher and student are convolutional with several stages and you can pay for a fusing module in training: a
    student's deep layers also learn the teacher's shallow ones. One of the stronger feature methods in published comparisons, and
    one of the larger ones to run.

    Args:
        at: the student's layers, shallow to deep. teacher_at: the teacher's, if they are called otherwise.
        weight: largest w; the authors use 0.6 to 8 with the pair. warm_up: part of the run over which it rises from 0.
    """
    mine = tuple(Tap("student", name) for name in at)
    theirs = tuple(Tap("teacher", name).detach() for name in (teacher_at or at))
    fused = Via("review", mine)
    rise = linear(0.0, weight, over=warm_up) if warm_up else weight
    terms = [
        Term(f"review {name}", losses.hcl, weight=rise, student=fused[k], teacher=theirs[k].via(as_map))
        for k, name in enumerate(at)
    ]
    update = Update(("student", "review"), (task(), *terms))
    return Method((Stage("distil", (update,)),), parts={"review": Part(Review, like=(*mine, *theirs))})
