"""Losses on relations between samples: what matters is how the samples of a batch lie to each other.

Letters: n samples, d features (inputs are flattened; the two sides' d may differ unless said otherwise).
Row i of a relation is sample i's value, so that the batch mean is the published number.
"""
# ruff: noqa: F722, F821

from math import exp, factorial

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from limbeck.losses.traits import loss
from limbeck.transforms import angles, gram, pairwise_distances, probabilities, voted_order
from limbeck.transforms.numerics import norm, pair, product, row_pair, rows, unit

RKD = "Park et al. 2019 (RKD), https://arxiv.org/abs/1904.05068; code HobbitLong/RepDistiller RKD.py"
CORRELATION = "Peng et al. 2019 (CC), https://arxiv.org/abs/1904.01802"
MLKD = "Jin, Wang & Lin 2023 (MLKD), CVPR; code sunshangquan/logit-standardization-KD MLKD.py"
IRG = "Liu et al. 2019 (IRG), CVPR"


@loss(
    family="squares",
    knowledge="relations of samples",
    over="values",
    batchwise=True,
    symmetric=True,
    source="Tung & Mori 2019 (SP), https://arxiv.org/abs/1907.09682; code RepDistiller SP.py",
)
def similarity_preserving(student: Float[Tensor, "n *d1"], teacher: Float[Tensor, "n *d2"]) -> Float[Tensor, "n"]:
    """Similar inputs stay similar: row i is (1/n) ‖g_s,i − g_t,i‖², g the rows of A Aᵀ scaled to length 1.

    The batch mean is ‖G_s − G_t‖²_F / n², as in paper and code. student, teacher: n samples each.
    Raises `UserError` if n differs. Tung & Mori 2019, https://arxiv.org/abs/1907.09682.

    >>> similarity_preserving(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0], [1.0]]))
    tensor([0.2929, 0.2929])
    """
    student, teacher = (unit(gram(x)) for x in row_pair("similarity_preserving", student, teacher))
    return (student - teacher).square().mean(1)


