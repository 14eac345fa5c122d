"""Networks over frames: inputs (n, c, t), c features of t frames, as a spectrogram or any series of measurements is.

Letters: n samples, c channels, t frames.
"""

from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.models.shapes import Staged

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentLayer(nn.Module):
    """A recurrent layer over the frames: (n, c, t) to (n, directions x width, t); two directions read both ways."""

    def __init__(self, cell: str, inputs: int, width: int, directions: int):
        super().__init__()
        self.cell = CELLS[cell](inputs, width, batch_first=True, bidirectional=directions == 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x.transpose(1, 2))[0].transpose(1, 2)


class OverFrames(nn.Module):
    """The embedding: the mean over the frames, (n, c, t) to (n, c); or, for an answer per frame, (n, t, c)."""

    def __init__(self, per_frame: bool):
        super().__init__()
        self.per_frame = per_frame

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2) if self.per_frame else x.mean(2)


class Recurrent(Staged):
    """`depth` recurrent layers of `width` units, read in one or both directions, and a linear classifier.

    Args:
        cell: "gru" or "lstm"; the names of the zoo fix it.
        width: units per layer and direction. depth: layers, 1 to 4. directions: 2 reads backwards as well.
        stride: only every so many frames are read, as the mean of their neighbours.
        per_frame: 1 for logits of every frame, (n, t, classes), as CTC wants them; 0 for one answer, (n, classes).
    """

    def __init__(
        self,
        classes: int,
        shape: tuple[int, ...],
        *,
        cell: str,
        width: int = 64,
        depth: int = 1,
        directions: int = 1,
        stride: int = 1,
        per_frame: int = 0,
    ):
        super().__init__()
        channels = frames_shape(cell, shape)[0]
        if width < 1 or stride < 1 or not 1 <= depth <= 4 or directions not in (1, 2):
            given = f"width {width}, depth {depth}, directions {directions} and stride {stride}"
            raise UserError(f"{cell}: needs width and stride of at least 1, depth 1 to 4 and directions 1 or 2; got {given}")
        if stride > 1:
            self.stem = nn.AvgPool1d(stride, ceil_mode=True)
        for k in range(depth):
            self.add_module(f"layer{k + 1}", RecurrentLayer(cell, channels, width, directions))
            channels = width * directions
        self.pool = OverFrames(bool(per_frame))
        self.linear = nn.Linear(channels, classes)


class TDNN(Staged):
    """A time-delay network: three convolutions over the frames, dilated 1, 2 and 3, each with batch norm and ReLU.

    Args:
        width: channels of every layer. size: frames that each looks at, odd. stride: of the first convolution.

    Waibel et al. 1989, Phoneme Recognition Using Time-Delay Neural Networks.
    """

    def __init__(self, classes: int, shape: tuple[int, ...], *, width: int = 64, size: int = 5, stride: int = 1):
        super().__init__()
        channels = frames_shape("tdnn", shape)[0]
        if width < 1 or stride < 1 or size < 1 or size % 2 == 0:
            raise UserError(f"tdnn: needs width and stride of at least 1 and an odd size; got {width}, {stride} and {size}")
        for k in (1, 2, 3):
            conv = nn.Conv1d(channels, width, size, stride if k == 1 else 1, padding=k * (size // 2), dilation=k, bias=False)
            self.add_module(f"layer{k}", nn.Sequential(conv, nn.BatchNorm1d(width), nn.ReLU()))
            channels = width
        self.pool = OverFrames(False)
        self.linear = nn.Linear(channels, classes)


def frames_shape(name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return `shape` as (channels, frames), or say why it is none."""
    if len(shape) != 2 or min(shape) < 1:
        raise UserError(f"{name} needs sequences of shape (channels, frames), got {tuple(shape)}; use 'cnn' or 'mlp'")
    return shape[0], shape[1]


__all__ = ["TDNN", "RecurrentLayer", "OverFrames", "Recurrent", "frames_shape"]
