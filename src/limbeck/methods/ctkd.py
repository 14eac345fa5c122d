"""A temperature that works against the student, more and more."""

from collections.abc import Callable

from limbeck import losses
from limbeck.connectors import SampleTemperature, Temperature
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.schedules import cosine
from limbeck.plan.taps import Tap

PAPER = "Li et al. 2023, Curriculum Temperature for Knowledge Distillation, arXiv 2211.16231"


@method(paper=PAPER, year=2023)
def ctkd(alpha: float = 0.9, labels: float = 0.1, ramp: float = 1 / 24, reversal: float = 1.0) -> Method:
    """One temperature is learned to make the student's task harder, as its strength grows; the student learns at it.

    student: L = labels CE(y, p) + alpha T^2 KL(p_t^T || p^T); T: the same soft term times -w(t) (gradient reversal)

    After the authors' code (zhengli97/CTKD): T = 1 + 20 sigmoid(theta), theta = 1 at first, w along half a cosine. A
    gradient reversal layer is the same as a second term of negative weight in which only T learns.

    Use it when you do not want to search for the temperature of `kd`: it is learned on the way from easy to hard. The gain over a
    well-chosen fixed temperature is usually small.

    Args:
        alpha, labels: weights, as the authors run it. ramp: part of the run over which w rises to `reversal`; 10 of
            240 epochs. reversal: the largest strength, 1.
    """
    return _curriculum(Temperature, alpha, labels, ramp, reversal)


@method(paper=PAPER + " (instance-wise)", year=2023)
def ctkd_instance(alpha: float = 0.9, labels: float = 0.1, ramp: float = 1 / 24, reversal: float = 1.0) -> Method:
    """The same with a temperature for every sample, from a small network that sees both answers.

    T_i = 1 + 20 sigmoid(g(z_t,i, z_s,i)); g learns by the reversed gradient, which ends there and does not reach z_s

    Use it when samples differ much in how sure the teacher is and one learned temperature for all (`ctkd`) is too coarse. The
    small network that sets it adds freedom that small data sets may not support.

    Args:
        alpha, labels, ramp, reversal: as in `ctkd`.
    """
    return _curriculum(SampleTemperature, alpha, labels, ramp, reversal)


def _curriculum(build: Callable, alpha: float, labels: float, ramp: float, reversal: float) -> Method:
    student, teacher, by = Tap("student"), Tap("teacher").detach(), losses.soft_target_at
    heat = student.detach().via("temperature", teacher)
    learn = Term("soft", by, weight=alpha, student=student, teacher=teacher, temperatures=heat.detach())
    against = cosine(0.0, -alpha * reversal, over=ramp)
    oppose = Term("temperature", by, weight=against, student=student.detach(), teacher=teacher, temperatures=heat)
    part = {"temperature": Part(build, like=(student, teacher))}
    return single_stage(task(weight=labels), learn, oppose, trains=("student", "temperature"), parts=part)
