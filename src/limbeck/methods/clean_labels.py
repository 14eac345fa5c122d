"""A few clean labels against many wrong ones."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.labelling import mixed_labels


@method(
    paper="Li et al. 2017, Learning from Noisy Labels with Distillation, arXiv 1703.02391", year=2017, serves=("wrong labels",)
)
def clean_labels(
    clean: str = "train[1/10]", noisy: str = "train", trust: float = 0.5, temperature: float = 1.0, share: float = 1.0
) -> Method:
    """A teacher learns from a small clean part; the student from everything, its labels mixed with the teacher's opinion.

    teacher: L = CE(y, p_t) on clean; student: L = CE(trust y + (1 - trust) p_t^T, p) on noisy

    The paper's guidance by a knowledge graph is left out.

    Use it when many labels are wrong, but a small part is known to be clean: a teacher of that part corrects the rest. The clean
    part must be large enough to train a teacher that beats the noise.

    Args:
        clean: the partition with clean labels: one of your own data, or by default a tenth of train.
        noisy: the partition with all. trust: lambda, between 0 (the teacher alone) and 1 (the labels alone); the paper
            derives it from both risks. temperature: T of the teacher. share: of the budget for the teacher.
    """
    mix = partial(mixed_labels, share=trust, temperature=temperature)
    corrected = Field("labels").via(mix, Tap("teacher").detach())
    learn = Term("corrected", losses.cross_entropy, student=Tap("student"), labels=corrected)
    first = Stage("clean", (Update(("teacher",), (task("teacher"),), source=clean),), share=share)
    return Method((first, Stage("noisy", (Update(("student",), (learn,), source=noisy),))))
