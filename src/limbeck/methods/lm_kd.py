"""Token by token: what a language model learns from another on text that is given."""

from functools import partial
from typing import Literal

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.masks import known

Divergence = Literal["kl", "reverse", "jsd", "skew", "skew_reverse", "adaptive", "alpha_beta", "total_variation"]
_LOSS = {
    "kl": losses.kl,
    "reverse": losses.reverse_kl,
    "jsd": losses.jsd,
    "skew": losses.skew_kl,
    "skew_reverse": losses.skew_reverse_kl,
    "adaptive": losses.adaptive_kl,
    "alpha_beta": losses.alpha_beta,
    "total_variation": losses.total_variation,
}


@method(
    paper="Kim & Rush 2016, Sequence-Level Knowledge Distillation (word level), arXiv 1606.07947",
    year=2016,
    serves=("text",),
)
def lm_kd(divergence: Divergence = "kl", labels: float = 0.5, temperature: float = 1.0) -> Method:
    """At every place of a text the student gives the next token the probabilities that the teacher gives it.

    L = (1 - labels) D(p, q) + labels CE(y, q), means over the tokens that count; p the teacher's, both at T

    Logits (n, C) or (n, tokens, C); a token counts where its label is known (not -100). No T^2. The divergences are those of
    `between` (jsd, 0.5), `skewed` (0.1), `adaptive`, ABKD (alpha_beta: 0.2, 0.7) with their usual settings.

    Use it when a language model is to be made smaller on text that you have: the forward KL is the steadiest start, and its
    teacher's answers can be stored as drawn words (store.draws). Reverse divergences ask for text of the student's own.

    Args:
        divergence: kl (forward, the teacher's mass is covered), reverse, jsd, skew, skew_reverse, adaptive, alpha_beta or
            total_variation. labels: share of the text itself, 0 .. 1. temperature: T > 0; 1 is usual for language models.
    """
    own = follow(divergence, temperature=temperature, weight=1 - labels)
    return single_stage(*([task(weight=labels)] if labels else []), *([own] if labels < 1 else []))


def follow(divergence: Divergence, *, temperature: float = 1.0, weight: float = 1.0) -> Term:
    """The divergence of the student's next tokens from the teacher's, at the places whose label is known."""
    by = partial(_LOSS[divergence], temperature=temperature)
    student, teacher = Tap("student"), Tap("teacher").detach()
    return Term("teacher", by, weight=weight, mask=Field("labels").via(known), student=student, teacher=teacher)
