"""The store filled before a run: every answer of frozen teachers that a recipe's run would read."""

from limbeck.errors import UserError
from limbeck.runs import auto
from limbeck.runs.events import Listener, Message, silent
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import open_sources
from limbeck.store.filling import Filling
from limbeck.store.planner import frozen_roles, plan


def fill(recipe: Recipe, listen: Listener = silent) -> int:
    """Ask the frozen roles of a recipe everything that its run would read from the store, of every view; the same run, or another
    student's, then asks no more. What was filled by an earlier call, also one that was stopped, is kept.

    Returns how many samples were asked.

    Raises:
        UserError: the store is off, a teacher has no weights yet, or none of its answers can be stored.
    """
    settings = recipe.store
    store = settings.open()
    if store is None:
        raise UserError("store.use = false, so there is nothing to fill; leave it out")
    recipe, data = auto.settled(recipe, listen)
    sources = open_sources(recipe, data=data, listen=listen)
    method, cast = sources.method, sources.cast
    for note in sources.notes:
        listen(Message(note))
    bare = sorted(role for role in frozen_roles(method) if role in cast and not sources.has_weights(role))
    if bare:
        raise UserError(
            f"the {' and '.join(bare)} has no weights, so its answers would be those of an untrained network; give them with "
            f"--{bare[0]}-weights, or a trained folder"
        )

    def say(text: object) -> None:
        listen(Message(str(text)))

    planned = plan(
        method, cast, sources.streams(), store, form=settings.form, top_k=settings.top_k, draws=settings.draws, say=say
    )
    for decision in planned.decisions:
        say(decision)
    if not isinstance(planned.draw, Filling):
        raise UserError(f"nothing that {method.name} asks of a frozen role can be stored; the lines before this say why")
    cast.eval()
    planned.draw.fill(dict.fromkeys(part for _, update in method.updates() for part in update.partitions if part))
    return sum(cast.filled.values())
