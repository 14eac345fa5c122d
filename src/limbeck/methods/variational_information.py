"""As much of the teacher as can be guessed."""

from limbeck import losses
from limbeck.connectors import Guess
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import State, Tap


@method(
    paper="Ahn et al. 2019, Variational Information Distillation for Knowledge Transfer (VID), arXiv 1904.05835",
    year=2019,
    pull=0.019,
)
def variational_information(
    at: tuple[str, ...] = ("layer1", "layer2", "layer3"), teacher_at: tuple[str, ...] = (), weight: float = 1.0
) -> Method:
    """A bound on the mutual information of layers is raised: the teacher's map is guessed from the student's, with a learned
    spread per channel.

    L = CE(y, p) + weight sum_l mean 1/2 [(mu(F_s) - F_t)^2 / s_c^2 + log s_c^2], mu = three 1x1 convolutions

    After the public code (HobbitLong/RepDistiller).

    Use it when features of any width shall be matched but not all channels matter alike: a learned spread says which can be
    guessed from the student. The guessing networks cost training time, and the spread needs some epochs to settle.

    Args:
        at: the student's layers. teacher_at: the teacher's, if they are called otherwise. weight: of each, 1.
    """
    terms, parts = [task()], {}
    for k, (mine, theirs) in enumerate(zip(at, teacher_at or at, strict=True), start=1):
        name, student, teacher = f"guess_{k}", Tap("student", mine), Tap("teacher", theirs).detach()
        parts[name] = Part(Guess, like=(student, teacher))
        spread = State(name, "raw_variance")
        by = {"student": student.via(name), "teacher": teacher, "raw_variance": spread}
        terms.append(Term(f"information {mine}", losses.vid, weight=weight, **by))
    return single_stage(*terms, trains=("student", *parts), parts=parts)
