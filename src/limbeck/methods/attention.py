"""Where the teacher looks."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.taps import Tap

PAPER = "Zagoruyko & Komodakis 2017, Paying More Attention to Attention, arXiv 1612.03928"
LAYERS = ("layer1", "layer2", "layer3")


@method(paper=PAPER, year=2017)
def attention(at: tuple[str, ...] = LAYERS, teacher_at: tuple[str, ...] = (), beta: float = 1000.0) -> Method:
    """Normalised maps of squared activations agree, in the form of the authors' code.

    L = CE(y, p) + beta/2 sum over layers of mean (Q_student - Q_teacher)^2, Q = vec(mean_c F^2) / norm

    Args:
        at: the student's layers. teacher_at: the teacher's, if they are called otherwise.
        beta: 1000, the authors' (their code halves it).
    """
    return single_stage(task(), *_maps(losses.attention, at, teacher_at or at, beta / 2))


@method(paper=PAPER, year=2017)
def attention_paper(at: tuple[str, ...] = LAYERS, teacher_at: tuple[str, ...] = (), beta: float = 0.1) -> Method:
    """The same in the paper's Eq. 2: a sum of L2 norms, not a mean of squares.

    L = CE(y, p) + beta/2 sum over layers of ||Q_student - Q_teacher||_2

    Args:
        at: the student's layers. teacher_at: the teacher's, if they are called otherwise.
        beta: 0.1, "10^3 divided by the elements of the map and the batch" for an 8x8 map at batch 128 (paper, 4.1).
    """
    return single_stage(task(), *_maps(losses.attention_paper, at, teacher_at or at, beta / 2))


def _maps(by, student_at, teacher_at, weight):  # type: ignore[no-untyped-def]
    return tuple(
        Term(f"attention {s}", by, weight=weight, student=Tap("student", s), teacher=Tap("teacher", t).detach())
        for s, t in zip(student_at, teacher_at, strict=True)
    )
