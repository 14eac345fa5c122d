"""Where the teacher looks."""

from limbeck import losses
from limbeck.methods._terms import LAYERS, task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap
from limbeck.transforms import attention_map

PAPER = "Zagoruyko & Komodakis 2017, Paying More Attention to Attention, arXiv 1612.03928"


@method(paper=PAPER, year=2017, pull=0.3)
def attention(at: tuple[str, ...] = LAYERS, teacher_at: tuple[str, ...] = (), beta: float = 1000.0) -> Method:
    """Normalised maps of squared activations agree, in the form of the authors' code.

    L = CE(y, p) + beta sum over layers of mean (Q_student - Q_teacher)^2, Q = vec(mean_c F^2) / norm

    Use it when teacher and student are convolutional with maps of the same height and width at the chosen layers; channels may
    differ and nothing is learned beside the student. It says where a network looks, not what it sees, so it often goes well with
    soft labels. A mean over pixels pulls less the larger the map; `attention_angle` does not depend on its size.

    Args:
        at: the student's layers. teacher_at: the teacher's, if they are called otherwise.
        beta: 1000, the authors', made for 200 epochs of wide networks; in trainings of some hundred steps take 10.
    """
    pairs = zip(at, teacher_at or at, strict=True)
    maps = ((s, Tap("student", s).via(attention_map), Tap("teacher", t).via(attention_map).detach()) for s, t in pairs)
    return single_stage(task(), *(Term(f"attention {s}", losses.mse, weight=beta, student=a, teacher=b) for s, a, b in maps))


@method(paper=PAPER, year=2017, serves=("public code",), pull=0.0011)
def attention_paper(at: tuple[str, ...] = LAYERS, teacher_at: tuple[str, ...] = (), beta: float = 0.1) -> Method:
    """The same in the paper's Eq. 2: a sum of L2 norms, not a mean of squares.

    L = CE(y, p) + beta/2 sum over layers of ||Q_student - Q_teacher||_2

    Use it when you compare with results that follow the paper's equation: the sum of norms weighs badly matched layers less than
    the mean of squares in `attention`, and its weight must be tuned anew.

    Args:
        at: the student's layers. teacher_at: the teacher's, if they are called otherwise.
        beta: 0.1, "10^3 divided by the elements of the map and the batch" for an 8x8 map at batch 128 (paper, 4.1).
    """
    pairs = zip(at, teacher_at or at, strict=True)
    taps = ((s, Tap("student", s), Tap("teacher", t).detach()) for s, t in pairs)
    by = losses.attention_paper
    return single_stage(task(), *(Term(f"attention {s}", by, weight=beta / 2, student=a, teacher=b) for s, a, b in taps))
