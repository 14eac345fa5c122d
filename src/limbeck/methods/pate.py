"""Teachers who never saw one another's data vote in private."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Count, Method, Stage, Term, Update, method
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.labelling import noisy_votes


@method(
    paper="Papernot et al. 2017, Semi-supervised Knowledge Transfer from Private Training Data (PATE), arXiv 1610.05755",
    year=2017,
    serves=("private data",),
)
def pate(teachers: Count = 5, scale: float = 1.0, public: str = "unlabelled", seed: int = 0) -> Method:
    """Each teacher learns from its own part of the private data; the student from their noisy votes on public data alone.

    teacher k: L = CE(y, p_k) on train[k/n]; student: L = CE(argmax_c(votes_c + Laplace(scale)), p) on public

    Each sample's vote costs (2 / scale, 0) of differential privacy, once: its noise is a function of the sample number
    (views of it must be plain: give no augmentation). The paper's moments accountant is not built.

    Use it when the training data are private and must not be seen by what is deployed: only noisy votes on public, unlabelled
    samples get out. There must be enough data for each of many teachers; with five, the noise that gives real privacy drowns the
    vote.

    Args:
        teachers: n, made as the student is unless given as roles teacher_1 .. teacher_n; 250 in the paper.
        scale: of the noise; 20 in the paper, for 250. public: partition without use for its labels. seed: of the noise.
    """
    names = [f"teacher_{k}" for k in range(1, teachers + 1)]
    private = tuple(Update((name,), (task(name),), source=f"train[{k}/{teachers}]") for k, name in enumerate(names, start=1))
    vote = Field("index").via(partial(noisy_votes, scale=scale, seed=seed), *(Tap(name).detach() for name in names))
    learn = Term("vote", losses.cross_entropy, student=Tap("student"), labels=vote)
    return Method((Stage("teachers", private), Stage("student", (Update(("student",), (learn,), source=public),))))
