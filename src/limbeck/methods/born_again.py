"""A chain of equals."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Count, Method, Stage, Term, Update, method
from limbeck.plan.actions import Promote, Reinit
from limbeck.plan.taps import Source, Tap, Via
from limbeck.transforms import mean_of


@method(paper="Furlanello et al. 2018, Born-Again Neural Networks, arXiv 1805.04770", year=2018)
def born_again(generations: Count = 3, labels: float = 1.0, ensemble: bool = False) -> Method:
    """Each generation starts anew, taught by the one before; all have the same architecture.

    Generation 0: L = CE(y, p). Generation k: L = labels CE(y, p_k) + CE(p_(k-1), p_k), T = 1.

    Use it when size is no matter and one architecture should get better than its own labels allow, as by retraining the same
    network several times. Each generation is a full training, and the gain shrinks from one to the next.

    Args:
        generations: at least 2, the first (without a teacher) counted.
        labels: weight of the labels after generation 0; 0 leaves them out.
        ensemble: deploy the mean of all generations' logits instead of the last one.
    """
    taught = Term("soft", losses.soft_cross_entropy, student=Tap("student"), teacher=Tap("ancestor").detach())
    learn = (*((task(weight=labels),) if labels else ()), taught)
    stages = [Stage("generation 0", (Update(("student",), (task(),)),))]
    for k in range(1, generations):
        keep = (Promote(f"generation_{k - 1}", "student"),) if ensemble else ()
        before = (Promote("ancestor", "student"), *keep, Reinit("student"))
        stages.append(Stage(f"generation {k}", (Update(("student",), learn),), before=before))
    everyone: tuple[Source, ...] = (*(Tap(f"generation_{k}") for k in range(generations - 1)), Tap("student"))
    return Method(tuple(stages), deploys=Via(mean_of, everyone) if ensemble else "student")
