"""A teacher that hears the whole recording, and a student that must answer as it goes along."""

from functools import partial

from limbeck import losses
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.masks import says_something


@method(
    paper="Kurata & Audhkhasi 2018, Improved Knowledge Distillation from Bi-Directional to Uni-Directional LSTM CTC for "
    "End-to-End Speech Recognition, SLT 2018",
    year=2018,
    serves=("strings",),
)
def ctc_delayed(delay: int = 4, weight: float = 10.0, temperature: float = 1.0) -> Method:
    """CTC, and the teacher's frames, each of which the student may answer up to `delay` frames later.

    L = CTC(y, q) + weight mean_{t: teacher emits a symbol} min_{0 <= d <= delay} KL(p_t^T || q_{t+d}^T)

    A one-directional student peaks later than a bidirectional teacher, so frames are not compared at equal times. Only
    frames count whose likeliest class is not the blank (class 0). The paper has segments and alignments of its own; the
    minimum over later frames is a reading of it from second hand, and all numbers are limbeck's.

    Use it when a streaming speech recogniser, which sees the past only, shall learn from a bidirectional teacher, both with CTC:
    frames are matched up to a delay. If both see the same context, a plain divergence per frame does as well.

    Args:
        delay: D >= 0 frames; 0 compares frame by frame. temperature: T > 0.
        weight: of the frames' mean; CTC is a sum over the whole string, so about the number of frames that speak.
    """
    student, teacher = Tap("student"), Tap("teacher").detach()
    by = partial(losses.delayed_kl, delay=delay, temperature=temperature)
    late = Term("late", by, weight=weight, mask=teacher.via(says_something), student=student, teacher=teacher)
    return single_stage(Term("ctc", losses.ctc, student=student, labels=Field("labels")), late)
