"""What each neuron picks out of an image."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(
    paper="Huang & Wang 2017, Like What You Like: Knowledge Distill via Neuron Selectivity Transfer (NST), arXiv 1707.01219",
    year=2017,
    pull=0.25,
)
def neuron_selectivity(at: tuple[str, ...] = ("layer3",), teacher_at: tuple[str, ...] = (), weight: float = 50.0) -> Method:
    """Channels are samples of a distribution over places; those of student and teacher agree (maximum mean discrepancy).

    L = CE(y, p) + weight sum_l MMD^2 of the channels' unit maps, kernel <x, y>^2

    Channel counts may differ. RepDistiller has it at three layers: `at=("layer1", "layer2", "layer3")`.

    Use it when channels of teacher and student do not correspond, in number or in order: only their distribution over places is
    compared. Height and width must be equal, and the cost grows with the square of the channels.

    Args:
        at: the student's layers. teacher_at: the teacher's, if they are called otherwise; of equal height and width.
        weight: 50, of the benchmark of Tian et al. 2020 (beta / 2 in the paper).
    """
    pairs = zip(at, teacher_at or at, strict=True)
    taps = ((s, Tap("student", s), Tap("teacher", t).detach()) for s, t in pairs)
    return single_stage(task(), *(Term(f"neurons {s}", losses.nst, weight=weight, student=a, teacher=b) for s, a, b in taps))
