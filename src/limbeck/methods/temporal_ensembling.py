"""A network agrees with what it used to say."""

from functools import partial

from limbeck import losses
from limbeck.connectors import AnswerMemory
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.schedules import ramp_up
from limbeck.plan.taps import Field, Tap


@method(paper="Laine & Aila 2017, Temporal Ensembling for Semi-Supervised Learning, arXiv 1610.02242", year=2017)
def temporal_ensembling(decay: float = 0.6, weight: float = 30.0, ramp: float = 0.27, samples: int = 60_000) -> Method:
    """Each sample, labelled or not, has a moving average of the answers it got in earlier epochs; the student stays near it.

    L = CE(y, p) on the labelled + w(t) mean (p - z~)^2 on all, z~ = Z / (1 - a^visits), Z <- a Z + (1 - a) p at each visit

    The memory is part of the checkpoint. Samples that were not visited yet are left out, as w(0) = 0 does in the paper.

    Use it when few samples are labelled and a second forward as in `mean_teacher` is too dear: earlier answers are remembered
    instead. Targets are renewed once an epoch, so short trainings with few epochs gain little.

    Args:
        decay: a, 0.6. weight: largest w; 30 in the paper, times the labelled share of the data.
        ramp: part of the run over which w rises; 80 of 300 epochs. samples: as many as the data has, in all partitions.
    """
    remembered = Tap("student").detach().via("memory", Field("index"))
    agree = Term(
        "consistency",
        losses.mse_to_probabilities,
        weight=ramp_up(weight, over=ramp),
        mask=remembered[1],
        student=Tap("student"),
        probabilities=remembered[0],
    )
    update = Update(("student", "memory"), (task(mask=Field("labelled")), agree), source=("train", "unlabelled"))
    memory = Part(partial(AnswerMemory, samples=samples, decay=decay), like=(Tap("student"), Field("index")))
    return Method((Stage("train", (update,)),), parts={"memory": memory})
