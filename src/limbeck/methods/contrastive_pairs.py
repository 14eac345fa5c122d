"""A language model learns to say more of what its teacher writes, and less of what it writes itself and its teacher would not."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor

from limbeck import losses
from limbeck.connectors import Rollouts
from limbeck.plan import Field, Method, Stage, Tap, Term, Update, method
from limbeck.transforms.masks import known


@method(
    paper="Ko et al. 2025, DistiLLM-2: A Contrastive Approach Boosts the Distillation of LLMs, ICML, arXiv 2503.07067",
    year=2025,
    serves=("text",),
)
def contrastive_pairs(skew: float = 0.1, temperature: float = 1.0, opening: float = 0.25, written: bool = False) -> Method:
    """Text of the teacher raises what the teacher holds likely, text of the student lowers what the teacher holds unlikely.

    L = KL(p || skew p + (1 - skew) q) on the teacher's text, and KL(q || skew q + (1 - skew) p) on the student's, in turns

    Each is a mean over the tokens that count, with a step of its own; the paper adds both up, with a skew and a share of the
    second that follow how far apart p and q are, and writes the student's text anew for every epoch, not for every step.

    Use it when the student already writes sensible text, after `lm_kd` for example, and rows have prompts. It costs a generation
    for every second step, two with `written`.

    Args:
        skew: share of the model's own probabilities in the mixture, 0 .. 1. temperature: of the student's draws. opening: share
            of a row that is given where the text has no prompts. written: the teacher writes what follows the prompts; without
            it, the text that is given stands for the teacher's.
    """
    raised = Update(("student",), (_compared("raised", partial(losses.skew_kl, alpha=skew)),))
    if written:
        raised = replace(raised, source=Rollouts(role="teacher", temperature=0.0, opening=opening))
    lowered = Update(
        ("student",),
        (_compared("lowered", partial(losses.skew_reverse_kl, alpha=skew)),),
        source=Rollouts(temperature=temperature, opening=opening),
    )
    return Method((Stage("distil", (raised, lowered)),))


def _compared(name: str, by: Callable[..., Tensor]) -> Term:
    return Term(name, by, mask=Field("labels").via(known), student=Tap("student"), teacher=Tap("teacher").detach())
