"""The supervised baseline, with which every method is compared."""

from limbeck.methods._terms import task
from limbeck.models.fitted import fit_role, whole_train
from limbeck.plan import Method, Stage, Update, method, single_stage


@method(paper="The supervised baseline: training on the labels, without a teacher", year=0)
def alone(role: str = "student") -> Method:
    """Train one role on the labels: L = CE(y, p), or what the data's task has in its place.

    For every pixel the same; for boxes, the class of every cell and smooth_l1 of the box where an object is; for strings
    whose places nobody marked, CTC (Graves et al. 2006); for translations, -sum_t log q(y_t | y_<t, x) (Bahdanau et al. 2015).
    A decision tree or a Gaussian process is fitted at once.

    Use it when you want the baseline that any distilled student has to beat with the same data, budget and seed, or need to train
    a teacher.

    Args:
        role: who learns.
    """
    return single_stage(task(role), trains=(role,), name="train", deploys=role)


@method(paper="Breiman et al. 1984, Classification and Regression Trees (the baseline of soft_tree)", year=0)
def alone_tree(role: str = "student") -> Method:
    """Fit a role that has no gradient to the labels: a decision tree (CART, squared error of one-hot rows, the Gini
    criterion), or a Gaussian process.

    Use it when the baseline of a model without gradient, a decision tree or a Gaussian process, is wanted: what it reaches on the
    labels alone.

    Args:
        role: who is fitted.
    """
    fit = Update((role,), (task(role),), source=whole_train, apply=fit_role)
    return Method((Stage("fit", (fit,), steps=1),), deploys=role)
