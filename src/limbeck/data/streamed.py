"""Pictures that stay in their files: decoded when a batch asks for them, so that memory does not grow with their number."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from limbeck.plan.kinds import Value

SAMPLED = 2000  # pictures of which mean and standard deviation are computed


class PictureFiles(Dataset[Value]):
    """Pictures of one shape behind their files, as (uint8 (c, h, w), class) with -100 for no class.

    Args:
        files: what names each. decoded: from a file to its pixels. labels: (n,) or None. picture: the shape (c, h, w).
    """

    def __init__(
        self,
        files: Sequence[tuple[str, ...]],
        decoded: Callable[[tuple[str, ...]], Tensor],
        labels: Tensor | None,
        picture: tuple[int, int, int],
    ):
        self.files, self.decoded, self.labels, self.picture = files, decoded, labels, picture

    @property
    def shape(self) -> tuple[int, ...]:
        """As a tensor of all pictures would have it."""
        return (len(self.files), *self.picture)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.decoded(self.files[row]), -100 if self.labels is None else int(self.labels[row])


def sampled(inputs: Dataset[Value], count: int) -> Tensor:
    """Up to 2,000 pictures, evenly chosen among `count`, as one tensor."""
    rows = torch.linspace(0, count - 1, min(count, SAMPLED)).round().long().tolist()
    return torch.stack([inputs[row][0] for row in rows])
