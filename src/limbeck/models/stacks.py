"""Repeated blocks of a network: where they are, which can be taken out, and which are kept of many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from limbeck.errors import UserError

Choice = Literal["equal", "first", "last"]


@dataclass(frozen=True)
class Stack:
    """Blocks that follow one another under a container: path of it, how many, and the places of those that are all alike.

    A block that is not alike (it halves the map, or widens it) cannot be taken out.
    """

    path: str
    size: int
    alike: tuple[int, ...]

    @property
    def least(self) -> int:
        """The fewest blocks that it can be cut to."""
        return max(1, self.size - len(self.alike))

    def keep(self, count: int, choice: Choice = "equal") -> list[int]:
        """The places of the blocks that stay: those that cannot go, and as many others as make `count`.

        Raises `UserError` where there are not so many, or more of them cannot go.

        >>> Stack("layer2", 9, tuple(range(1, 9))).keep(3)
        [0, 4, 8]
        """
        fixed = [k for k in range(self.size) if k not in self.alike]
        if not self.least <= count <= self.size:
            where = self.path or "the network"
            raise UserError(f"{where} has {self.size} blocks; keep {self.least} to {self.size} of them, not {count}")
        plain = chosen(self.size, count, choice)
        if set(fixed) <= set(plain):
            return plain
        others = [self.alike[k] for k in chosen(len(self.alike), count - len(fixed), choice)]
        return sorted([*fixed, *others])


def chosen(of: int, count: int, choice: Choice = "equal") -> list[int]:
    """`count` of `of` places: at equal distances from the first to the last, the first ones, or the last ones.

    >>> chosen(9, 3), chosen(12, 1), chosen(12, 4, "last")
    ([0, 4, 8], [0], [8, 9, 10, 11])
    """
    if choice == "first" or not count:
        return list(range(count))
    if choice == "last":
        return list(range(of - count, of))
    return [round(k * (of - 1) / max(1, count - 1)) for k in range(count)]


def row(module: nn.Module) -> list[str]:
    """The names of the blocks of a container: children of one class that hold layers of their own; [] where it is none."""
    children = dict(module.named_children())
    kinds = {type(child) for child in children.values()}
    whole = all(any(True for _ in child.children()) and any(True for _ in child.parameters()) for child in children.values())
    listed = isinstance(module, nn.Sequential | nn.ModuleList)
    return list(children) if listed and len(kinds) == 1 and whole else []


def stacks(module: nn.Module) -> list[Stack]:
    """The outermost repeated stacks: containers of blocks of one class, of which some can be taken out.

    These are written alike (class, layers, sizes, strides), or there is one alone behind another, as wide at its end as at its
    beginning.
    """
    found: list[Stack] = []
    _find(module, "", found)
    return found


def _find(module: nn.Module, path: str, found: list[Stack]) -> None:
    names = row(module)
    texts = [repr(module.get_submodule(name)) for name in names]
    most = max(texts, key=texts.count, default="")
    alike = tuple(k for k, text in enumerate(texts) if text == most)
    if len(alike) == 1:  # two blocks, say, of which the first widens: whether the second leaves the map as it is
        alike = tuple(k for k, name in enumerate(names) if k and _keeps_shape(module.get_submodule(name)))
    if alike:
        found.append(Stack(path, len(names), alike))
        return
    for name, child in module.named_children():
        _find(child, f"{path}.{name}" if path else name, found)


def _keeps_shape(block: nn.Module) -> bool:
    """Whether a block gives as many channels as it takes, without a stride, as far as its layers show."""
    weights = [p for p in block.parameters() if p.dim() > 1]
    strides = [getattr(part, "stride", 1) for part in block.modules()]
    plain = all(step in (1, None) for each in strides for step in (each if isinstance(each, tuple) else (each,)))
    return bool(weights) and plain and weights[0].shape[1] == weights[-1].shape[0]


def keep_blocks(module: nn.Module, path: str, places: Sequence[int]) -> None:
    """Take all other blocks out of the container at a path, in place; what numbers its layers (`layer_idx`) is renumbered."""
    container = module.get_submodule(path)
    blocks = [child for k, child in enumerate(container.children()) if k in set(places)]
    head, _, name = path.rpartition(".")
    kept = nn.ModuleList(blocks) if isinstance(container, nn.ModuleList) else nn.Sequential(*blocks)
    for number, block in enumerate(blocks):
        for part in block.modules():
            if isinstance(getattr(part, "layer_idx", None), int):
                part.layer_idx = number  # type: ignore[assignment]
    if not path:
        for child in list(container._modules):
            del container._modules[child]
        container._modules.update(kept._modules)
        return
    setattr(module.get_submodule(head), name, kept.train(container.training))


def places(few: int, many: int) -> torch.Tensor:
    """Which of `many` channels `few` are: at equal distances (uniform selection: Xu et al. 2024, https://arxiv.org/abs/2311.18823).

    >>> places(2, 6).tolist(), places(3, 8).tolist()
    ([0, 3], [0, 4, 7])
    """
    if many % few == 0:
        return torch.arange(few) * (many // few)
    return torch.linspace(0, many - 1, few).round().long()
