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

    L = CE(y, p) + weight sum over pairs of ||a_student(F_student) - a_teacher(F_teacher)||_2, a = a linear map

    Only the abstract was at hand, and the survey notes. The student's map learns; the teacher's is drawn at random and stays,
    which keeps distances: if it learned too, both could agree on nothing, without the student. `combine.layer_scores` ranks
    layers for the selection (LSP): take those with the lowest score on a batch.

    Use it when teacher and student have unlike shapes at the layers that matter and you want a learned map into a common space of
    a size that you choose. Where a layer is small, `fitnets` compares it whole.

    Args:
        pairs: (student's layer, teacher's layer). size: dimensions of the common space. weight: of each pair.
    """
    terms, parts, learned = [task()], dict[str, Part](), ["student"]
    for k, (mine, theirs) in enumerate(pairs, start=1):
        student, teacher = Tap("student", mine), Tap("teacher", theirs).detach()
        parts |= {f"align_{k}": Part(partial(Projector, size=size), like=(student,))}
        parts |= {f"align_teacher_{k}": Part(partial(Projector, size=size), like=(teacher,))}
        learned.append(f"align_{k}")
        goal = teacher.via(f"align_teacher_{k}").detach()
        terms.append(Term(f"align {mine}", losses.l2, weight=weight, student=student.via(f"align_{k}"), teacher=goal))
    return single_stage(*terms, trains=tuple(learned), parts=parts)
