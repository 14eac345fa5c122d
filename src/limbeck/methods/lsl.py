"""Layers chosen for what they tell, in a common space."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Projector
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Tap

PAPER = "Li et al. 2019, Layer-Level Knowledge Distillation for Deep Neural Network Learning, Applied Sciences 9(10)"


@method(paper=PAPER, year=2019, serves=("other family",))
def lsl(
    pairs: tuple[tuple[str, str], ...] = (("layer2", "layer2"), ("layer3", "layer3")), size: int = 64, weight: float = 1.0
) -> Method:
    """Pairs of selected layers are brought into a space of their own and agree there, beside the task (ASL).

    L = CE(y, p) + weight sum over pairs of ||a_student(F_student) - a_teacher(F_teacher)||_2, a = a learned linear map

    Only the abstract was at hand, and the survey notes; both sides' maps learn. `combine.layer_scores` ranks layers
    for the selection (LSP): take those with the lowest score on a batch.

    Use it when teacher and student have unlike shapes at the layers that matter and you want learned maps on both sides into a
    common space. As both sides learn, part of the agreement may be made by the maps and not by the student.

    Args:
        pairs: (student's layer, teacher's layer). size: dimensions of the common space. weight: of each pair.
    """
    terms = [task()]
    parts: dict[str, Part] = {}
    for k, (mine, theirs) in enumerate(pairs, start=1):
        student, teacher = Tap("student", mine), Tap("teacher", theirs).detach()
        parts |= {f"align_{k}": Part(partial(Projector, size=size), like=(student,))}
        parts |= {f"align_teacher_{k}": Part(partial(Projector, size=size), like=(teacher,))}
        learned, goal = student.via(f"align_{k}"), teacher.via(f"align_teacher_{k}")
        terms.append(Term(f"align {mine}", losses.l2, weight=weight, student=learned, teacher=goal))
    return single_stage(*terms, trains=("student", *parts), parts=parts)
