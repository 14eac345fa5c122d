"""Parts of a partition by their spelling: `train[2/5]` is the second of five disjoint parts, `train[classes 0-2,7]` the
samples of some classes, `train[labelled]` those whose class is known. Which role learns from which of them is what a plan's
updates say."""

import re
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.transforms.draws import order

if TYPE_CHECKING:
    from limbeck.data.core import Data, Partition

SHARE = re.compile(r"(\d+)/(\d+)")


def part_of(data: "Data", name: str) -> "Partition | None":
    """The part that a spelling means, None if it is none; samples keep their numbers.

    Shares are drawn by hash from the data's split seed, the same on any machine; their sizes differ by at most one.
    Raises `UserError` for a share or class that does not exist.
    """
    found = re.fullmatch(r"([^\[\]]+)\[([^\[\]]+)\]", name)
    if found is None:
        return None
    whole, what = data[found[1]], found[2].strip()
    share = SHARE.fullmatch(what)
    if share is not None:
        number, of = int(share[1]), int(share[2])
        if not 1 <= number <= of <= len(whole):
            raise UserError(f"partition {name!r}: expected a share 1/n to n/n with n up to {len(whole)}, got {what}")
        drawn = order(data.split_seed, len(whole), "part", found[1])
        return whole.select(drawn[number - 1 :: of].sort().values, name)
    if what == "labelled" and whole.labels is not None and whole.labels.dim() == 1:
        return whole.select((whole.labels != data.task.unknown).nonzero()[:, 0], name)
    if what.startswith("classes "):
        if whole.labels is None:
            raise UserError(f"partition {name!r}: {found[1]} has no labels to choose classes by")
        wanted = numbers(what.removeprefix("classes "), name, len(data.classes))
        return whole.select(torch.isin(whole.labels, wanted).nonzero()[:, 0], name)
    raise UserError(f"partition {name!r}: expected a share such as [1/5] or [classes 0-4,7], got [{what}]")


def numbers(text: str, who: str, count: int, between: str = ",") -> Tensor:
    """Read `0-2,7` as (k,) int64, each from 0 to count - 1.

    >>> numbers("0-2,7", "doc", 10)
    tensor([0, 1, 2, 7])
    """
    found: list[int] = []
    for word in text.split(between):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", word)
        last = int(match[2] or match[1]) if match else -1
        if match is None or not int(match[1]) <= last < count:
            raise UserError(f"{who!r}: expected numbers 0 to {count - 1} such as 0-2{between}7, got {word!r}")
        found += range(int(match[1]), last + 1)
    return torch.tensor(sorted(set(found)))
