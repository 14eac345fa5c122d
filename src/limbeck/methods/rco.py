"""The teacher's own route, from easy to hard."""

from functools import partial

from limbeck import losses
from limbeck.connectors import AnchorChoice, advance
from limbeck.methods._terms import soft, task
from limbeck.models.fitted import Whole
from limbeck.plan import Action, Count, Method, Part, Stage, Term, Update, method
from limbeck.plan.actions import Adopt, Promote, Reinit, Snapshot
from limbeck.plan.schedules import each_part
from limbeck.plan.taps import Tap

PAPER = "Jin et al. 2019, Knowledge Distillation via Route Constrained Optimization, arXiv 1904.09149"


@method(paper=PAPER + " (equal intervals)", year=2019)
def rco(anchors: Count = 4, temperature: float = 4.0, weight: float = 1.0, given: bool = False) -> Method:
    """The teacher trains and leaves anchors along its way; the student goes through them in order, each from where it stands.

    teacher: L = CE(y, p_t); student at anchor i: L = CE(y, p) + weight T^2 KL(p_anchor_i^T || p^T)

    Anchors at equal intervals (the paper's EEI); `rco_greedy` chooses them.

    Use it when the teacher's training is part of the run, so that the student can be led along the way that the teacher went,
    from easy to hard. With a finished teacher (`given`) that training is paid for all the same.

    Args:
        anchors: how many, the finished teacher included; the student's budget is shared equally.
        temperature, weight: of the soft labels; the paper's weight was not at hand.
        given: for a teacher that is finished: it stays and is the last anchor, and a twin that starts anew leaves the
            others. False: the teacher trains here, from the weights it has.
    """
    names = tuple(f"anchor_{k}" for k in range(1, anchors))
    follow = tuple(
        Stage(
            f"follow {mentor}",
            (Update(("student",), (task(), soft("student", mentor, temperature=temperature, weight=weight))),),
            share=1 / anchors,
        )
        for mentor in (*names, "teacher")
    )
    return Method((_route(names, given), *follow))


@method(paper=PAPER + " (greedy search)", year=2019)
def rco_greedy(
    candidates: Count = 8,
    stops: Count = 4,
    threshold: float = 1.5,
    temperature: float = 4.0,
    weight: float = 1.0,
    measured_on: str = "validation",
    given: bool = False,
) -> Method:
    """The same with anchors chosen on the way: each time the farthest one that is not too hard for the student as it is.

    hardness of anchor j = mean KL(p_j || p) on validation; next: the last j with hardness_j <= threshold hardness_now,
    or the one after the present one if there is none

    The rule of the survey notes; the paper's text was not at hand, so the threshold and the number of stops are ours.

    Use it when you would use `rco` but do not know how many anchors and where: it picks the next one by its hardness on
    validation samples. It keeps every candidate in memory.

    Args:
        candidates: anchors left at equal intervals, the finished teacher included. stops: equal parts of the student's
            budget; before each but the first the next anchor is chosen. threshold: delta.
        measured_on: the partition for the hardness. temperature, weight, given: as in `rco`.
    """
    names = tuple(f"anchor_{k}" for k in range(1, candidates))
    student, when = Tap("student"), each_part(stops)
    everyone = (*names, "teacher")
    hardness = tuple(
        Term(f"hardness {name}", losses.kl, weight=when, student=student, teacher=Tap(name).detach()) for name in everyone
    )
    choose = Update(("choice",), hardness, source=Whole(measured_on), apply=partial(advance, threshold=threshold))
    learn = Update(("student",), (task(), soft("student", "mentor", temperature=temperature, weight=weight)))
    begin = Promote("mentor", names[0] if names else "teacher")
    follow = Stage("follow", (choose, learn), before=(begin,), after_step=(Adopt("mentor", everyone, "choice"),))
    return Method((_route(names, given), follow), parts={"choice": Part(AnchorChoice)})


def _route(names: tuple[str, ...], given: bool) -> Stage:
    """One role trains on the labels and leaves a copy of itself after each equal part of the way."""
    who = "walker" if given else "teacher"
    start: tuple[Action, ...] = (Promote("walker", "teacher"), Reinit("walker")) if given else ()
    keep = tuple(Snapshot(name, who, at=(k / (len(names) + 1),)) for k, name in enumerate(names, start=1))
    make = (*start, *(Promote(name, "teacher") for name in names))
    return Stage("route", (Update((who,), (task(who),)),), before=make, after_step=keep)
