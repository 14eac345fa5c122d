"""Hints from the middle, then soft labels."""

from limbeck import losses
from limbeck.connectors import ConvRegressor
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Tap


@method(paper="Romero et al. 2015, FitNets: Hints for Thin Deep Nets, arXiv 1412.6550", year=2015)
def fitnets(
    guided: str = "layer2",
    hint: str = "layer2",
    temperature: float = 3.0,
    hint_share: float = 0.3,
) -> Method:
    """Two stages: the student's first half learns the teacher's hint through a regressor; then KD trains all.

    Stage 1: L = mean (r(F_student) - F_teacher)^2. Stage 2: L = CE(y, p) + lambda KL(p_teacher^T || p_student^T),
    lambda from 4 to 1 in a straight line; as in the paper's Eq. 2 there is no T^2 (its cross-entropy has the same
    gradient).

    Use it when the student is thinner and deeper than the teacher and hard to train from scratch: a middle layer gives it a
    start. The hint stage takes its share of the budget away from the task, which short trainings miss.

    Args:
        guided: the student's layer; all its layers up to this one, and no others, train in stage 1.
        hint: the teacher's layer.
        temperature: T of stage 2; 3 in the paper.
        hint_share: part of the budget given to stage 1.
    """
    student, teacher = Tap("student", guided), Tap("teacher", hint).detach()
    match = Term("hint", losses.mse, student=student.via("regressor"), teacher=teacher)
    first = Update((f"student:{guided}", "regressor"), (match,))
    second = Update(("student",), (task(), soft(temperature=temperature, scaled=False, weight=linear(4.0, 1.0))))
    return Method(
        (Stage("hint", (first,), share=hint_share), Stage("kd", (second,), share=1 - hint_share)),
        parts={"regressor": Part(ConvRegressor, like=(student, teacher))},
    )
