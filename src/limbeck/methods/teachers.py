"""Many teachers, one student: four ways to combine them."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Gate
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Stage, Term, Update, method, single_stage
from limbeck.plan.schedules import choose
from limbeck.plan.taps import Field, Tap, Via
from limbeck.transforms import mean_of

TEACHERS = ("teacher", "teacher_2", "teacher_3")


@method(
    paper="Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531 (an ensemble)", year=2015
)
def teachers_mean(teachers: tuple[str, ...] = TEACHERS, temperature: float = 4.0, alpha: float = 0.9) -> Method:
    """The student learns from the mean of the teachers' logits.

    L = (1 - alpha) CE(y, p) + alpha T^2 KL(softmax(mean_k z_k / T) || p^T)

    Use it when an ensemble of finished teachers shall become one network: the plainest and most dependable way to use several of
    them. All teachers must have the same classes; a bad one pulls the mean down.

    Args:
        teachers: at least one role. temperature, alpha: as in `kd`.
    """
    crowd = Via(mean_of, tuple(Tap(name) for name in teachers)).detach()
    by = partial(losses.soft_target, temperature=temperature)
    return single_stage(task(weight=1 - alpha), Term("soft", by, weight=alpha, student=Tap("student"), teacher=crowd))


FUKUDA = "Fukuda et al. 2017, Efficient Knowledge Distillation from an Ensemble of Teachers, Interspeech 2017"


@method(paper=FUKUDA + " (a teacher per minibatch)", year=2017)
def teachers_switch(teachers: tuple[str, ...] = TEACHERS, temperature: float = 1.0, alpha: float = 0.9) -> Method:
    """Every minibatch has one teacher, drawn at random; the others do not even run.

    L = (1 - alpha) CE(y, p) + alpha T^2 KL(p_k^T || p^T), k drawn per step

    Use it when several teachers are too dear to run at every step: one per minibatch is drawn, so the time is that of one
    teacher. Targets change from step to step, which a small learning rate at the end has to even out.

    Args:
        teachers: at least one role. temperature: 1 as in the paper. alpha: share of the teacher.
    """
    taught = (
        soft("student", name, temperature=temperature, weight=choose(k, len(teachers), alpha)) for k, name in enumerate(teachers)
    )
    return single_stage(task(weight=1 - alpha), *taught)


@method(paper=FUKUDA + " (a copy of each sample per teacher)", year=2017)
def teachers_each(teachers: tuple[str, ...] = TEACHERS, temperature: float = 1.0, alpha: float = 0.9) -> Method:
    """Every sample counts once for each teacher, with that teacher's answer; no mean of the answers is made.

    L = (1 - alpha) CE(y, p) + alpha / K sum_k T^2 KL(p_k^T || p^T)

    The paper copies each sample once per teacher and shuffles the copies. Here the copies of a sample, which are the
    same inputs, stand in one minibatch, so that a single forward of the student serves them all.

    Use it when several finished teachers disagree and their differences shall not be averaged away: each gives every sample its
    own answer. For the same temperature its gradient is close to that of a mean, at the same cost.

    Args:
        teachers: K >= 1 roles. temperature: 1 as in the paper. alpha: share of the teachers.
    """
    taught = (soft("student", name, temperature=temperature, weight=alpha / len(teachers)) for name in teachers)
    return single_stage(task(weight=1 - alpha), *taught)


@method(
    paper="after Lan, Zhu & Gong 2018, Knowledge Distillation by On-the-Fly Native Ensemble, arXiv 1806.04606 "
    "(its gate, on fixed teachers)",
    year=2018,
)
def teachers_gate(teachers: tuple[str, ...] = TEACHERS, temperature: float = 4.0, alpha: float = 0.9) -> Method:
    """A gate learns per sample whom to trust; the student learns from the gated logits.

    z = sum_k g_k z_k; the gate: CE(y, softmax z); the student: (1 - alpha) CE(y, p) + alpha T^2 KL(softmax(z/T) || p^T)

    Use it when several finished teachers are good at different samples: a gate learns whom to trust. The gate needs labels and
    enough data to find this out; otherwise `teachers_mean` is as good.

    Args:
        teachers: at least one role. temperature, alpha: as in `kd`.
    """
    answers = tuple(Tap(name).detach() for name in teachers)
    gated = Via("gate", answers)
    by = partial(losses.soft_target, temperature=temperature)
    trust = Term("trust", losses.cross_entropy, student=gated, labels=Field("labels"))
    learn = Term("soft", by, weight=alpha, student=Tap("student"), teacher=gated.detach())
    updates = (Update(("gate",), (trust,)), Update(("student",), (task(weight=1 - alpha), learn)))
    return Method((Stage("distil", updates),), parts={"gate": Part(Gate, like=answers)})
