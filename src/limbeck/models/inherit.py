"""Weights handed down: layers of one role become the start of another's, as they are or as a choice of their channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.models.stacks import Choice, Stack, chosen, places, row, stacks
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress


@dataclass(frozen=True)
class Inherit:
    """Layers of a role start with the weights of layers of another: pairs (its own path, the other's path)."""

    role: str
    of: str
    layers: tuple[tuple[str, str], ...]

    def __call__(self, cast: Cast, now: Progress) -> None:
        for mine, theirs in self.layers:
            learner, mentor = cast.find(f"{self.role}.{mine}"), cast.find(f"{self.of}.{theirs}")
            try:
                learner.load_state_dict(mentor.state_dict())
            except RuntimeError as error:
                what = str(error).splitlines()[-1].strip()
                pair = f"{self.role}.{mine} cannot start as {self.of}.{theirs}"
                raise UserError(f"{pair}: {what}; give layers of equal shape") from None


@dataclass(frozen=True)
class Handed:
    """How a layer of a student starts: of which layer of its teacher ("" where it starts at random), and what of that: "whole",
    "16 of 64 outputs", or why nothing. parameters: of the layer."""

    layer: str
    of: str
    how: str
    parameters: int


@dataclass(frozen=True)
class Ends:
    """Sizes (the teacher's, the student's) that mean something: classes and inputs; none are chosen where they differ."""

    outputs: tuple[int, int] = (0, 0)
    inputs: tuple[int, int] = (0, 0)


def hand_down(
    teacher: nn.Module, student: nn.Module, *, choice: Choice = "equal", ends: Ends | None = None, try_only: bool = False
) -> list[Handed]:
    """Give a student the weights and statistics of its teacher's layers, in place, and say so layer by layer.

    Layers are matched by name; of a row of blocks that is longer in the teacher, by place; of wider layers, outputs and inputs
    are taken at equal distances, the same ones wherever sizes are the same (weight selection: Xu et al. 2024,
    https://arxiv.org/abs/2311.18823). A layer starts so as a whole or not at all.

    Args:
        choice: which blocks of longer rows. ends: see there. try_only: change nothing.
    """
    found: list[Handed] = []
    longer = {stack.path: stack for stack in stacks(teacher)}
    with torch.no_grad():
        _walk(student, teacher, ("", ""), (longer, choice, ends or Ends(), try_only), found)
    return found


Way = tuple[Mapping[str, Stack], Choice, Ends, bool]


def _walk(mine: nn.Module, theirs: nn.Module | None, at: tuple[str, str], way: Way, found: list[Handed]) -> None:
    tensors = own_tensors(mine)
    if tensors:
        count = sum(p.numel() for p in mine.parameters(recurse=False))
        how, whole = ("no such layer", False) if theirs is None else _layer(mine, theirs, way)
        found.append(Handed(at[0], at[1] if whole else "", how, count))
    pairs = _matched(mine, theirs, at[1], way)
    for name, child in mine.named_children():
        other = pairs.get(name)
        there = theirs.get_submodule(other) if theirs is not None and other is not None else None
        _walk(child, there, (_join(at[0], name), _join(at[1], other or name)), way, found)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _matched(mine: nn.Module, theirs: nn.Module | None, path: str, way: Way) -> dict[str, str]:
    """The teacher's child for each of a student's: by name, or by place in a row that is longer there."""
    if theirs is None:
        return {}
    few, many = row(mine), row(theirs)
    if few and len(few) < len(many):
        stack, choice = way[0].get(path), way[1]
        plain = stack is None or len(few) < stack.least
        kept = chosen(len(many), len(few), choice) if stack is None or plain else stack.keep(len(few), choice)
        return dict(zip(few, (many[k] for k in kept), strict=True))
    known = dict(theirs.named_children())
    return {name: name for name, _ in mine.named_children() if name in known}


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a module itself that its state has."""
    buffers = {k: v for k, v in module._buffers.items() if k not in module._non_persistent_buffers_set}
    return {k: v for k, v in {**module._parameters, **buffers}.items() if v is not None}


def _layer(mine: nn.Module, theirs: nn.Module, way: Way) -> tuple[str, bool]:
    """Fill one layer out of the teacher's; what was taken of it, or why nothing."""
    own, other = own_tensors(mine), own_tensors(theirs)
    if set(own) - set(other):
        return f"the teacher's has no {sorted(set(own) - set(other))[0]}", False
    taken, words = {}, ""
    for key, tensor in own.items():
        refused = _refused(mine, tensor, other[key], way[2])
        if refused:
            return refused, False
        taken[key], said = _selected(other[key], tensor.shape)
        words = words or said
    if not way[3]:
        for key, tensor in own.items():
            tensor.copy_(taken[key])
    return words or "whole", True


def _refused(layer: nn.Module, mine: Tensor, theirs: Tensor, ends: Ends) -> str:
    small, large = tuple(mine.shape), tuple(theirs.shape)
    if len(small) != len(large) or small[2:] != large[2:] or any(a > b for a, b in zip(small, large, strict=True)):
        return f"shape {small} is no part of {large}"
    if small == large:
        return ""
    if isinstance(layer, nn.Embedding) and small[0] != large[0]:
        return f"{small[0]} entries where the teacher has {large[0]}"
    sides = [("classes", ends.outputs, 0), ("inputs", ends.inputs, 1)]
    odd = [what for what, (b, a), dim in sides if len(small) > dim and a != b and (small[dim], large[dim]) == (a, b)]
    return f"its {odd[0]} are others" if odd else ""


def _selected(value: Tensor, shape: Sequence[int]) -> tuple[Tensor, str]:
    words = []
    for dim, (few, many) in enumerate(zip(shape, tuple(value.shape), strict=True)):
        if few != many:
            value = value.index_select(dim, places(few, many).to(value.device))
            words.append(f"{few} of {many} {'outputs' if dim == 0 else 'inputs'}")
    return value, ", ".join(words)


def share_of(handed: Sequence[Handed]) -> float:
    """The share of a student's parameters that its teacher gave."""
    return sum(each.parameters for each in handed if each.of) / max(1, sum(each.parameters for each in handed))


__all__ = ["Ends", "Handed", "Inherit", "hand_down", "own_tensors", "share_of"]
