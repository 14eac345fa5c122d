"""A network's own branches as its teacher."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Tail, TrunkGate
from limbeck.methods._terms import task
from limbeck.plan import Count, Method, Part, Term, method, single_stage
from limbeck.plan.schedules import ramp_up
from limbeck.plan.taps import Field, Source, Tap


@method(paper="Lan, Zhu & Gong 2018, Knowledge Distillation by On-the-Fly Native Ensemble, arXiv 1806.04606", year=2018)
def one(
    branches: Count = 3,
    trunk: str = "layer2",
    rest: tuple[str, ...] = ("layer3", "pool", "linear"),
    temperature: float = 3.0,
    ramp: float = 0.27,
    ensemble: bool = False,
) -> Method:
    """m branches on one trunk, the network's own end and fresh copies of it; a gate makes their ensemble, which teaches all.

    L = sum_i CE(y, p_i) + CE(y, p_e) + w(t) sum_i T^2 KL(p_e || p_i), z_e = sum_i g_i z_i, g = softmax of the gate

    After the authors' code (Lan1991Xu/ONE_NeurIPS2018): its gate, its stopped target, its ramp over 80 of 300 epochs.

    Use it when no teacher exists and one network shall be better at the same size in a single training: copies of its upper
    layers and a gate form the teacher. It needs a network whose upper layers are built of whole blocks that can be copied.

    Args:
        branches: m, the network's own included. trunk: the last shared layer. rest: all layers after it, in order.
        temperature: T, 3 as published. ramp: part of the run over which w rises to 1.
        ensemble: deploy the gated ensemble (ONE-E) instead of the network itself.
    """
    shared = Tap("student", trunk)
    names = [f"branch_{k}" for k in range(2, branches + 1)]
    answers: dict[str, Source] = {"branch_1": Tap("student")} | {name: shared.via(name)[-1] for name in names}
    parts = {name: Part(Tail, like=(shared,), copies=tuple(f"student.{layer}" for layer in rest)) for name in names}
    parts["gate"] = Part(TrunkGate, like=(shared, *answers.values()))
    gated = shared.via("gate", *answers.values())
    by = partial(losses.soft_target, temperature=temperature)
    terms = [task(), Term("task gate", losses.cross_entropy, student=gated, labels=Field("labels"))]
    terms += [Term(f"task {n}", losses.cross_entropy, student=answers[n], labels=Field("labels")) for n in names]
    rise, goal = ramp_up(1.0, over=ramp), gated.detach()
    terms += [Term(f"soft {name}", by, weight=rise, student=z, teacher=goal) for name, z in answers.items()]
    kept: str | Source = gated if ensemble else "student"
    return single_stage(*terms, trains=("student", *parts), name="ensemble", parts=parts, deploys=kept)
