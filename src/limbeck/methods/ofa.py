"""Between networks of different kinds, in the one space that they share."""

from functools import partial

from limbeck import losses
from limbeck.connectors import StageHead
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(
    paper="Hao et al. 2023, One-for-All: Bridge the Gap Between Heterogeneous Architectures, arXiv 2310.19444",
    year=2023,
    serves=("other family",),
)
def ofa(
    at: tuple[str, ...] = ("layer1", "layer2", "layer3"),
    deepest: str = "layer3",
    epsilon: float = 1.0,
    weight: float = 1.0,
    temperature: float = 1.0,
) -> Method:
    """Every stage of the student gets a head; heads and answer learn the teacher's logits, the label's part enhanced.

    L = CE(y, p) + weight sum over stages and the answer of -sum_j [(p_t,j + 1_(j=y))^epsilon - 1_(j=y)] log p_j

    The teacher gives logits alone, so it may be of any architecture; the student's stages may be maps, tokens or
    embeddings. After the authors' code (Hao840/OFAKD), with smaller heads.

    Use it when teacher and student are of different families, a transformer and a convolutional network say, so that maps cannot
    be compared: only logits cross over. The heads at the student's stages are thrown away after training.

    Args:
        at: the student's stages. deepest: its last map or token layer, whose width the heads take.
        epsilon: above 1 it stresses the label; the paper's up to 1.5. weight: of each term. temperature: T, 1.
    """
    teacher, by = Tap("teacher").detach(), partial(losses.ofa, epsilon=epsilon, temperature=temperature)
    terms, parts = [task()], {}
    for k, name in enumerate(at, start=1):
        stage = Tap("student", name)
        parts[f"head_{k}"] = Part(StageHead, like=(stage, Tap("student", deepest), teacher))
        said = stage.via(f"head_{k}")
        terms.append(Term(f"stage {name}", by, weight=weight, student=said, teacher=teacher, labels=Field("labels")))
    terms.append(Term("answer", by, weight=weight, student=Tap("student"), teacher=teacher, labels=Field("labels")))
    return single_stage(*terms, trains=("student", *parts), parts=parts)
