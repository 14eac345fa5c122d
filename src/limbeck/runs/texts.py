"""Roles out of folders of transformers: what they are fed, how their labels are matched, what cannot work."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from limbeck.data import Data
from limbeck.data.tokens import Tokenizer, Tokens, inputs_for
from limbeck.engine.check import quiet
from limbeck.errors import UserError
from limbeck.files.saved import processor_in, tokenizer_of
from limbeck.models import pretrained
from limbeck.plan.roles import Adapter, Cast
from limbeck.runs import other_tokens
from limbeck.tasks.next_token import NextToken

SAME = 1e-3  # relative to the largest logit


def texted(role: str, model: str, module: nn.Module, adapter: Adapter, data: Data) -> tuple[nn.Module, Adapter]:
    """A role for texts that a tokenizer numbered, and its adapter; its labels are matched with the data's. A language model with
    another tokenizer is asked in its own tokens (see `limbeck.runs.other_tokens`).

    Args:
        model: its name, "" for a module from Python.

    Raises:
        UserError: its own tokenizer is another one, or texts are longer or of more tokens than it knows.
    """
    assert data.tokens is not None
    facts, who = data.tokens.facts, f"role {role!r}"
    own = tokenizer_of(model) if model else None
    if own is not None and own != data.tokens.source and not _same_tokens(own, data.tokens):
        if data.task.name == NextToken.name and role != "student":
            return _in_other_tokens(role, module, own, data), adapter
        raise UserError(
            f"{who}: the tokenizer of {own[-70:]} is another than that of the data, {data.tokens.source[-70:]}; all roles must "
            "read the same tokens: leave its tokenizer out, or set data.tokenizer"
        )
    pretrained.need_fitting(module, data.shape[0], facts["vocabulary"], who)
    config = getattr(module, "config", None)
    if config is not None and getattr(config, "pad_token_id", 0) is None:
        config.pad_token_id = facts["pad"]  # some look for the last token that is none
    return module, labelled(module, replace(adapter, prepare=inputs_for(module, facts)), data)


def _in_other_tokens(role: str, module: nn.Module, own: str, data: Data) -> nn.Module:
    made, notes = other_tokens.wrapped(role, module, own, data)
    came = pretrained.CAME.get(module, pretrained.Came())
    pretrained.CAME[made] = replace(came, labels={}, notes=(*came.notes, *notes))
    return made


def borders(cast: Cast, role: str, data: Data) -> list[str]:
    """A sentence where a role looks across the borders of documents that share a row: it answers otherwise for one alone."""
    inputs = data["train"].inputs
    if data.tokens is None or not data.tokens.facts.get("documents") or not isinstance(inputs, Tensor):
        return []
    side = (inputs - 1) // data.tokens.facts["vocabulary"]
    turns = (side[:, 1:] != side[:, :-1]) & (inputs[:, 1:] != 0)
    rows = turns[:, :-1].any(1).nonzero()
    if not len(rows):
        return []
    row = inputs[rows[0]]
    start = int(turns[rows[0]].nonzero()[0, 1]) + 1
    with quiet(cast), torch.no_grad():
        together, alone = (cast.adapter_of(role).find_logits(cast.feed(role, x), role)[0] for x in (row, row[:, start:]))
    if float((together[start : start + 4] - alone[:4]).abs().max()) <= SAME * float(alone.abs().max()):
        return []
    return [
        f"{role}: it looks across the borders of documents that share a row; what is learned of a document may come from another"
    ]


def _same_tokens(own: str, tokens: Tokens) -> bool:
    """Whether a tokenizer makes the data's tokens: it is the same one, or numbers a sample of the data's texts alike."""
    other = Tokenizer(own)
    if other.facts["fingerprint"] == tokens.facts["fingerprint"]:
        return True
    first = Tokenizer(tokens.source)
    alike = tokens.facts["vocabulary"] <= other.facts["vocabulary"]
    return bool(tokens.sample) and alike and other.rows(tokens.sample)[0] == first.rows(tokens.sample)[0]


def labelled(module: nn.Module, adapter: Adapter, data: Data) -> Adapter:
    """The adapter with logits in the data's order, where a model's labels have the data's names in another."""
    order = pretrained.labels_of(module, data.classes, "").order
    if not order or (adapter.logits is not None and not callable(adapter.logits)):
        return adapter
    return replace(adapter, logits=pretrained.Ordered(order, adapter.logits))


def told(role: str, model: str, module: nn.Module, data: Data, *, learns: bool) -> list[str]:
    """What a reader needs to know of a role out of a folder. model: its name.

    Raises `UserError` where it teaches and its labels are not the data's.
    """
    found, came = pretrained.labels_of(module, data.classes, f"the {role}"), pretrained.CAME.get(module)
    if found.mismatch and not learns:
        raise UserError(found.mismatch)
    notes = [f"{role}: {note}" for note in (came.notes if came is not None else ())]
    if found.mismatch:
        notes.append(f"{found.mismatch.partition(';')[0]}: it learns the data's")
    own = processor_in(model) if data.kind == "image" else None
    if own is not None and own.size is not None and own.size != tuple(data.shape[1:]):
        notes.append(f"{role}: its image processor scales to {own.size}, but pictures here are {tuple(data.shape[1:])}")
    if own is not None and own.cropped:
        notes.append(f"{role}: its image processor cuts the middle out of pictures, which are scaled as a whole here")
    return [*notes, *([found.note] if found.note else [])]
