"""What a term passes on and how it is compared: kinds of knowledge and families of transfer, read from the facts of the
functions that a source goes through and of the loss."""

from collections.abc import Iterator
from typing import Any

from limbeck.losses import Traits
from limbeck.plan import Method, Term
from limbeck.plan.taps import Field, Source, State, Tap, Via, call_text, leaves
from limbeck.transforms.facts import facts_of, plain


def knowledge_of(leaf: Source, term: Term, method: Method) -> str:
    """The kind of knowledge that a mentor's source brings into a term: by what it goes through, else by the loss, else by
    where it is read."""
    for source in term.inputs.values():
        for fn in _way(source, leaf):
            built = plain(method.parts[fn].build) if isinstance(fn, str) and fn in method.parts else fn
            found = facts_of(built).knowledge
            if found:
                return found
    if isinstance(leaf, Field):
        return f"the view {leaf.key}" if leaf.key in ("inputs", *method.views) else "stored targets"
    traits = facts_of(term.by)
    by_loss = traits.knowledge
    inside = isinstance(leaf, Tap) and bool(leaf.path)
    if by_loss and not (by_loss == "logits" and inside):  # squares of what a map's places say
        return by_loss
    if isinstance(leaf, State):
        return "parameters"
    if inside:
        return "features"
    return "logits" if isinstance(traits, Traits) and traits.raw else "soft labels"


def _way(source: Source, leaf: Source) -> Iterator[Any]:
    """The functions and modules between a leaf and the root of a source, the nearest to the leaf first."""
    if isinstance(source, Via):
        for inner in source.sources:
            if leaf in set(leaves(inner)):
                yield from _way(inner, leaf)
                yield source.fn
                return


def transfer_of(term: Term) -> str:
    """The family of a term's loss; a loss that is in no family stands for itself."""
    traits = facts_of(term.by)
    return traits.family if isinstance(traits, Traits) else call_text(plain(term.by))
