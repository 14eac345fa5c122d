"""Big, self-taught, then a teacher of everything that has no label."""

from functools import partial

from limbeck import losses
from limbeck.connectors import ContrastHead
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap


@method(
    paper="Chen et al. 2020, Big Self-Supervised Models are Strong Semi-Supervised Learners, arXiv 2006.10029",
    year=2020,
)
def simclr_semi(
    at: str = "pool",
    look: str = "crop,flip",
    temperature: float = 1.0,
    contrast: float = 0.1,
    size: int = 64,
    shares: tuple[float, float] = (1.0, 0.5),
) -> Method:
    """The teacher is pre-trained without labels on all data, fine-tuned on the few that have one, and labels the rest softly.

    1: L = NT-Xent of two looks at each sample; 2: L = CE(y, p_t) on train; 3: L = T^2 KL(p_t^T || p^T) on train and unlabelled

    The paper fine-tunes from a middle layer of the projection head; here the head is left behind.

    Use it when few samples have labels, many more do not, and a large network can be pre-trained on all of them first. Contrast
    between samples needs large batches and long pre-training.

    Args:
        at: the teacher's embedding. look: each look, drawn twice; the paper's adds colour. temperature: T of stage 3.
        contrast: temperature of stage 1, 0.1. size: of the projection. shares: budgets of stages 1 and 2.
    """
    everything = ("train", "unlabelled")
    first, second = (Tap("teacher", at, on=name).via("projection") for name in ("look_1", "look_2"))
    find = Term("contrast", partial(losses.nt_xent, temperature=contrast), student=first, teacher=second)
    stages = (
        Stage("pre-train", (Update((f"teacher:{at}", "projection"), (find,), source=everything),), share=shares[0]),
        Stage("fine-tune", (Update(("teacher",), (task("teacher"),)),), share=shares[1]),
        Stage("distil", (Update(("student",), (soft(temperature=temperature),), source=everything),)),
    )
    head = {"projection": Part(partial(ContrastHead, size=size), like=(Tap("teacher", at),))}
    return Method(stages, parts=head, views={"look_1": look, "look_2": look})