@loss(
    family="absolute",
    knowledge="relations of samples",
    over="values",
    batchwise=True,
    symmetric=True,
    source=CORRELATION + "; code HobbitLong/RepDistiller CC.py",
)
def correlation_congruence_code(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """What RepDistiller computes: mean over i < n of ⟨|s_i − t_i|, |s_i+1 − t_i+1|⟩, one number for every sample.

    Contradicts the paper and depends on the order of the samples. student, teacher: equal shapes; one sample
    alone gives 0. Raises `UserError` on unequal shapes.

    >>> correlation_congruence_code(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [5.0]]))
    tensor([6., 6.])
    """
    student, teacher = pair("correlation_congruence_code", student, teacher)
    gap = rows((student - teacher).abs())
    return ((gap[:-1] * gap[1:]).sum() / max(len(gap) - 1, 1)).expand(len(gap))


@loss(family="squares", knowledge="relations of samples", over="values", batchwise=True, symmetric=True, source=CORRELATION)
def correlation_congruence(
    student: Float[Tensor, "n *d1"], teacher: Float[Tensor, "n *d2"], *, gamma: float = 0.4, order: int = 2
) -> Float[Tensor, "n"]:
    """The paper's correlation congruence: ‖K_s − K_t‖²_F / n², row i given to sample i.

    K_ij = Σ_{p=0..P} e^(−2γ) (2γ)^p / p! ⟨x_i, x_j⟩^p: the Taylor series of the Gaussian kernel
    exp(−γ‖x_i − x_j‖²) for rows x scaled to length 1. gamma: γ > 0, the paper's 0.4. order: P, the paper's 2.
    Raises `UserError` if n differs. Peng et al. 2019, https://arxiv.org/abs/1904.01802.

    >>> correlation_congruence(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0], [1.0]]))
    tensor([0.1266, 0.1266])
    """

    def kernel(points: Tensor) -> Tensor:
        cosines = gram(unit(points))
        terms = [exp(-2 * gamma) * (2 * gamma) ** p / factorial(p) * cosines**p for p in range(order + 1)]
        return torch.stack(terms).sum(0)

    student, teacher = (kernel(x) for x in row_pair("correlation_congruence", student, teacher))
    return (student - teacher).square().mean(1)


@loss(family="squares", knowledge="relations of samples", over="values", batchwise=True, symmetric=True, source=RKD)
def rkd_distance(student: Float[Tensor, "n *d1"], teacher: Float[Tensor, "n *d2"]) -> Float[Tensor, "n"]:
    """Relational KD, distances: row i is mean_j huber(D_s,ij − D_t,ij), D divided by the mean of its positive entries.

    The zero diagonal counts, as in the code (off-diagonal mean = value·n/(n−1)). huber: ½x² below 1, |x| − ½ above.
    student, teacher: n samples each. Raises `UserError` if n differs. Park et al. 2019.

    >>> rkd_distance(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [1.0], [1.0]]))
    tensor([0.0521, 0.1042, 0.1354])
    """
    student, teacher = (_relative(pairwise_distances(x)) for x in row_pair("rkd_distance", student, teacher))
    return F.smooth_l1_loss(student, teacher, reduction="none").mean(1)


def _relative(distances: Tensor) -> Tensor:
    mean = distances.sum() / (distances > 0).sum().clamp_min(1)
    return distances / mean.clamp_min(1e-12)


@loss(family="squares", knowledge="relations of samples", over="values", batchwise=True, symmetric=True, source=RKD)
def rkd_angle(student: Float[Tensor, "n *d1"], teacher: Float[Tensor, "n *d2"]) -> Float[Tensor, "n"]:
    """Relational KD, angles: row i is mean_jk huber(A_s,ijk − A_t,ijk), A the cosines at sample i (`angles`).

    Triples with equal points count as 0 in the mean over n², as in the code. Anchors are taken 16 at a time and
    computed again for the gradient, so that memory is 16 n (n + d) and not n² (n + d).
    student, teacher: n samples each. Raises `UserError` if n differs. Park et al. 2019.

    >>> rkd_angle(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [0.0], [2.0]]))
    tensor([0.3333, 0.3333, 0.0000])
    """
    student, teacher = row_pair("rkd_angle", student, teacher)
    blocks = torch.arange(len(student), device=student.device).split(_ANCHORS)
    return torch.cat([checkpoint(_angle_rows, student, teacher, at, use_reentrant=False) for at in blocks])


_ANCHORS = 16  # of the angles between all samples, held at a time


def _angle_rows(student: Tensor, teacher: Tensor, at: Tensor) -> Tensor:
    apart = F.smooth_l1_loss(angles(student, at), angles(teacher, at), reduction="none")
    return apart.mean((1, 2))


@loss(
    family="divergence",
    knowledge="relations of samples",
    over="values",
    batchwise=True,
    source="Passalis & Tefas 2018 (PKT), https://arxiv.org/abs/1803.10837; code HobbitLong/RepDistiller PKT.py",
)
def pkt(student: Float[Tensor, "n *d1"], teacher: Float[Tensor, "n *d2"], *, eps: float = 1e-7) -> Float[Tensor, "n"]:
    """Probabilistic transfer: row i is (1/n) KL(t_i‖s_i) of the neighbours' (cos + 1)/2, scaled to sum 1.

    The mean over n² instead of a sum over rows is the authors' code. student, teacher: n samples each.
    eps: the code's 1e-7, in norms and logs. Raises `UserError` if n differs. Passalis & Tefas 2018.

    >>> pkt(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0], [1.0]]))
    tensor([0.0294, 0.0294])
    """

    def neighbours(points: Tensor) -> Tensor:
        kernel = (gram(points / (norm(points, keepdim=True) + eps)) + 1) / 2
        return kernel / kernel.sum(1, keepdim=True)

    student, teacher = (neighbours(x) for x in row_pair("pkt", student, teacher))
    return (teacher * ((teacher + eps) / (student + eps)).log()).mean(1)


@loss(
    family="squares",
    knowledge="logits",
    over="values",
    raw=True,
    symmetric=True,
    source=IRG + "; code AberHu/Knowledge-Distillation-Zoo irg.py",
)
def irg_vertices(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Vertices of the instance graph: mean (x_s − x_t)² per sample (the code's mean for the paper's ‖·‖²).

    student, teacher: logits, equal shapes. Raises `UserError` on unequal shapes. Liu et al. 2019, CVPR.

    >>> irg_vertices(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([2.5000])
    """
    student, teacher = pair("irg_vertices", student, teacher)
    return rows((student - teacher).square()).mean(1)


@loss(family="squares", knowledge="relations of samples", over="values", batchwise=True, symmetric=True, source=IRG)
def irg_edges(student: Float[Tensor, "n *d1"], teacher: Float[Tensor, "n *d2"]) -> Float[Tensor, "n"]:
    """Edges of the instance graph: row i is (1/n) Σ_j (A_s,ij − A_t,ij)², A_ij = ‖x_i − x_j‖² as in the paper.

    A mean over n² for the paper's sum; nothing is scaled. student, teacher: n samples each.
    Raises `UserError` if n differs. Liu et al. 2019, CVPR.

    >>> irg_edges(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]]))
    tensor([4.5000, 4.5000])
    """
    student, teacher = (pairwise_distances(x, squared=True) for x in row_pair("irg_edges", student, teacher))
    return (student - teacher).square().mean(1)


@loss(family="squares", knowledge="relations of layers", over="values", symmetric=True, source=IRG)
def irg_transformations(
    student_first: Float[Tensor, "n *d1"],
    student_second: Float[Tensor, "n *d1"],
    teacher_first: Float[Tensor, "n *d2"],
    teacher_second: Float[Tensor, "n *d2"],
) -> Float[Tensor, "n"]:
    """How far a sample travels between two layers: (Λ_s − Λ_t)², Λ = ‖x_first − x_second‖².

    Inputs: two layers of each side, brought to one shape per side. Raises `UserError` on unequal shapes.
    Liu et al. 2019, CVPR.

    >>> zero, one, three = torch.tensor([[0.0]]), torch.tensor([[1.0]]), torch.tensor([[3.0]])
    >>> irg_transformations(zero, one, zero, three)
    tensor([64.])
    """
    student_pair = pair("irg_transformations", student_first, student_second)
    teacher_pair = pair("irg_transformations", teacher_first, teacher_second)
    student, teacher = (rows((a - b).square()).sum(1) for a, b in (student_pair, teacher_pair))
    student, teacher = pair("irg_transformations", student, teacher)
    return (student - teacher).square()


@loss(family="squares", knowledge="relations of classes", over="classes", batchwise=True, symmetric=True, source=MLKD)
def class_gram(
    student: Float[Tensor, "n classes"], teacher: Float[Tensor, "n classes"], *, temperature: float = 4.0
) -> Float[Tensor, "n"]:
    """Class correlations: ‖QᵀQ − PᵀP‖²_F / C of the batch's probabilities, one number for every sample.

    student, teacher: logits, equal shapes. temperature: T > 0, one of the code's. Raises `UserError` otherwise.

    >>> class_gram(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log(), temperature=1.0)
    tensor([0.0703])
    """
    student, teacher = (probabilities(x, temperature=temperature) for x in pair("class_gram", student, teacher))
    gap = product(student.mT, student) - product(teacher.mT, teacher)
    return (gap.square().sum() / gap.shape[0]).expand(student.shape[0])


@loss(family="squares", knowledge="relations of samples", over="classes", batchwise=True, symmetric=True, source=MLKD)
def batch_gram(
    student: Float[Tensor, "n classes"], teacher: Float[Tensor, "n classes"], *, temperature: float = 4.0
) -> Float[Tensor, "n"]:
    """Sample correlations: ‖QQᵀ − PPᵀ‖²_F / n of the batch's probabilities, row i given to sample i.

    student, teacher: logits, equal shapes. temperature: T > 0, one of the code's. Raises `UserError` otherwise.

    >>> batch_gram(torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log(), temperature=1.0)
    tensor([0.0156])
    """
    student, teacher = (gram(probabilities(x, temperature=temperature)) for x in pair("batch_gram", student, teacher))
    return (student - teacher).square().sum(1)


@loss(
    family="order",
    knowledge="relations of samples",
    over="values",
    batchwise=True,
    minimum=None,
    source="You et al. 2017 (multiple teacher networks), KDD",
)
def relative_order(
    student: Float[Tensor, "n *d1"], teacher: Float[Tensor, "n *d2"], *, margin: float = 0.0
) -> Float[Tensor, "n"]:
    """Keep the order of distances: row i is the mean over j, k of relu(D_s,ij − D_s,ik + δ) where D_t,ij < D_t,ik.

    Zero at a match only with margin 0. The mean is over all n² pairs j, k. student, teacher: n samples each.
    margin: δ ≥ 0; 0 is limbeck's choice. Several teachers vote through `relative_order_votes`.
    Raises `UserError` if n differs. You et al. 2017, KDD.

    >>> relative_order(torch.tensor([[0.0], [3.0], [1.0]]), torch.tensor([[0.0], [1.0], [3.0]]))
    tensor([0.2222, 0.1111, 0.1111])
    """
    student, teacher = row_pair("relative_order", student, teacher)
    return relative_order_votes(student, voted_order(teacher), margin=margin)


@loss(
    family="order",
    knowledge="relations of samples",
    over="values",
    batchwise=True,
    minimum=None,
    source="You et al. 2017 (multiple teacher networks), KDD",
)
def relative_order_votes(
    student: Float[Tensor, "n *d"], order: Float[Tensor, "n n n"], *, margin: float = 0.0
) -> Float[Tensor, "n"]:
    """`relative_order` for a given order: relu(D_ij − D_ik + δ) wherever order_ijk > 0, mean over j, k.

    student: n samples. order: from `transforms.voted_order(*teachers)`; its majority vote. margin: δ ≥ 0.

    >>> x = torch.tensor([[0.0], [1.0], [3.0]])
    >>> relative_order_votes(x, -voted_order(x))
    tensor([0.6667, 0.4444, 0.6667])
    """
    distances = pairwise_distances(student)
    hinge = (distances.unsqueeze(2) - distances.unsqueeze(1) + margin).relu()
    _, order = pair("relative_order_votes", hinge, order)
    return torch.where(order > 0, hinge, 0.0).mean((1, 2))
