"""Few bits, learned alone, then together, then from a teacher."""

from functools import partial

from limbeck.connectors.quantise import Interval, Quantise
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Update, method


@method(paper="Kim et al. 2019, QKD: Quantization-aware Knowledge Distillation, arXiv 1911.12491", year=2019)
def qkd(
    bits: int = 4, temperature: float = 2.0, weight: float = 1.0, shares: tuple[float, float, float] = (0.3, 0.4, 0.3)
) -> Method:
    """Self-studying: the quantised student learns alone. Co-studying: teacher and student learn from each other, so that the
    teacher becomes one for few bits. Tutoring: the teacher, fixed again, teaches.

    1: L = CE(y, p); 2: L_s = CE + weight T^2 KL(p_t || p_s), L_t = CE + weight T^2 KL(p_s || p_t); 3: L_s alone

    Weights have steps that are learned (LSQ's gradient); the paper's quantiser is of this kind, and quantises activations too,
    which is left out here. T, weight and shares are ours.

    Use it when the student has few bits and a full-precision teacher is so far above it that its answers do not help: the teacher
    is bent towards the student first. The teacher is changed by it, so keep your copy.

    Args:
        bits: of each weight. temperature, weight: of the soft labels. shares: of the budget for the three phases.
    """
    listen = soft(temperature=temperature, weight=weight)
    answer = soft("teacher", "student", temperature=temperature, weight=weight)
    alone = Update(("student",), (task(),))
    student, teacher = Update(("student",), (task(), listen)), Update(("teacher",), (task("teacher"), answer))
    few = (Quantise("student", partial(Interval, bits=bits)),)
    phases = (("self-studying", (alone,)), ("co-studying", (student, teacher)), ("tutoring", (student,)))
    stages = (
        Stage(name, updates, share=share, before=few if name == "self-studying" else ())
        for (name, updates), share in zip(phases, shares, strict=True)
    )
    return Method(tuple(stages))
