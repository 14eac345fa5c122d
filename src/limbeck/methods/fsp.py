"""The flow between layers."""

from collections.abc import Callable

from torch import Tensor

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.taps import Tap

PAPER = "Yim et al. 2017, A Gift from Knowledge Distillation, CVPR 2017"


@method(paper=PAPER, year=2017)
def fsp(
    pairs: tuple[tuple[str, str], ...] = (("layer1", "layer2"), ("layer2", "layer3")),
    weight: float = 0.02,
    first_share: float = 0.3,
) -> Method:
    """Stage 1 matches the flow matrices between pairs of layers; stage 2 is ordinary training.

    G_ij = sum over pixels of F1_i F2_j / (h w); stage 1: L = weight sum over pairs of ||G_student - G_teacher||^2

    Use it when teacher and student have the same stages, also with equal channels at the chosen layers, and a quick start is
    wanted: what is taught is how features change between two layers. For unlike families it cannot be used.

    Args:
        pairs: (earlier, later) layers of both, from shallow to deep; the channel counts of student and teacher must agree there.
        weight: of each pair (equal, as in the paper). The paper trains this stage at a rate of 0.001, a fiftieth of the
            usual 0.05: its sums over whole matrices diverge at the run's rate, so the weight carries the fiftieth.
        first_share: part of the budget given to stage 1.
    """
    return _flows(pairs, losses.fsp_paper, weight, first_share)


@method(paper=PAPER + " (as in RepDistiller)", year=2017, serves=("public code",))
def fsp_code(
    pairs: tuple[tuple[str, str], ...] = (("layer1", "layer2"), ("layer2", "layer3")),
    weight: float = 1.0,
    first_share: float = 0.3,
) -> Method:
    """The same as HobbitLong/RepDistiller computes it: means over the matrices, and the larger map of a pair average-pooled.

    stage 1: L = weight sum over pairs of mean (G_student - G_teacher)^2

    Use it when you compare with the public benchmark's numbers, or have many channels: a mean does not grow with them.

    Args:
        pairs, first_share: as in `fsp`. weight: of each pair; 1.
    """
    return _flows(pairs, losses.fsp, weight, first_share)


def _flows(pairs: tuple[tuple[str, str], ...], by: Callable[..., Tensor], weight: float, first_share: float) -> Method:
    terms = tuple(
        Term(
            f"flow {a}-{b}",
            by,
            weight=weight,
            student_first=Tap("student", a),
            student_second=Tap("student", b),
            teacher_first=Tap("teacher", a).detach(),
            teacher_second=Tap("teacher", b).detach(),
        )
        for a, b in pairs
    )
    deepest = f"student:{pairs[-1][1]}"
    return Method(
        (
            Stage("flow", (Update((deepest,), terms),), share=first_share),
            Stage("task", (Update(("student",), (task(),)),), share=1 - first_share),
        )
    )
