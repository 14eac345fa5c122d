"""A teacher who was shown more than the student will ever see."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap
from limbeck.transforms import probabilities


@method(paper="Vapnik & Vashist 2009 (LUPI), as in Lopez-Paz et al. 2016, arXiv 1511.03643", year=2016, serves=("privileged",))
def lupi(privileged: str = "columns:0", temperature: float = 1.0, imitation: float = 0.5, share: float = 1.0) -> Method:
    """The teacher learns from privileged inputs x*, the student from x alone, with the labels and the teacher's soft answers.

    teacher: L = CE(y, f_t(x*)); student: L = (1 - imitation) CE(y, p) + imitation CE(s, p), s = softmax(f_t(x*) / T)

    Learning using privileged information, from training the teacher on. What the student is given of a sample, in training
    and after, is said with its role (`student.sees = "bands:0:8"`); `generalised_distillation` takes a finished teacher.

    Use it when more is measured of a training sample than will be at hand later (columns of a table, an expert's reading) and the
    teacher is trained on it within the run. If what is privileged adds nothing to the inputs, neither does the teacher.

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
