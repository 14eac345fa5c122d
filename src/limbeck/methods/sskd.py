"""What a teacher knows shows best where it was never trained to look."""

from functools import partial

from limbeck import losses
from limbeck.connectors import ContrastHead
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Source, Tap
from limbeck.transforms.combine import similarities


@method(
    paper="Xu et al. 2020, Knowledge Distillation Meets Self-Supervision (SSKD), arXiv 2006.07114",
    year=2020,
    serves=("transfer",),
)
def sskd(
    at: str = "pool",
    teacher_at: str = "",
    turned: str = "randaugment",
    temperature: float = 4.0,
    contrast: float = 0.5,
    weights: tuple[float, float, float] = (0.9, 10.0, 2.7),
    labels: float = 0.1,
    first_share: float = 0.2,
) -> Method:
    """Stage 1: a head on the teacher learns to find each turned sample's original. Stage 2: the student learns the teacher's
    answers to plain and turned samples, and which original the teacher takes each turned sample for.

    stage 1: L = -log softmax_j(A_t)_ii; stage 2: L = labels CE + a T^2 KL(plain) + b T_c^2 KL(A_t || A_s at T_c) +
    c T^2 KL(turned), A_ij = cos(h(f(x'_i)), h(f(x_j))), T_c = contrast

    The paper turns each sample four ways and passes on only the surest of the teacher's wrong answers; here one view and all.

    Use it when the student shall keep what the teacher knows beyond its classes, for transfer or few labels: which samples belong
    together after turning. It runs a second view of each batch on both networks.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise. turned: the other view.
        temperature: T of the answers. contrast: T_c of the similarities in stage 2, 0.5; 1 in stage 1, as in the code.
            weights: a, b, c; the public code's. labels: of the task.
        first_share: part of the budget for the teacher's head.
    """
    there = teacher_at or at

    def taken_for(role: str, layer: str) -> Source:
        plain, other = (Tap(role, layer, on=view).via(f"head_{role}") for view in ("inputs", "turned"))
        return other.via(similarities, plain)

    find = partial(losses.info_nce, temperature=1.0)
    original, changed = (Tap("teacher", there, on=view).via("head_teacher") for view in ("inputs", "turned"))
    first = Update(("head_teacher",), (Term("find", find, student=changed, teacher=original),))
    a, b, c = weights
    by = partial(losses.soft_target, temperature=temperature)
    same = partial(losses.soft_target, temperature=contrast)
    relations = Term("similarity", same, weight=b, student=taken_for("student", at), teacher=taken_for("teacher", there).detach())
    turned_answers = {"student": Tap("student", on="turned"), "teacher": Tap("teacher", on="turned").detach()}
    terms = (
        task(weight=labels),
        soft(temperature=temperature, weight=a),
        relations,
        Term("turned", by, weight=c, **turned_answers),
    )
    stages = (
        Stage("self-supervision", (first,), share=first_share),
        Stage("distil", (Update(("student", "head_student"), terms),), share=1 - first_share),
    )
    parts = {f"head_{role}": Part(ContrastHead, like=(Tap(role, k),)) for role, k in (("teacher", there), ("student", at))}
    return Method(stages, parts=parts, views={"turned": turned})
