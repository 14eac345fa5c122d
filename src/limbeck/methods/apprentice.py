"""Low precision learned beside, from, or after a teacher."""

from functools import partial

from limbeck import losses
from limbeck.connectors.quantise import Quantise, Uniform
from limbeck.methods._terms import task
from limbeck.plan import Method, Stage, Term, Update, method
from limbeck.plan.taps import Tap

PAPER = "Mishra & Marr 2018, Apprentice: Using Knowledge Distillation to Improve Low-Precision Network Accuracy, arXiv 1711.05852"


@method(paper=PAPER + " (scheme A)", year=2018)
def apprentice_joint(bits: int = 4, bucket: int = 256, beta: float = 0.5, gamma: float = 0.5) -> Method:
    """Scheme A: teacher and low-precision apprentice learn together from the start.

    L = CE(y, p_t) + beta CE(y, p_a) + gamma CE(p_t, p_a); the teacher does not learn from the last

    Use it when the student must answer with few bits and no teacher is trained yet, so that both may learn together. Where a good
    teacher exists, `apprentice_taught` costs less and gives a steadier target.

    Args:
        bits, bucket: of the apprentice's weights (uniform, straight-through; the paper also has ternary weights and few-bit
            activations). beta, gamma: 0.5 each, the paper's.
    """
    together = Update(("teacher", "student"), (task("teacher"), task(weight=beta), _heed(gamma)))
    return Method((Stage("together", (together,), before=_low(bits, bucket)),))


@method(paper=PAPER + " (scheme B)", year=2018)
def apprentice_taught(bits: int = 4, bucket: int = 256, beta: float = 0.5, gamma: float = 0.5) -> Method:
    """Scheme B: the teacher is trained already; the low-precision apprentice starts from scratch.

    L = beta CE(y, p_a) + gamma CE(p_t, p_a)

    Use it when a finished teacher is there and the low-precision student is trained from scratch. At two bits or fewer training
    from scratch is hard, and starting in full precision (`apprentice_tuned`) is the safer way.

    Args:
        bits, bucket, beta, gamma: as in `apprentice_joint`.
    """
    return Method((Stage("taught", (Update(("student",), (task(weight=beta), _heed(gamma))),), before=_low(bits, bucket)),))


@method(paper=PAPER + " (scheme C)", year=2018)
def apprentice_tuned(bits: int = 4, bucket: int = 256, beta: float = 0.5, gamma: float = 0.5, full_share: float = 0.7) -> Method:
    """Scheme C: the apprentice is trained in full precision first, then lowered and fine-tuned under the teacher.

    stage 1: L = CE(y, p_a) in full precision; stage 2: L = beta CE(y, p_a) + gamma CE(p_t, p_a) in low precision

    Use it when a full-precision student is to be lowered to few bits at the end: it needs only a short fine-tuning under the
    teacher and starts from weights that already work.

    Args:
        bits, bucket, beta, gamma: as in `apprentice_joint`. full_share: part of the budget for stage 1.
    """
    tune = Update(("student",), (task(weight=beta), _heed(gamma)))
    first = Stage("full precision", (Update(("student",), (task(),)),), share=full_share)
    return Method((first, Stage("tuned", (tune,), share=1 - full_share, before=_low(bits, bucket))))


def _heed(gamma: float) -> Term:
    by = losses.soft_cross_entropy
    return Term("soft", by, weight=gamma, student=Tap("student"), teacher=Tap("teacher").detach())


def _low(bits: int, bucket: int) -> tuple[Quantise, ...]:
    return (Quantise("student", partial(Uniform, bits=bits, bucket=bucket)),)
