"""Patience and consistency: one view, for both, for very long."""

from functools import partial

from limbeck import losses
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(paper="Beyer et al. 2022, Knowledge distillation: A good teacher is patient and consistent, arXiv 2106.05237", year=2022)
def funmatch(view: str = "crop,flip,mixup:1.0", temperature: float = 1.0) -> Method:
    """Function matching: teacher and student see the very same strongly varied input, mixed-up ones included; no labels.

    L = KL(p_t^T(x') || p^T(x')), x' = one view of x, blended with another sample's in any proportion

    The other half of the method is the schedule, hundreds to thousands of epochs: the guide has it as a recipe.

    Use it when you have a strong teacher, a lot of computing time and no need of labels: long training on mixed-up images is what
    makes it work. With a budget of tens of epochs it lags behind `kd`.

    Args:
        view: of both, beside the run's own (not used). mixup:1.0 draws the proportion evenly, as in the paper.
        temperature: T, 1 to 10 in the paper; without T^2.
    """
    by = partial(losses.kl, temperature=temperature)
    student, teacher = Tap("student", on="mixed"), Tap("teacher", on="mixed").detach()
    return single_stage(Term("match", by, student=student, teacher=teacher), views={"mixed": view})
