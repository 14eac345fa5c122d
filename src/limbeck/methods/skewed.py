"""Divergences for language models: on every token, or on any answer."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Source, Tap
from limbeck.tasks.translate import forced as along_labels
from limbeck.tasks.translate import word_term
from limbeck.transforms.masks import known


def _sides(forced: bool) -> tuple[Source, Source]:
    read = along_labels if forced else Tap
    return read("student"), read("teacher").detach()


def _labels(weight: float, forced: bool) -> tuple[Term, ...]:
    if not weight:
        return ()
    return (word_term(weight=weight, per_token=True) if forced else task(weight=weight),)


@method(
    paper="Ko et al. 2024, DistiLLM: Towards Streamlined Distillation for Large Language Models, arXiv 2402.03898",
    year=2024,
    serves=("text",),
)
def skewed(alpha: float = 0.1, forward: float = 0.0, reverse: float = 1.0, labels: float = 0.0, forced: bool = False) -> Method:
    """The student is compared with a mixture of itself and the teacher, which keeps gradients bounded where one of them is sure.

    L = forward KL(p || a p + (1 - a) q) + reverse KL(q || a q + (1 - a) p) + labels CE(y, q), over known tokens; p the teacher's

    Logits (n, C) or (n, tokens, C); a token counts where its label is known (not -100), and labels stand where the logits
    that predict them do. The paper's replay of the student's own answers is not part of it.

    Use it when a language model is distilled and reverse divergence alone is unstable where the student gives next to nothing to
    a word: mixing in the other side bounds the gradient. Choose `forward` and `reverse` by whether the student should cover the
    teacher or be precise.

    Args:
        alpha: skew, 0.1. forward, reverse: weights of both directions (SKL and SRKL); the paper prefers the reverse.
        labels: weight of the plain task. forced: both are encoder-decoders, and asked for the label's words, each with the right
            ones before it; what they write by themselves does not stand place by place beside a label.
    """
    student, teacher = _sides(forced)
    count = Field("labels").via(known)
    both = (("skew", losses.skew_kl, forward), ("skew reverse", losses.skew_reverse_kl, reverse))
    terms = [
        Term(name, partial(by, alpha=alpha), weight=w, mask=count, student=student, teacher=teacher) for name, by, w in both if w
    ]
    return single_stage(*terms, *_labels(labels, forced))


@method(
    paper="Wu et al. 2025, Rethinking KL Divergence in Knowledge Distillation for LLMs (AKL), arXiv 2404.02657",
    year=2025,
    serves=("text",),
)
def adaptive(head: float = 0.5, labels: float = 0.0, forced: bool = False) -> Method:
    """Forward and reverse divergence, mixed per token by whether student and teacher differ at the likely or the unlikely words.

    L = g KL(p || q) + (1 - g) KL(q || p) + labels CE(y, q), g = share of sum |p - q| within the teacher's head

    By the paper's formula; one published implementation applies the head's mask in another order than the gaps it masks.

    Use it when a language model is distilled on given text and neither forward nor reverse divergence is clearly right; the mix
    is chosen per token. With few classes the two hardly differ, and plain `kd` is simpler.

    Args:
        head: probability mass that makes the head, 0.5. labels: weight of the plain task. forced: see `skewed`.
    """
    by = partial(losses.adaptive_kl, head=head)
    student, teacher = _sides(forced)
    mixed = Term("adaptive", by, mask=Field("labels").via(known), student=student, teacher=teacher)
    return single_stage(mixed, *_labels(labels, forced))


@method(
    paper="Agarwal et al. 2024, On-Policy Distillation of Language Models (the divergence), arXiv 2306.13649",
    year=2024,
    serves=("text",),
)
def between(
    beta: float = 0.5, temperature: float = 1.0, normalised: bool = False, labels: float = 0.0, forced: bool = False
) -> Method:
    """The generalised Jensen-Shannon divergence: anything between covering all of the teacher and seeking its peaks.

    L = D_b(p, q) + labels CE(y, q), D_b = b KL(p || m) + (1 - b) KL(q || m), m = b p + (1 - b) q

    On text that is given; sampling from the student is the data's business.

    Use it when a language model is distilled on given text and you want to set by one number how far the student covers all that
    the teacher says or seeks its peaks. Sampling from the student, which the paper's gains rest on, must come from your data.

    Args:
        beta: 0 .. 1; 0 is forward, 1 reverse KL. temperature: T. normalised: D_b / (b (1 - b)), which is continuous at both ends
            and four times the paper's D_b at 0.5; D_b itself goes to 0 towards the ends. labels: weight of the plain task.
            forced: see `skewed`.
    """
    by = partial(losses.jsd, beta=beta, temperature=temperature, normalised=normalised)
    student, teacher = _sides(forced)
    term = Term("between", by, mask=Field("labels").via(known), student=student, teacher=teacher)
    return single_stage(term, *_labels(labels, forced))
