"""One's own teacher among thousands."""

from functools import partial

from limbeck import losses
from limbeck.connectors import ContrastMemory
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(
    paper="Tian, Krishnan & Isola 2020, Contrastive Representation Distillation (CRD), arXiv 1910.10699",
    year=2020,
    serves=("transfer",),
    pull=0.024,
)
def contrastive_representation(
    at: str = "pool",
    teacher_at: str = "",
    weight: float = 0.8,
    samples: int = 60_000,
    negatives: int = 16_384,
    size: int = 128,
    temperature: float = 0.07,
    momentum: float = 0.5,
) -> Method:
    """Each sample's student embedding must tell its teacher's from those of many others, and the other way round.

    L = CE(y, p) + weight (NCE(student anchor) + NCE(teacher anchor)), scores exp(<u, v> / T) / Z against a memory of all
    samples' embeddings, renewed by momentum

    After the public code (HobbitLong/RepDistiller); the others are drawn from all samples, there from other classes.
    The memory is part of the checkpoint and finds samples by their number.

    Use it when the student's representation is to be used elsewhere (transfer, retrieval), since it learns which samples differ
    and not only their classes. It holds embeddings of all samples in memory and needs training data whose samples have fixed
    numbers.

    Args:
        at: the student's embedding. teacher_at: the teacher's, if it is called otherwise. weight: 0.8.
        samples: as many as the data has, in all partitions. negatives: others per sample, 16384.
        size: of the projections, 128. temperature, momentum: 0.07 and 0.5.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    build = partial(ContrastMemory, samples=samples, size=size, negatives=negatives, temperature=temperature, momentum=momentum)
    scores, by = student.via("memory", teacher, Field("index")), partial(losses.noise_contrast, samples=samples)
    terms = (Term(f"contrast {who}", by, weight=weight, score=scores[k]) for k, who in enumerate(("student", "teacher")))
    part = {"memory": Part(build, like=(student, teacher))}
    return single_stage(task(), *terms, trains=("student", "memory"), parts=part)
