"""The teacher's own route, from easy to hard."""

from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Update, method
from limbeck.roles import Promote, Snapshot


@method(paper="Jin et al. 2019, Knowledge Distillation via Route Constrained Optimization, arXiv 1904.09149", year=2019)
def rco(anchors: int = 4, temperature: float = 4.0, weight: float = 1.0) -> Method:
    """The teacher trains and leaves anchors along its way; the student goes through them in order, each from where it stands.

    teacher: L = CE(y, p_t); student at anchor i: L = CE(y, p) + weight T^2 KL(p_anchor_i^T || p^T)

    Anchors at equal intervals (the paper's EEI); its greedy search (GS) is not built. The teacher starts as it is given.

    Args:
        anchors: how many, the finished teacher included; the student's budget is shared equally.
        temperature, weight: of the soft labels; the paper's weight was not at hand.
    """
    names = [f"anchor_{k}" for k in range(1, anchors)]
    keep = tuple(Snapshot(name, "teacher", at=(k / anchors,)) for k, name in enumerate(names, start=1))
    make = tuple(Promote(name, "teacher") for name in names)
    route = Stage("route", (Update(("teacher",), (task("teacher"),)),), before=make, after_step=keep)
    follow = tuple(
        Stage(
            f"follow {mentor}",
            (Update(("student",), (task(), soft("student", mentor, temperature=temperature, weight=weight))),),
            share=1 / anchors,
        )
        for mentor in (*names, "teacher")
    )
    return Method((route, *follow))
