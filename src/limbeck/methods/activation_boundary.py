"""Which neurons fire."""

from limbeck import losses
from limbeck.connectors import Connector
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Tap


@method(paper="Heo et al. 2019, Knowledge Transfer via Distillation of Activation Boundaries, arXiv 1811.03233", year=2019)
def activation_boundary(
    at: tuple[str, ...] = ("layer1", "layer2", "layer3"),
    teacher_at: tuple[str, ...] = (),
    before: bool = False,
    weight: float = 1.0,
    temperature: float = 3.0,
    labels: float = 1.0,
    soft_labels: float = 0.0,
    first_share: float = 0.3,
) -> Method:
    """Stage 1 gives the student the teacher's activation boundaries; stage 2 is ordinary training, or distillation.

    stage 1: L = weight .003 sum_l 2^(l - L) ||[t > 0] relu(1 - r(s)) + [t <= 0] relu(1 + r(s))||^2, r = 1x1 convolution + BN
    stage 2: L = labels CE(y, p) + soft_labels T^2 KL(p_teacher^T || p^T)

    After the authors' code (bhheo/AB_distillation): margin 1, its weights. Only the sign of t counts, so a tap after the
    teacher's ReLU says the same as one before it; the student's may be read before its ReLU, as there, with `before`.

    Use it when the student can take the teacher's layers stage by stage and the task data are few: the first stage fixes which
    neurons fire before any label is seen. Maps must have equal height and width, and with a short budget the task stage, which
    gets 70 % of it, may end too early.

    Args:
        at: the student's layers, shallow to deep. teacher_at: the teacher's, if they are called otherwise.
        before: read what goes into these modules: name the ReLUs of a stage (as "layer1.0.2" of a cnn) to tap pre-activations.
        weight: of stage 1. temperature: T of stage 2, 3 in the code. first_share: part of the budget given to stage 1.
        labels, soft_labels: of stage 2; the code's CIFAR run has soft labels alone.
    """
    io = "input" if before else "output"
    terms, parts = [], {}
    for k, (mine, theirs) in enumerate(zip(at, teacher_at or at, strict=True), start=1):
        student, teacher = Tap("student", mine, io=io), Tap("teacher", theirs, io=io).detach()
        parts[f"connector_{k}"] = Part(Connector, like=(student, teacher))
        share = weight * 2.0 ** (k - len(at))
        learned = student.via(f"connector_{k}")
        terms.append(Term(f"boundary {mine}", losses.activation_boundary_code, weight=share, student=learned, teacher=teacher))
    first = Update((f"student:{at[-1]}", *parts), tuple(terms))
    second = ((task(weight=labels),) if labels else ()) + (
        (soft(temperature=temperature, weight=soft_labels),) if soft_labels else ()
    )
    train = Stage("task", (Update(("student",), second),), share=1 - first_share)
    return Method((Stage("boundaries", (first,), share=first_share), train), parts=parts)
