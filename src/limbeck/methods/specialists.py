"""A generalist, and specialists for what it confuses."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.actions import Promote
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.labelling import believed_in, special_labels, specialised


@method(
    paper="Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531 (specialists)", year=2015
)
def specialists(
    subsets: tuple[tuple[int, ...], ...] = ((0, 1), (2, 3)), temperature: float = 4.0, alpha: float = 0.9, share: float = 0.3
) -> Method:
    """Copies of the teacher become experts on class subsets; the student learns from the teacher everywhere and from an
    expert wherever the teacher's best class is one of the expert's.

    expert m: L = CE(y_m, q_m), q_m over its classes S_m and one class for all others, half of its samples from S_m
    student: L = (1 - alpha) CE(y, p) + alpha T^2 [KL(p_t^T || p^T) + sum_m KL(q_m^T || q^T) where argmax p_t in S_m]

    The paper joins generalist and experts at test time, by an optimisation per image; a student that learns from the
    same divergences needs none of them. The experts' own soft targets beside the labels are left out.

    Use it when there are very many classes with groups that are often confused, and one good generalist: experts for these groups
    sharpen its answers. You have to say the groups yourself; with a handful of classes there is nothing to specialise on.

    Args:
        subsets: the classes of each expert (in the paper found by clustering what the generalist confuses).
        temperature, alpha: as in `kd`. share: of the budget for the experts' training.
    """
    experts, train, learn = [], [], []
    by = partial(losses.soft_target, temperature=temperature)
    for k, classes in enumerate(subsets, start=1):
        name, narrow = f"expert_{k}", partial(specialised, classes=classes)
        experts.append(Promote(name, "teacher"))
        label = Field("labels").via(partial(special_labels, classes=classes))
        own = Term(f"task {name}", losses.cross_entropy, student=Tap(name).via(narrow), labels=label)
        half = f"train[classes {','.join(map(str, classes))}]"
        train.append(Update((name,), (own,), source=(half, "train")))
        sides = {"student": Tap("student").via(narrow), "teacher": Tap(name).via(narrow).detach()}
        asked = Tap("teacher").via(partial(believed_in, classes=classes)).detach()
        learn.append(Term(f"soft {name}", by, weight=alpha, mask=asked, **sides))
    first = Stage("experts", tuple(train), share=share, before=tuple(experts))
    terms = (task(weight=1 - alpha), soft(temperature=temperature, weight=alpha), *learn)
    return Method((first, Stage("student", (Update(("student",), terms),))))
