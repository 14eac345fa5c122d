"""Samples as a graph: who they are, how they lie, how they move from layer to layer."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap
from limbeck.transforms.combine import aligned, pooled


@method(paper="Liu et al. 2019, Knowledge Distillation via Instance Relationship Graph, CVPR 2019", year=2019)
def irg(
    at: tuple[str, ...] = ("layer2", "layer3"),
    teacher_at: str = "layer3",
    moves: tuple[tuple[str, str], ...] = (("layer1", "layer2"),),
    vertices: float = 0.1,
    edges: float = 0.01,
    transformations: float = 0.01,
) -> Method:
    """The teacher's logits, its last layer's distances (for several student layers) and its way between two layers.

    L = CE + vertices |z_s - z_t|^2 + edges sum_l |A_l,s - A_t|^2 + transformations sum |Lambda_s - Lambda_t|^2, all means
    A_ij = ||f(x_i) - f(x_j)||^2, Lambda_i = ||f_1(x_i) - f_2(x_i)||^2, f = the map's mean over its pixels

    Formulas of the survey notes; the paper's abstract only was at hand. Pooling keeps the unscaled distances small; two
    layers of unlike shape are averaged to one (`aligned`). The weights are ours.

    Use it when logits, relations within the batch and the way from layer to layer shall be kept at once and networks share their
    stages. Three weights must be balanced, and large batches give its graphs enough edges.

    Args:
        at: the student's layers that learn the teacher's edges at `teacher_at` (one to many).
        moves: (earlier, later) layers of both. vertices, edges, transformations: weights; distances grow with a teacher's
            activations, so take them such that no term begins larger than the labels' (the curves show them).
    """
    answers = {"student": Tap("student"), "teacher": Tap("teacher").detach()}
    terms = [task(), Term("vertices", losses.irg_vertices, weight=vertices, **answers)]
    goal = Tap("teacher", teacher_at).via(pooled).detach()
    terms += [Term(f"edges {k}", losses.irg_edges, weight=edges, student=Tap("student", k).via(pooled), teacher=goal) for k in at]
    for a, b in moves:
        mine, theirs = (Tap(role, a).via(aligned, Tap(role, b)) for role in ("student", "teacher"))
        sides = {"student_first": mine[0], "student_second": mine[1]}
        sides |= {"teacher_first": theirs.detach()[0], "teacher_second": theirs.detach()[1]}
        by = {key: source.via(pooled) for key, source in sides.items()}
        terms.append(Term(f"move {a}-{b}", losses.irg_transformations, weight=transformations, **by))
    return single_stage(*terms)
