"""Many teachers, each heard as far as it is right."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Tap
from limbeck.transforms import tempered
from limbeck.transforms.answers import trusted_mean

TEACHERS = ("teacher", "teacher_2", "teacher_3")


@method(
    paper="Zhang, Chen & Wang 2022, Confidence-Aware Multi-Teacher KD (CA-MKD), arXiv 2201.00007",
    year=2022,
    serves=("wrong labels",),
)
def teachers_trusted(
    teachers: tuple[str, ...] = TEACHERS, temperature: float = 4.0, alpha: float = 1.0, labels: float = 1.0
) -> Method:
    """Per sample, a teacher's weight falls with its cross-entropy to the label.

    L = labels CE(y, p) + alpha T^2 KL(sum_k w_k p_k^T || p^T), w_k = (1 - exp(CE_k) / sum_j exp(CE_j)) / (K - 1)

    The mixture has the gradient of the paper's sum of weighted divergences. Its weighing of features is left out.

    Use it when some of the teachers are weak or were trained on other data: each counts per sample by how well it fits the label.
    Where labels are noisy it trusts the teachers that repeat the noise.

    Args:
        teachers: at least two roles. temperature: T, 4. alpha, labels: weights.
    """
    mixture = Field("labels").via(partial(trusted_mean, temperature=temperature), *(Tap(name) for name in teachers)).detach()
    answer = Tap("student").via(partial(tempered, temperature=temperature))
    by = losses.kl_to_probabilities
    soft = Term("soft", by, weight=alpha * temperature**2, student=answer, probabilities=mixture)
    return single_stage(task(weight=labels), soft)
