"""A booster on the light net's own lower layers."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Tail
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(paper="Zhou et al. 2018, Rocket Launching, arXiv 1708.04106", year=2018)
def rocket(
    shared: str = "layer1",
    rest: tuple[str, ...] = ("layer2", "layer3", "pool", "linear"),
    ratio: float = 2.0,
    weight: float = 0.03,
    block: bool = True,
) -> Method:
    """The student shares its lower layers with a wider booster; both train all along, and its logits follow the booster's.

    L = CE(y, p_light) + CE(y, p_booster) + weight ||z_light - [z_booster]||^2, [.]: no gradient for the booster (gradient block)

    After the paper's abstract and the authors' code (zhougr1993/Rocket-Launching: shared layers, block). The paper's
    booster is deeper or wider; here it is a `ratio` times wider copy of the student's upper layers.

    Use it when nothing is trained yet and the light network can share its lower layers with a wide one in a single training.
    Where layers cannot be shared, because the student's family is another, use `mutual`.

    Args:
        shared: the last shared layer. rest: all layers after it, in order. ratio: the booster's channels per student's.
        weight: lambda, of the hint on logits: `--gamma 0.03` in the authors' commands; the paper's text was not at hand.
        block: False lets the hint reach the booster too.
    """
    trunk, light = Tap("student", shared), Tap("student")
    booster = trunk.via("booster")[-1]
    part = Part(partial(Tail, ratio=ratio), like=(trunk,), copies=tuple(f"student.{layer}" for layer in rest))
    boost = Term("task booster", losses.cross_entropy, student=booster, labels=Field("labels"))
    goal = booster.detach() if block else booster
    hint = Term("hint", losses.logit_regression, weight=2 * weight, student=light, teacher=goal)
    return single_stage(task(), boost, hint, trains=("student", "booster"), name="launch", parts={"booster": part})
