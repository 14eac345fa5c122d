"""Backbone first, stage by stage; then the head."""

from limbeck import losses
from limbeck.connectors import Connector
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap


@method(paper="Gao et al. 2018, An Embarrassingly Simple Approach for Knowledge Distillation, arXiv 1812.01819", year=2018)
def stage_by_stage(
    at: tuple[str, ...] = ("layer1", "layer2", "layer3"),
    teacher_at: tuple[str, ...] = (),
    head: tuple[str, ...] = ("linear",),
    backbone_share: float = 0.75,
) -> Method:
    """One stage of the student after another mimics the teacher's, the earlier ones fixed; only the head sees labels.

    stage i: L = mean (c_i(F_i,student) - F_i,teacher)^2, trains stage i and c_i; at last: L = CE(y, p), trains the head

    Only the abstract was at hand: order, fixing and the head's own training are its; the 1x1 connector c_i is recalled.

    Use it when memory or budget allows only a part of the student to train at a time and both networks have the same stages. An
    early stage that fits badly cannot be mended later, as it stays fixed.

    Args:
        at: the student's stages from shallow to deep; the first brings all layers before it along.
        teacher_at: the teacher's, if they are called otherwise. head: the student's layers after them.
        backbone_share: part of the budget shared by the stages; the head gets the rest.
    """
    stages, parts = [], {}
    for k, (mine, theirs) in enumerate(zip(at, teacher_at or at, strict=True), start=1):
        student, teacher = Tap("student", mine), Tap("teacher", theirs).detach()
        parts[f"connector_{k}"] = Part(Connector, like=(student, teacher))
        mimic = Term("mimic", losses.mse, student=student.via(f"connector_{k}"), teacher=teacher)
        trains = (f"student:{mine}" if k == 1 else f"student.{mine}", f"connector_{k}")
        stages.append(Stage(f"mimic {mine}", (Update(trains, (mimic,)),), share=backbone_share / len(at)))
    last = Update(tuple(f"student.{layer}" for layer in head), (task(),))
    return Method((*stages, Stage("head", (last,), share=1 - backbone_share)), parts=parts)
