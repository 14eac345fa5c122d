"""Labels for each crop, and again."""

from limbeck import losses
from limbeck.plan import Count, Method, Stage, Term, Update, method
from limbeck.plan.actions import Promote, Reinit
from limbeck.plan.taps import Field, Tap


@method(paper="Bagherinezhad et al. 2018, Label Refinery: Improving ImageNet Classification, arXiv 1805.02641", year=2018)
def label_refinery(refinements: Count = 2, view: str = "crop") -> Method:
    """A network's answers to crops replace the labels of the next, which sees the same crops; several times over.

    first: L = CE(y, p_0); then from scratch: L = KL(p_(k-1)(crop) || p_k(crop)), T = 1, no labels

    Other refineries than the student's own architecture, and adversarial jittering, are left out.

    Use it when crops or other views of an image often do not show what its label says (many classes, large scenes) and the
    network is retrained with answers per crop. Each round is a full training of the same network.

    Args:
        refinements: how often labels are refined. view: what both see; crops say best why a label must change.
    """
    student = Tap("student", on="crop")
    refine = Term("refine", losses.kl, student=student, teacher=Tap("refinery", on="crop").detach())
    first = Term("task", losses.cross_entropy, student=student, labels=Field("labels"))
    stages = [Stage("labels", (Update(("student",), (first,)),))]
    again = (Promote("refinery", "student"), Reinit("student"))
    stages += [Stage(f"refined {k}", (Update(("student",), (refine,)),), before=again) for k in range(1, refinements + 1)]
    return Method(tuple(stages), views={"crop": view})
