"""A teacher who was shown more than the student will ever see."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.taps import Field, Tap
from limbeck.transforms import probabilities


@method(paper="Lopez-Paz et al. 2016, Unifying Distillation and Privileged Information, arXiv 1511.03643", year=2016)
def generalized_distillation(
    privileged: str = "columns:0", temperature: float = 1.0, imitation: float = 0.5, share: float = 1.0
) -> Method:
    """The teacher learns from privileged inputs x*, the student from x alone, with the labels and the teacher's soft answers.

    teacher: L = CE(y, f_t(x*)); student: L = (1 - imitation) CE(y, p) + imitation CE(s, p), s = softmax(f_t(x*) / T)

    With x* = x and a larger teacher it is `kd` without T^2; with a teacher of another view it is learning using
    privileged information. What the student sees, trained and deployed, is its own `columns` (as is its baseline's).

    Args:
        privileged: the teacher's view of a sample, which a user will not have: `columns:8-13`, or any view.
        temperature: T of the teacher's answers. imitation: lambda, 0 .. 1. share: of the budget for the teacher.
    """
    teacher = Tap("teacher", on="privileged")
    first = Term("task teacher", losses.cross_entropy, student=teacher, labels=Field("labels"))
    said = teacher.detach().via(partial(probabilities, temperature=temperature))
    imitate = Term("imitate", losses.soft_labels_cross_entropy, weight=imitation, student=Tap("student"), probabilities=said)
    stages = (
        Stage("teacher", (Update(("teacher",), (first,)),), share=share),
        Stage("student", (Update(("student",), (task(weight=1 - imitation), imitate)),)),
    )
    return Method(stages, views={"privileged": privileged})
