"""Samples as a graph: who they are, how they lie, how they move from layer to layer."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap
from limbeck.transforms.combine import aligned, pooled, ways_within_one, within_one


@method(paper="Liu et al. 2019, Knowledge Distillation via Instance Relationship Graph, CVPR 2019", year=2019, pull=0.57)
def irg(
    at: tuple[str, ...] = ("layer2", "layer3"),
    teacher_at: str = "layer3",
    moves: tuple[tuple[str, str], ...] = (("layer1", "layer2"),),
    vertices: float = 0.1,
    edges: float = 5.0,
    transformations: float = 5.0,
) -> Method:
    """The teacher's logits, its last layer's distances (for several student layers) and its way between two layers.

    L = CE + vertices |z_s - z_t|^2 + edges sum_l |A_l,s - A_t|^2 + transformations sum |Lambda_s - Lambda_t|^2, all means
    A_ij = ||f(x_i) - f(x_j)||^2 / max, Lambda_i = ||f_1(x_i) - f_2(x_i)||^2 / max, f = the map's mean over its pixels, max = the
    largest of the network's own in the batch, held constant

    Divided by the largest as in the authors' code (yufanLIU/IRG); two layers of unlike shape are averaged to one (`aligned`), and
    pooling is ours.

    Use it when logits, relations within the batch and the way from layer to layer shall be kept at once and networks share their
    stages. Three weights must be balanced, and large batches give its graphs enough edges.

    Args:
        at: the student's layers that learn the teacher's edges at `teacher_at` (one to many).
        moves: (earlier, later) layers of both. vertices, edges, transformations: weights; 0.1, 5 and 5 as in the authors' code.
    """
    answers = {"student": Tap("student"), "teacher": Tap("teacher").detach()}
    terms = [task(), Term("vertices", losses.irg_vertices, weight=vertices, **answers)]
    goal = Tap("teacher", teacher_at).via(pooled).via(within_one).detach()
    for k in at:
        mine = Tap("student", k).via(pooled).via(within_one)
        terms.append(Term(f"edges {k}", losses.irg_edges, weight=edges, student=mine, teacher=goal))
    for a, b in moves:
        both = (Tap(role, a).via(aligned, Tap(role, b)) for role in ("student", "teacher"))
        here, there = (x[0].via(pooled).via(ways_within_one, x[1].via(pooled)) for x in both)
        sides = {"student_first": here[0], "student_second": here[1]}
        sides |= {"teacher_first": there.detach()[0], "teacher_second": there.detach()[1]}
        terms.append(Term(f"move {a}-{b}", losses.irg_transformations, weight=transformations, **sides))
    return single_stage(*terms)
