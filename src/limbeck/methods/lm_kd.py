"""Token by token: what a language model learns from another on text that is given."""

from limbeck.methods._terms import Divergence, follow, task
from limbeck.plan import Method, method, single_stage


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
