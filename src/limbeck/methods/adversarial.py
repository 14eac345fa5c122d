"""A judge that cannot tell student from teacher."""

from limbeck import losses
from limbeck.connectors import Judge, Linear
from limbeck.methods._terms import of_judges, task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap


@method(paper="Wang et al. 2018, Adversarial Learning of Portable Student Networks, AAAI 2018", year=2018)
def adversarial(at: str = "pool", teacher_at: str = "", weight: float = 0.1, judge_rate: float = 2e-4) -> Method:
    """A judge learns to tell teacher from student embeddings; the student learns to fool it. They alternate.

    judge: -log D(F_teacher) - log(1 - D(a(F_student))); student: CE(y, p) - weight log D(a(F_student))

    Use it when embeddings are at hand on both sides and a distance between them proves too strict, because the student cannot
    reach each teacher embedding. The game with the judge is less stable than a loss with a fixed target, so compare several
    seeds.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise.
        weight: of the adversarial term. judge_rate: of Adam for the judge.
    """
    student, teacher = Tap("student", at).via("adapter"), Tap("teacher", teacher_at or at).detach()
    judge = Update(
        ("judge",),
        (Term("real", losses.real, logit=teacher.via("judge")), Term("fake", losses.fake, logit=student.detach().via("judge"))),
        optimizer=of_judges(judge_rate),
    )
    learner = Update(("student", "adapter"), (task(), Term("fool", losses.real, weight=weight, logit=student.via("judge"))))
    return Method(
        (Stage("distil", (judge, learner)),),
        parts={"adapter": Part(Linear, like=(Tap("student", at), teacher)), "judge": Part(Judge, like=(teacher,))},
    )
