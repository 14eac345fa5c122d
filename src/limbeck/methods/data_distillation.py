"""One model, many looks at data that nobody labelled."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap, Via
from limbeck.transforms import hard_labels
from limbeck.transforms.answers import mean_probabilities
from limbeck.transforms.labelling import where_not


@method(paper="Radosavovic et al. 2018, Data Distillation: Towards Omni-Supervised Learning, arXiv 1712.04440", year=2018)
def data_distillation(looks: tuple[str, ...] = ("identity", "flip:1.0"), hard: bool = True, weight: float = 1.0) -> Method:
    """The teacher's answers to several transforms of an unlabelled sample are averaged into a label; the student is trained
    anew on labelled and unlabelled samples together.

    L = CE(y, p) on the labelled + weight CE(y', p) on the unlabelled, y' = argmax mean_k p_teacher(t_k(x)) or the mean itself

    Use it when you have a good teacher and many unlabelled samples of the same kind, and can train the student anew on both.
    Transforms must leave the label as it is, and the teacher must be sure enough, since its mistakes become labels.

    Args:
        looks: spelling of each transform t_k; the paper's are scales and flips.
        hard: labels as in the paper; False keeps the mean probabilities. weight: of the unlabelled.
    """
    views = {f"look_{k}": spelling for k, spelling in enumerate(looks, start=1)}
    mean = Via(mean_probabilities, tuple(Tap("teacher", on=name) for name in views)).detach()
    new = Field("labelled").via(where_not)
    by: dict = {"student": Tap("student"), "labels": mean.via(hard_labels) if hard else mean}
    generated = Term("generated", losses.cross_entropy, weight=weight, mask=new, **by)
    update = Update(("student",), (task(mask=Field("labelled")), generated), source=("train", "unlabelled"))
    return Method((Stage("union", (update,)),), views=views)
