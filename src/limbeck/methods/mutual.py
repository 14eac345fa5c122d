"""Peers teach one another."""

from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Update, method


@method(paper="Zhang et al. 2018, Deep Mutual Learning, arXiv 1706.00384", year=2018)
def mutual(peers: tuple[str, ...] = ("student", "peer"), temperature: float = 1.0) -> Method:
    """n students, no teacher: each learns from the labels and from the mean of its peers' answers, in turn.

    L_k = CE(y, p_k) + 1/(K-1) sum over l != k of KL(p_l || p_k); peers update one after another (Algorithm 1)

    Use it when there is no teacher and two or more networks, also of equal size, can be trained at once. Every network is trained
    in full; what one gains over training alone is usually a point or so.

    Args:
        peers: at least two roles; the first is deployed.
        temperature: T; 1 in the paper.
    """
    share = 1 / (len(peers) - 1)
    updates = tuple(
        Update((p,), (task(p), *(soft(p, q, temperature=temperature, weight=share) for q in peers if q != p))) for p in peers
    )
    return Method((Stage("mutual", updates),), deploys=peers[0])
