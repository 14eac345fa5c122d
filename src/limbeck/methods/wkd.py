"""How far a belief would have to be carried."""

from functools import partial

from limbeck import losses
from limbeck.connectors import ConvRegressor
from limbeck.methods._terms import task
from limbeck.plan import Count, Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, State, Tap
from limbeck.transforms.combine import class_costs

PAPER = "Lv, Yang & Li 2024, Wasserstein Distance Rivals Kullback-Leibler Divergence for KD, arXiv 2412.08139"


@method(paper=PAPER + " (WKD-L)", year=2024)
def wkd_logit(
    head: str = "linear.weight",
    weight: float = 30.0,
    temperature: float = 2.0,
    sharpen: float = 1.0,
    regularisation: float = 0.05,
    iterations: Count = 10,
) -> Method:
    """The other classes' probabilities are carried to the teacher's at a cost that grows with how unlike two classes are.

    L = CE(y, p) - p_t,y log p_y + weight min_F sum_ij F_ij c_ij (Sinkhorn), c = 1 - exp(-sharpen (1 - cos(w_i, w_j)))

    After the authors' code, with its choice of the classifier's weights for the classes' similarity. On CIFAR-100 it has weight
    600 and T 8, and lets the weight fall along a cosine in the last 37.5 %, which is left out here.

    Use it when many classes are related (kinds of dogs, kinds of cars) and confusing like with like should cost less: the
    teacher's classifier weights say how like they are. It solves a transport problem per sample, which is slow with a thousand
    classes.

    Args:
        head: the teacher's classifier weight. weight: of the transport. temperature: T of its probabilities.
        sharpen: of the costs, 1 in the code; 0 takes 1 - cos. regularisation, iterations: of Sinkhorn; 0.05 and 10 in the code.
    """
    student, teacher, labels = Tap("student"), Tap("teacher").detach(), Field("labels")
    cost = State("teacher", head).detach().via(partial(class_costs, sharpen=sharpen))
    by = partial(losses.transport, temperature=temperature, regularisation=regularisation, iterations=iterations)
    target = Term("target", losses.target_cross_entropy, student=student, teacher=teacher, labels=labels)
    return single_stage(
        task(), target, Term("transport", by, weight=weight, cost=cost, student=student, teacher=teacher, labels=labels)
    )


@method(paper=PAPER + " (WKD-F)", year=2024, pull=40)
def wkd_feature(at: str = "layer3", teacher_at: str = "", weight: float = 0.08, ratio: float = 4.0, grid: int = 1) -> Method:
    """A map is a Gaussian per channel; means and spreads follow the teacher's.

    L = CE(y, p) + weight sum_c ratio (mu_s - mu_t)^2 + (sd_s - sd_t)^2, over the map or each cell of a grid

    After the authors' code, with its weight and ratio for CIFAR-100; its weight falls along a cosine in the last 37.5 %, which is
    left out here.

    Use it when the order of positions in a map matters less than the statistics of its channels, as when objects stand anywhere.
    It is a light term, but its weight has to be found for each pair of networks.

    Args:
        at: the student's map. teacher_at: the teacher's, if it is called otherwise. weight: of the distance.
        ratio: of the means. grid: cells per side, each with its own Gaussian.
    """
    student, teacher = Tap("student", at), Tap("teacher", teacher_at or at).detach()
    by = partial(losses.gaussian_transport, ratio=ratio, grid=grid)
    term = Term("gaussian", by, weight=weight, student=student.via("regressor"), teacher=teacher)
    part = {"regressor": Part(ConvRegressor, like=(student, teacher))}
    return single_stage(task(), term, trains=("student", "regressor"), parts=part)
