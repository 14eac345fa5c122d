"""A few labels, and a teacher that need not be a network."""

from functools import partial

import torch

from limbeck import losses
from limbeck.connectors import Beside, Copy, PseudoInputs, chosen, interpolate
from limbeck.methods._terms import task
from limbeck.models.fitted import whole_train
from limbeck.plan import Count, Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap

PAPER = "Kimura et al. 2018, Few-shot learning of neural networks from scratch by pseudo example optimization, arXiv 1802.03039"


@method(paper=PAPER, year=2018)
def few_shot(
    size: int = 1250,
    periods: Count = 8,
    moves: Count = 10,
    rate: float = 0.02,
    labels: float = 1.0,
    highest: float = 1.0,
    typical: float = 0.5,
    uncertainty: str = "uncertainty",
) -> Method:
    """The student imitates the teacher (model `gp`, or any) on pseudo inputs, which start between labelled ones; between
    the periods of training, more are made that raise the loss.

    student: L = labels CE(y, f(x)) + mean w(x_p) KL(g(x_p) || f(x_p)), w = highest (typical / highest)^(s(x_p) / mean s)
    new pseudo inputs, copies of the last ones: x_p rises along the gradient of KL(g(x_p) || f(x_p)), by Adam

    After the formulas of the paper as public reading notes give them; its networks, 1,250 inputs at first, 10,000 at
    last and the rates are its MNIST setting. Number of moves and the three weights are ours. The gradient passes
    through the teacher where it has one.

    Use it when only a few labelled samples exist, some ten per class, of inputs on which blending makes sense (small images,
    table rows), and a Gaussian process or other teacher fits them well.

    Args:
        size: pseudo inputs that are added in each period. periods: of training, of equal shares.
        moves: steps upwards between two periods. rate: of Adam on the inputs.
        labels: weight of the labels. highest, typical: of imitation, where the teacher is sure and where it is as usual.
        uncertainty: the teacher's layer that gives s; "" weighs all alike.
    """
    student, teacher, made = Tap("student"), Tap("teacher"), Field("made")
    pair = {"student": student.via(chosen, made), "teacher": teacher.detach().via(chosen, made)}
    if uncertainty:
        spread = Tap("teacher", uncertainty).detach().via(chosen, made)
        by = partial(losses.fidelity_kl, highest=highest, typical=typical)
        imitate = Term("imitate", by, **pair, uncertainty=spread)  # type: ignore[arg-type]
    else:
        imitate = Term("imitate", losses.kl, weight=typical, **pair)  # type: ignore[arg-type]
    begin = Update(("pseudo.groups.0",), (task(),), source=whole_train, apply=interpolate)
    stages = [Stage("between labels", (begin,), steps=1)]
    for k in range(periods):
        if k:
            rise = Update(
                (f"pseudo.groups.{k}",), (Term("harder", losses.kl, weight=-1.0, student=student, teacher=teacher),),
                source=Beside("pseudo", k, k, whole=True), optimizer=partial(torch.optim.Adam, lr=rate),
            )  # fmt: skip
            stages.append(Stage(f"move {k}", (rise,), steps=moves, before=(Copy("pseudo", k),)))
        terms = (task(weight=labels), imitate) if labels else (imitate,)
        learn = Update(("student",), terms, source=Beside("pseudo", 0, k))
        stages.append(Stage(f"imitate {k}", (learn,), share=1 / periods))
    pool = partial(PseudoInputs, size=size, periods=periods)
    return Method(tuple(stages), parts={"pseudo": Part(pool, like=(Tap("student", io="input"),))})
