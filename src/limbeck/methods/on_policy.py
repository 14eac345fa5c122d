"""A language model learns from what it writes by itself."""

from functools import partial

from limbeck.connectors import Replay, Rollouts
from limbeck.methods._terms import Divergence, follow
from limbeck.plan import Method, Part, Stage, Update, method
from limbeck.plan.taps import Field


@method(
    paper="Agarwal et al. 2024, On-Policy Distillation of Language Models (GKD), ICLR, arXiv 2306.13649",
    year=2024,
    serves=("text",),
)
def on_policy(
    share: float = 1.0,
    divergence: Divergence = "reverse",
    temperature: float = 1.0,
    opening: float = 0.25,
    slots: int = 0,
    again: float = 0.5,
) -> Method:
    """The student writes what follows a prompt, and the teacher says of every token how likely it would have been.

    L = D(p, q), mean over the tokens that the student drew; in the other batches over those of the text that is given

    Nothing is learned through the draws. A batch is written with probability `share`, as GKD's lambda; with `slots`, rows that
    were written are kept and come again, as in DistiLLM (Ko et al. 2024, arXiv 2402.03898), whose schedule of both shares is left
    out. Each step costs a generation, which no store can spare.

    Use it when the student already writes sensible text (after `lm_kd`, or cut out of its teacher) and is to be good at what it
    writes itself. From random weights the teacher is asked about nonsense: begin with `lm_kd`.

    Args:
        share: of the batches that are written, 0 .. 1; 1 is the paper's best. divergence: as in `lm_kd`; reverse seeks the peaks.
        temperature: of the student's draws. opening: share of a row that is given where the text has no prompts.
        slots: rows that are kept to be learned from again, 0 for none. again: share of the written batches that are such.
    """
    source = Rollouts(share=share, temperature=temperature, opening=opening, again=again if slots else 0.0)
    learn = Update(("student", *(("replay",) if slots else ())), (follow(divergence),), source=source)
    parts = {"replay": Part(partial(Replay, slots=slots), like=(Field("inputs"),))} if slots else {}
    return Method((Stage("distil", (learn,)),), parts=parts)
