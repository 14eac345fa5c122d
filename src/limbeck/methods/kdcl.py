"""Students of different kinds, each with its own view of a sample, and one shared target."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Ensemble, measure_weights
from limbeck.models.fitted import Whole
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.schedules import each_epoch
from limbeck.plan.taps import Field, Source, Tap, Via
from limbeck.transforms import lowest_loss_logits
from limbeck.transforms.answers import convex_logits, least_logits

PAPER = "Guo et al. 2020, Online Knowledge Distillation via Collaborative Learning, CVPR 2020"
PEERS = ("student", "peer")


@method(paper=PAPER + " (KDCL-Naive)", year=2020)
def kdcl_naive(peers: tuple[str, ...] = PEERS, temperature: float = 2.0, weight: float = 1.0) -> Method:
    """All learn from the logits of the peer that does best on the batch.

    L = sum_i CE(y, p_i) + weight T^2 KL(p_t || p_i), z_t = z_k with k = argmin_i CE(y, p_i)

    Use it when networks of clearly different size train together without a finished teacher: the one that is best on the batch
    leads. Between equals the lead changes at random and little is taught.

    Args:
        peers: roles, of any architecture; the first is deployed. Each after the first sees a view of its own.
        temperature, weight: T and lambda; 2 and 1 are recalled, not read in the paper.
    """
    return _together(peers, temperature, weight, Via(lowest_loss_logits, (Field("labels"), *_answers(peers))))


@method(paper=PAPER + " (KDCL-Linear)", year=2020)
def kdcl_linear(peers: tuple[str, ...] = PEERS, temperature: float = 2.0, weight: float = 1.0) -> Method:
    """All learn from the convex combination of their logits that fits the label best.

    z_t = sum_i a_i z_i, a = argmin CE(y, softmax z_t) over a >= 0, sum a = 1, per sample

    Use it when peers of different strength train together and the best mixture shall be found for each sample with its label. The
    inner search costs a little time per step.

    Args:
        peers, temperature, weight: as in `kdcl_naive`.
    """
    return _together(peers, temperature, weight, Via(convex_logits, (Field("labels"), *_answers(peers))))


@method(paper=PAPER + " (KDCL-MinLogit)", year=2020)
def kdcl_minlogit(peers: tuple[str, ...] = PEERS, temperature: float = 2.0, weight: float = 1.0) -> Method:
    """All learn from the least of their logits, class by class, once the label's own logit is set to 0.

    z_t,c = min_i (z_i,c - z_i,y)

    Use it when several peers train together and a cheap, parameter-free target is wanted: the smallest margin of the peers, class
    by class. It makes a soft and rather cautious target.

    Args:
        peers, temperature, weight: as in `kdcl_naive`.
    """
    return _together(peers, temperature, weight, Via(least_logits, (Field("labels"), *_answers(peers))))


@method(paper=PAPER + " (KDCL-General)", year=2020)
def kdcl_general(
    peers: tuple[str, ...] = PEERS, temperature: float = 2.0, weight: float = 1.0, measured_on: str = "validation"
) -> Method:
    """All learn from a weighted mean of their logits; the weights, measured once an epoch, make its expected error least.

    z_t = sum_k w_k z_k, w = C^-1 1 / (1' C^-1 1), C_ij = mean (p_i - 1_y)(p_j - 1_y)

    Use it when several networks train together and validation samples are set aside from which the mixture's weights are
    measured. With a tiny validation part the weights are noise, and `kdcl_linear` or `kdcl_naive` do without it.

    Args:
        peers, temperature, weight: as in `kdcl_naive`.
        measured_on: the partition that gives C, all of it and unaugmented, in the first step of every epoch.
    """
    answers = _answers(peers)
    fit = Term("ensemble", losses.cross_entropy, weight=each_epoch(), student=Via("ensemble", answers), labels=Field("labels"))
    measure = Update(("ensemble",), (fit,), source=Whole(measured_on), apply=measure_weights)
    part = {"ensemble": Part(Ensemble, like=answers)}
    made = _together(peers, temperature, weight, Via("ensemble", answers))
    return made.but(stages=(Stage("together", (measure, *made.stages[0].updates)),), parts=part)


def _answers(peers: tuple[str, ...]) -> tuple[Tap, ...]:
    return tuple(Tap(p, on="inputs" if k == 0 else f"view_{k + 1}") for k, p in enumerate(peers))


def _together(peers: tuple[str, ...], temperature: float, weight: float, target: Source) -> Method:
    by = partial(losses.soft_target, temperature=temperature)
    terms: list[Term] = []
    for name, answer in zip(peers, _answers(peers), strict=True):
        terms += [
            Term(f"task {name}", losses.cross_entropy, student=answer, labels=Field("labels")),
            Term(f"soft {name}", by, weight=weight, student=answer, teacher=target.detach()),
        ]
    views = {f"view_{k + 1}": "default" for k in range(1, len(peers))}
    return Method((Stage("together", (Update(peers, tuple(terms)),)),), deploys=peers[0], views=views)
