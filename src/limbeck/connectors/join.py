"""One activation brought to the form of another.

Shapes: n samples, c channels, h x w pixels, t tokens, d embedding dimensions, C classes.
"""

from torch import Tensor, nn

from limbeck.errors import UserError


class Linear(nn.Linear):
    """A linear map from the learner's last dimension to the mentor's."""

    def __init__(self, student: Tensor, teacher: Tensor):
        super().__init__(student.shape[-1], teacher.shape[-1])


class ConvRegressor(nn.Module):
    """The regressor of FitNets: the learner's map (n, c, h, w) becomes the mentor's (n, C, H, W).

    A convolution with batch-norm and ReLU: 3x3 of stride 2 where the map must halve, a transposed 4x4
    where it must double, else a kernel of `h - H + 1` without padding (authors' rule, as in the code of
    Tian et al. 2020); embeddings (n, d) and tokens (n, t, d) get a linear map.
    """

    def __init__(self, student: Tensor, teacher: Tensor):
        super().__init__()
        if student.dim() != teacher.dim():
            raise UserError(
                f"a regressor joins activations of the same kind; got student {tuple(student.shape)} and "
                f"teacher {tuple(teacher.shape)}; tap layers of equal rank"
            )
        if student.dim() != 4:
            self.map: nn.Module = nn.Linear(student.shape[-1], teacher.shape[-1])
            return
        (c, h), (out, high) = student.shape[1:3], teacher.shape[1:3]
        if h == 2 * high:
            conv: nn.Module = nn.Conv2d(c, out, 3, stride=2, padding=1)
        elif 2 * h == high:
            conv = nn.ConvTranspose2d(c, out, 4, stride=2, padding=1)
        elif h >= high:
            conv = nn.Conv2d(c, out, 1 + h - high)
        else:
            raise UserError(f"no regressor from a {h} to a {high} pixel map; tap a student layer at least half as large")
        self.map = nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


def _need_one_size(student: Tensor, teacher: Tensor) -> None:
    if student.dim() != 4 or student.shape[2:] != teacher.shape[2:]:
        raise UserError(
            f"a connector joins maps of one size; got student {tuple(student.shape)} and teacher {tuple(teacher.shape)}; "
            "tap layers of equal height and width"
        )


class Connector(nn.Module):
    """A 1x1 convolution and batch-norm from the learner's channels to the mentor's, without a ReLU (Heo et
    al. 2019, authors' code): what comes out may be negative. Maps must be of equal height and width."""

    def __init__(self, student: Tensor, teacher: Tensor):
        super().__init__()
        _need_one_size(student, teacher)
        conv = nn.Conv2d(student.shape[1], teacher.shape[1], 1, bias=False)
        self.map = nn.Sequential(conv, nn.BatchNorm2d(teacher.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


class Imitator(nn.Module):
    """A 3x3 convolution and ReLU from the learner's channels to the mentor's (Wang et al. 2019, fine-grained imitation). Maps
    must be of equal height and width."""

    def __init__(self, student: Tensor, teacher: Tensor):
        super().__init__()
        _need_one_size(student, teacher)
        self.map = nn.Sequential(nn.Conv2d(student.shape[1], teacher.shape[1], 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


class Projector(nn.Module):
    """The mean over the pixels, then a linear map to `size` dimensions (n, size): a common space for two layers."""

    def __init__(self, feature: Tensor, *, size: int = 64):
        super().__init__()
        self.map = nn.Linear(feature.shape[1], size)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x.flatten(2).mean(2) if x.dim() > 2 else x)


class ContrastHead(nn.Module):
    """Two linear layers with a ReLU between, to `size` dimensions: where contrasts are drawn (SimCLR, SSKD); or to the
    width of a second feature (SEED)."""

    def __init__(self, feature: Tensor, like: Tensor | None = None, *, size: int = 64):
        super().__init__()
        width, out = feature.shape[1], size if like is None else like.shape[1]
        self.net = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.flatten(2).mean(2) if x.dim() > 2 else x)
