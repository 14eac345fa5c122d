"""Correlation instead of an exact match."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(paper="Huang et al. 2022, Knowledge Distillation from A Stronger Teacher (DIST), arXiv 2205.10536", year=2022)
def dist(beta: float = 1.0, gamma: float = 1.0, temperature: float = 1.0) -> Method:
    """Pearson correlation of the predictions, between classes per sample and between samples per class.

    L = CE(y, p) + T^2 (beta (1 - corr over classes) + gamma (1 - corr over the batch))

    Use it when the teacher is much stronger than the student or was trained with strong augmentation: only the order and spread
    of its answers are kept, not their exact values. Its part between samples needs batches with several samples per class.

    Args:
        beta, gamma: weights; 1 and 1 are the defaults of the authors' code (the paper's tables use 2 and 2).
        temperature: T; 1 in the code, 4 for the paper's CIFAR tables.
    """
    by = partial(losses.dist, beta=beta, gamma=gamma, temperature=temperature)
    return single_stage(task(), Term("dist", by, student=Tap("student"), teacher=Tap("teacher").detach()))
