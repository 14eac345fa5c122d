"""A step between."""

from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Update, method


@method(paper="Mirzadeh et al. 2020, Improved Knowledge Distillation via Teacher Assistant, arXiv 1902.03393", year=2020)
def assistant(
    chain: tuple[str, ...] = ("teacher", "assistant", "student"), temperature: float = 4.0, alpha: float = 0.9
) -> Method:
    """The teacher teaches an assistant of middle size, which teaches the student; any number of assistants.

    each step: L = (1 - alpha) CE(y, p) + alpha T^2 KL(p_mentor^T || p_learner^T)

    Use it when the teacher is so much larger than the student that `kd` gains little, and you can afford one more full training
    for a network of middle size. It does not help where the gap is small, and errors of the assistant are passed on.

    Args:
        chain: roles from the largest to the smallest; each trains for a full budget.
        temperature, alpha: of every step, as in `kd`.
    """
    stages = tuple(
        Stage(
            f"{mentor} to {learner}",
            (
                Update(
                    (learner,), (task(learner, weight=1 - alpha), soft(learner, mentor, temperature=temperature, weight=alpha))
                ),
            ),
        )
        for mentor, learner in zip(chain, chain[1:], strict=False)
    )
    return Method(stages, deploys=chain[-1])
