"""A tree that a person can read, fitted to a network's doubts."""

from functools import partial

from limbeck import losses
from limbeck.models.fitted import fit_role, whole_train
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.taps import Tap


@method(
    paper="Liu, Wang & Matwin 2018, Improving the Interpretability of Deep Neural Networks with Knowledge "
    "Distillation, arXiv 1812.10924",
    year=2018,
)
def soft_tree(temperature: float = 1.0) -> Method:
    """A CART regression tree is fitted to the teacher's probabilities (several outputs, squared error) and
    answers with the most probable class of a leaf. It has no gradient: it is fitted once, on all of train.

    L = ||p_tree(x) - p_teacher^T(x)||^2, splits by reduction of variance

    Use it when the answer has to be explained by rules or run without a multiplication: a tree imitates the network. It fits rows
    of numbers; on raw images a tree loses far more than any network would.

    Args:
        temperature: T of the teacher's probabilities.
    """
    by = partial(losses.probability_mse, temperature=temperature)
    match = Term("soft", by, student=Tap("student"), teacher=Tap("teacher").detach())
    fit = Update(("student",), (match,), source=whole_train, apply=partial(fit_role, temperature=temperature))
    return Method((Stage("fit", (fit,), steps=1),))
