"""The deepest exit teaches the shallow ones."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Branch
from limbeck.errors import UserError
from limbeck.methods._terms import task
from limbeck.plan import Method, Part, Term, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(paper="Zhang et al. 2019, Be Your Own Teacher, arXiv 1905.08094", year=2019)
def own_teacher(
    at: tuple[str, ...] = ("layer1", "layer2"),
    deepest: str = "layer3",
    temperature: float = 3.0,
    alpha: float = 0.3,
    hint: float = 0.03,
    deploy: int = -1,
) -> Method:
    """Branches with early exits on one network, taught by its own last exit; no teacher at all.

    L = CE(y, p_C) + sum over exits i of (1 - alpha) CE(y, p_i) + alpha KL(p_C^T || p_i^T) + hint ||F_i - F_C||_2

    As in the authors' code: no T^2, the norm is that of the whole batch, and the shallowest exit gets no hint.

    Use it when the network shall answer early for easy samples, or get better without any other network. Its exits need maps at
    several depths; the smaller the network, the less the early exits can say.

    Args:
        at: the layers that get an exit. deepest: the last map.
        temperature, alpha, hint: 3, 0.3, 0.03, the paper's.
        deploy: which exit is kept, an index into `at`; -1 keeps the whole network.
    """
    if not -1 <= deploy < len(at):
        places = f"0 to {len(at) - 1} for those at {', '.join(at)}"
        raise UserError(f"own_teacher: deploy={deploy} is no exit; give {places}, or -1 for the end")
    last, answer = Tap("student", deepest), Tap("student")
    by = partial(losses.kl, temperature=temperature)
    terms, parts = [task()], {}
    for k, layer in enumerate(at, start=1):
        exit_ = Tap("student", layer).via(f"exit_{k}")
        parts[f"exit_{k}"] = Part(Branch, like=(Tap("student", layer), last, answer))
        terms += [
            Term(f"task exit {k}", losses.cross_entropy, weight=1 - alpha, student=exit_[1], labels=Field("labels")),
            Term(f"soft exit {k}", by, weight=alpha, student=exit_[1], teacher=answer.detach()),
        ]
        if k > 1:
            terms.append(Term(f"hint exit {k}", losses.batch_l2, weight=hint, student=exit_[0], teacher=last.detach()))
    kept = "student" if deploy == -1 else Tap("student", at[deploy]).via(f"exit_{deploy + 1}")[1]
    exits = {layer: Tap("student", layer).via(f"exit_{k}")[1] for k, layer in enumerate(at, start=1)} | {deepest: answer}
    return single_stage(*terms, trains=("student", *parts), parts=parts, deploys=kept, exits=exits)
