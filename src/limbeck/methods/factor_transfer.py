"""A teacher paraphrased, for a student who translates."""

from collections.abc import Callable
from functools import partial

from limbeck import losses
from limbeck.connectors import Paraphraser, Translator
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap

PAPER = "Kim, Park & Kwak 2018, Paraphrasing Complex Network: Network Compression via Factor Transfer, arXiv 1802.04977"


@method(paper=PAPER, year=2018, serves=("other family",), pull=0.055)
def factor_transfer(
    at: str = "layer3", teacher_at: str = "", rate: float = 0.5, weight: float = 0.25, first_share: float = 0.1
) -> Method:
    """Stage 1: an autoencoder makes factors of the teacher's map. Stage 2: the student's translator makes the same factors.

    stage 1: L = mean |F_t - D(E(F_t))|; stage 2: L = CE(y, p) + weight || E(F_t)/|E| - T(F_s)/|T| ||_1

    Use it when teacher and student differ in kind, so that raw maps are a poor target, and you accept a stage that trains an
    autoencoder on the teacher. Factor maps of both must have equal height and width.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise; of equal height and width.
        rate: channels of a factor per channel of the map, 0.5 in the paper (0.75 for some).
        weight: of the factors; the authors' 500 is for a mean, here is a sum (500 / 2048 elements).
        first_share: part of the budget for the autoencoder.
    """
    return _factors(at, teacher_at, rate, weight, first_share, losses.factor)


@method(paper=PAPER + " (as in RepDistiller)", year=2018, serves=("public code",), pull=0.24)
def factor_transfer_code(
    at: str = "layer3", teacher_at: str = "", rate: float = 0.5, weight: float = 200.0, first_share: float = 0.1
) -> Method:
    """The same as HobbitLong/RepDistiller computes it: factors become attention maps before they are compared.

    stage 2: L = CE(y, p) + weight mean | Q(E(F_t)) - Q(T(F_s)) |, Q = vec(mean_c F^2) / norm

    Use it when you compare with the public benchmark's numbers, whose factors become attention maps before they are compared, a
    weaker signal than the factors of `factor_transfer`.

    Args:
        at, teacher_at, rate, first_share: as in `factor_transfer`. weight: 200, of that benchmark.
    """
    return _factors(at, teacher_at, rate, weight, first_share, losses.factor_code)


def _factors(at: str, teacher_at: str, rate: float, weight: float, first_share: float, by: Callable) -> Method:
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    retold = teacher.via("paraphraser")
    first = Update(("paraphraser",), (Term("paraphrase", losses.l1, student=retold[1], teacher=teacher),))
    match = Term("factors", by, weight=weight, student=student.via("translator"), teacher=retold[0].detach())
    second = Update(("student", "translator"), (task(), match))
    parts = {"paraphraser": Part(partial(Paraphraser, rate=rate), like=(teacher,))}
    parts["translator"] = Part(Translator, like=(student, retold[0]))
    stages = (Stage("paraphrase", (first,), share=first_share), Stage("transfer", (second,), share=1 - first_share))
    return Method(stages, parts=parts)
