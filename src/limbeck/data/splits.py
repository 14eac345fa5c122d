"""Splits that keep the share of each class, drawn by hash: the same for the same seed, on any machine."""

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.transforms.draws import order


def stratified(labels: Tensor, count: int, seed: int, use: str) -> tuple[Tensor, Tensor]:
    """Split 0 .. n - 1 into `count` drawn rows and the rest, both sorted, every class by its share.

    Shares are rounded by largest remainder; with `count` at least the number of classes present, every
    class that is present gets at least one.

    Args:
        labels: (n,) int64.
        count: 0 .. n.
        seed, use: what the draw depends on.

    >>> drawn, rest = stratified(torch.tensor([0, 0, 0, 0, 1, 1]), 3, 0, "doc")
    >>> len(drawn), len(rest), int((drawn >= 4).sum())
    (3, 3, 1)
    """
    sizes = torch.bincount(labels)
    quota = sizes.double() * count / max(1, len(labels))
    take = quota.floor().long()
    if count >= int((sizes > 0).sum()):
        take = torch.maximum(take, (sizes > 0).long())
    while int(take.sum()) != count:
        short = int(take.sum()) < count
        gap = torch.where(take < sizes, quota - take, -torch.inf) if short else torch.where(take > 1, take - quota, -torch.inf)
        if not short and bool(torch.isinf(gap).all()):
            gap = take.double()
        take[int(gap.argmax())] += 1 if short else -1
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    for label in take.nonzero()[:, 0].tolist():
        members = (labels == label).nonzero()[:, 0]
        drawn[members[order(seed, len(members), use, label)[: take[label]]]] = True
    return drawn.nonzero()[:, 0], (~drawn).nonzero()[:, 0]


def size_of(share: float, total: int, what: str) -> int:
    """Return how many of `total` samples a share below 1, or a count, means; at least 1 unless it is 0."""
    number = isinstance(share, (int, float)) and not isinstance(share, bool)
    if not number or not 0 <= share < float("inf") or (share >= 1 and share != int(share)):
        raise UserError(f"{what} must be a share of 0 to below 1 or a whole number of samples, got {share!r}")
    count = int(share) if share >= 1 else max(1, round(share * total)) if share else 0
    if count >= total:
        raise UserError(f"{what} takes {count} of {total} training samples and leaves none to train on; take fewer")
    return count
