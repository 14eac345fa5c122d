"""A network that looks at its images in another size: the cheapest way to less work."""

from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.errors import UserError


class Resized(nn.Module):
    """Images (n, c, h, w) are averaged to `size` x `size` pixels and given to a network by name that was built for them.

    Args:
        model: a name for `limbeck.models.build`, with `arguments`. size: pixels of a side, at most that of the images.
    """

    def __init__(
        self, classes: int, shape: tuple[int, ...], *, model: str, size: int, arguments: dict[str, object] | None = None
    ):
        super().__init__()
        from limbeck.models import build

        if len(shape) != 3 or not 1 <= size <= min(shape[1:]):
            raise UserError(f"images of shape {tuple(shape)} cannot be scaled to {size} x {size} pixels; give fewer")
        self.size = size
        self.inner = build(model, classes=classes, shape=(shape[0], size, size), arguments=arguments)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(F.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=False, align_corners=False))
