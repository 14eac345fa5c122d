"""Answers aligned one by one, sample by sample and class by class."""

from functools import partial

from limbeck import losses
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(paper="Jin, Wang & Lin 2023, Multi-Level Logit Distillation, CVPR 2023", year=2023)
def mlkd(
    temperatures: tuple[float, ...] = (2.0, 3.0, 4.0, 5.0, 6.0),
    weight: float = 1.0,
    labels: float = 1.0,
    view: str = "randaugment",
) -> Method:
    """On a plain and a strong view: soft labels at several temperatures, relations of samples, relations of classes.

    L = sum over views of labels CE(y, p) + weight sum_T [T^2 KL(p_t^T || p^T) + ||G_t - G_s||^2 / N + ||M_t - M_s||^2 / C],
    G = P P' (samples), M = P' P (classes), P the N x C probabilities at T

    By the formulas. The published code differs: its confidence mask multiplies terms that were averaged before (so it only
    rescales), and at T = 2 and 6 the strong view's terms are given the plain view's logits.

    Use it when only the teacher's logits can be had and the budget allows a second, strongly varied view: soft labels at five
    temperatures and two kinds of relations are taken from them. It compares whole batches, so its weights depend on batch size
    and number of classes.

    Args:
        temperatures: the code's 4, 3, 5, 2 and 6. weight: of each level. labels: of the task. view: the strong one.
    """
    levels = (("soft", losses.soft_target), ("samples", losses.batch_gram), ("classes", losses.class_gram))
    terms = []
    for name in ("inputs", "strong"):
        student, teacher = Tap("student", on=name), Tap("teacher", on=name).detach()
        terms.append(Term(f"task {name}", losses.cross_entropy, weight=labels, student=student, labels=Field("labels")))
        for what, by in levels:
            each = ((f"{what} {name} {t:g}", partial(by, temperature=t)) for t in temperatures)
            terms += [Term(title, fn, weight=weight, student=student, teacher=teacher) for title, fn in each]
    return single_stage(*terms, views={"strong": view})
