"""The moving average of the weights over the steps of a training, kept in the place of the last ones (`train.average`).

Polyak & Juditsky 1992; with the warm-up of Tarvainen & Valpola 2017: after step k the decay is min(decay, k / (k + 1)).
"""

from dataclasses import replace

from limbeck.plan import Follow, Method, Promote
from limbeck.plan.roles import Cast, role_of
from limbeck.plan.taps import Source, State, Tap, leaves, replaced

BEHIND = "_average"


def averaged(method: Method, decay: float) -> Method:
    """The method with a copy of each network that it trains and deploys, which follows it from the start of the last stage on.

    What is deployed, and so measured on validation, are the copies. What is fitted at once stays as it is.
    """
    last = method.stages[-1]
    if any(update.apply is not None for update in last.updates):
        return method
    source, trained = method.deployed, {role_of(path) for path in last.trains}
    found = {leaf: leaf.role for leaf in leaves(source) if isinstance(leaf, Tap | State) and leaf.role in trained}
    roles = [role for role in dict.fromkeys(found.values()) if role not in method.parts]
    if not roles:
        return method
    swap: dict[Source, Source] = {leaf: replace(leaf, role=role + BEHIND) for leaf, role in found.items() if role in roles}
    before = (*last.before, *(Promote(role + BEHIND, role) for role in roles))
    after = (*last.after_step, *(Follow(role + BEHIND, role, decay) for role in roles))
    stages = (*method.stages[:-1], replace(last, before=before, after_step=after))
    return method.but(stages=stages, deploys=replaced(source, swap))


def settled(cast: Cast) -> None:
    """The averages take the places of what they followed, and leave the cast."""
    for name in [name for name in cast if name.endswith(BEHIND)]:
        cast[name.removesuffix(BEHIND)].load_state_dict(cast[name].state_dict())
        del cast[name]
        cast.adapters.pop(name, None)
        cast.as_given.pop(name, None)
