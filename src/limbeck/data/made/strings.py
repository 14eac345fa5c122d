"""Strings of recordings: several of a data set's sequences one after another, with all their labels and no times.

Letters: n strings, b bands, t frames, l places.
"""

from dataclasses import replace

import torch
from torch import Tensor

from limbeck.data.core import Data, Partition, statistics
from limbeck.errors import UserError
from limbeck.tasks.transcribe import Transcribe
from limbeck.transforms.draws import Draw

BLANK = "(nothing)"


def strung(data: Data, *, least: int = 3, most: int = 5, times: float = 1.0, gap: int = 2, seed: int = 0) -> Data:
    """Return data of strings of `least` to `most` sequences of `data`, to be transcribed: inputs (b, t), labels (l,).

    Each partition has `times` as many strings as it had sequences, drawn from its own ones with replacement by `seed` and
    the string's number alone. What is silent at the end of a sequence is left out, and `gap` frames of silence follow each.
    Class 0 is the blank of `limbeck.losses.ctc`; the classes of `data` are numbered from 1.

    Args:
        data: sequences (b, t) in tensors with a label each, such as recordings.

    Raises:
        UserError: other data, or numbers that make no strings.
    """
    if len(data.shape) != 2 or not isinstance(data["train"].inputs, Tensor):
        raise UserError(f"strings need sequences (bands, frames) in tensors; {data.name} has {data.shape}")
    if not 1 <= least <= most or times <= 0 or gap < 0:
        given = f"{least}, {most}, {times:g} and {gap}"
        raise UserError(f"strings need 1 <= least <= most, times above 0 and a gap of at least 0; got {given}")
    silence = min(float(part.inputs.min()) for part in data.partitions.values())  # type: ignore[union-attr]
    made, start = {}, 0
    for name, part in data.partitions.items():
        if part.labels is not None:
            count = max(1, round(times * len(part)))
            index = torch.arange(start, start + count)
            made[name] = (*_joined(part, index, least, most, gap, seed, silence), index)
            start += count
    longest = max(x.shape[2] for x, _, _ in made.values())
    parts = {}
    for name, (x, labels, index) in made.items():
        parts[name] = Partition(name, torch.nn.functional.pad(x, (0, longest - x.shape[2]), value=silence), labels, index)
    mean, std = statistics(parts["train"].inputs, "other")  # type: ignore[arg-type]
    note = f"strings of {least} to {most} recordings of one part, drawn with replacement; {gap} silent frames between them"
    return replace(
        data, name=f"strings of {data.name}", classes=(BLANK, *data.classes), shape=(data.shape[0], longest), mean=mean, std=std,
        sound=None, partitions=parts, notes=(*data.notes, note), task=Transcribe(), _memo={},
    )  # fmt: skip


def _joined(part: Partition, index: Tensor, least: int, most: int, gap: int, seed: int, silence: float) -> tuple[Tensor, Tensor]:
    inputs, labels = part.inputs, part.labels
    assert isinstance(inputs, Tensor) and labels is not None
    sounding = (inputs > silence + 1e-6).any(1)
    ends = (sounding * torch.arange(1, inputs.shape[2] + 1)).amax(1).clamp_min(1)
    draw = Draw.of(seed, index, 0).within(f"strings of {part.name}")
    lengths = least + draw.integers("length", most - least + 1)[:, 0]
    members = draw.integers("members", len(inputs), most)
    there = torch.arange(most) < lengths[:, None]
    frames = ((ends[members] + gap) * there).sum(1)
    out = torch.full((len(index), inputs.shape[1], int(frames.max())), silence)
    for row, (chosen, count) in enumerate(zip(members.tolist(), lengths.tolist(), strict=True)):
        at = 0
        for member in chosen[:count]:
            end = int(ends[member])
            out[row, :, at : at + end] = inputs[member, :, :end]
            at += end + gap
    return out, (labels[members] + 1).masked_fill(~there, -100)


__all__ = ["BLANK", "strung"]
