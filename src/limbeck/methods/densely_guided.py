"""Every elder teaches."""

from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Update, method
from limbeck.plan.schedules import sometimes


@method(paper="Son et al. 2021, Densely Guided KD using Multiple Teacher Assistants, arXiv 2009.08825", year=2021)
def densely_guided(
    chain: tuple[str, ...] = ("teacher", "assistant", "student"), temperature: float = 4.0, alpha: float = 0.9, drop: float = 0.25
) -> Method:
    """A chain as in `assistant`, but each model learns from all larger ones at once; for the last, teachers drop out at random.

    model i: L = (1 - alpha) CE(y, p_i) + alpha / (i - 1) sum_(j < i) T^2 KL(p_j^T || p_i^T), for the last one with each j left
    out in a share `drop` of the steps

    The paper sums over the elders; the mean keeps their weight against the labels.

    Use it when you already train a chain of assistants as in `assistant` and see errors pile up along it: each model also hears
    all larger ones. It runs all of them at every step, so it pays only for large gaps.

    Args:
        chain: roles from the largest to the smallest; each trains for a full budget.
        temperature, alpha: as in `kd`. drop: 0.25 (recalled); 0 for none.
    """
    stages = []
    for place, learner in enumerate(chain[1:], start=1):
        weight, last = alpha / place, learner == chain[-1]
        taught = (
            soft(learner, elder, temperature=temperature, weight=sometimes(elder, 1 - drop, weight) if last and drop else weight)
            for elder in chain[:place]
        )
        stages.append(Stage(f"to {learner}", (Update((learner,), (task(learner, weight=1 - alpha), *taught)),)))
    return Method(tuple(stages), deploys=chain[-1])
