"""A Gaussian process as a role: fitted by scikit-learn, kept as tensors, so that it is saved and asked like any network.

Letters: n samples asked about, N points it was fitted to, d input dimensions, C classes.
"""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.models.fitted import Fitted

# logistic sigmoid ~ sum_j COEFFICIENTS_j (1 + erf(SLOPES_j f)) / 2 + const: Williams & Barber 1998, as in scikit-learn
SLOPES = (0.41, 0.4, 0.37, 0.44, 0.39)
COEFFICIENTS = (-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654)


class GaussianProcess(Fitted):
    """One binary Gaussian-process classifier per class (one against the rest, Laplace approximation), each with a kernel
    c exp(-|x - x'|^2 / (2 l^2)) whose c and l maximise its marginal likelihood. Returns log-probabilities (n, C).

    It holds up to `points` samples. Its layer `uncertainty` gives (n,) the standard deviation of the latent functions,
    the mean over the classes. Until it is fitted every class is equally likely. float64 inside.
    """

    points: Tensor
    residual: Tensor
    root: Tensor
    cholesky: Tensor
    amplitude: Tensor
    length: Tensor
    shift: Tensor

    def __init__(self, classes: int, shape: Sequence[int], *, points: int = 100):
        super().__init__()
        if points < 2:
            raise UserError(f"gp: points must be at least 2, got {points}")
        size, self.classes = math.prod(shape), classes
        wide = torch.float64
        self.register_buffer("points", torch.zeros(points, size, dtype=wide))
        self.register_buffer("residual", torch.zeros(classes, points, dtype=wide))
        self.register_buffer("root", torch.zeros(classes, points, dtype=wide))
        self.register_buffer("cholesky", torch.eye(points, dtype=wide).expand(classes, -1, -1).clone())
        self.register_buffer("amplitude", torch.ones(classes, dtype=wide))
        self.register_buffer("length", torch.ones(classes, dtype=wide))
        self.register_buffer("shift", torch.zeros(classes, dtype=wide))
        self.uncertainty = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.latent(x)
        self.uncertainty(variance.sqrt().mean(0).to(x.dtype))
        chance = _averaged_sigmoid(mean, variance).T
        return (chance / chance.sum(1, keepdim=True)).clamp_min(1e-30).log().to(x.dtype)

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (C, n) of the latent functions: K* (y - p), and k** - |L^-1 W^(1/2) K*|^2."""
        rows = x.flatten(1).double()
        squares = (rows.square().sum(1)[:, None] + self.points.square().sum(1) - 2 * rows @ self.points.T).clamp_min(0.0)
        scale = 2 * self.length.square()
        kernel = self.amplitude[:, None, None] * (-squares / scale[:, None, None]).exp()
        mean = (kernel @ self.residual[:, :, None])[:, :, 0]
        solved = torch.linalg.solve_triangular(self.cholesky, self.root[:, :, None] * kernel.mT, upper=False)
        return mean + self.shift[:, None], (self.amplitude[:, None] - solved.square().sum(1)).clamp_min(1e-12)

    def fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Fit to the most probable class of each row."""
        from sklearn.gaussian_process import GaussianProcessClassifier
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel

        rows, labels = inputs.flatten(1).double().cpu().numpy(), targets.argmax(1).cpu().numpy()
        if len(rows) > len(self.points):
            raise UserError(
                f"a gp of {len(self.points)} points cannot be fitted to {len(rows)} samples; give it "
                f"more with points={len(rows)}, or fewer samples with data.limit={len(self.points)}"
            )
        apart = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(-1))
        middle = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(middle, (middle / 100, middle * 100))
        self._clear(rows)
        for c in range(self.classes):
            mine = labels == c
            if mine.all() or not mine.any():  # nothing to tell apart: this class is never, or always, the answer
                self.shift[c] = 8.0 if mine.all() else -8.0
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a kernel at the end of its range is kept
                self._keep(c, GaussianProcessClassifier(kernel, random_state=0).fit(rows, mine).base_estimator_)

    def _clear(self, rows: np.ndarray) -> None:
        for buffer in (self.points, self.residual, self.root, self.shift):
            buffer.zero_()
        self.cholesky.copy_(torch.eye(len(self.points)))
        self.points[: len(rows)] = torch.from_numpy(rows)
        self.amplitude.fill_(1.0)
        self.length.fill_(1.0)

    def _keep(self, c: int, made: object) -> None:
        """Take over what scikit-learn's binary classifier knows."""
        count = len(made.X_train_)  # type: ignore[attr-defined]
        self.residual[c, :count] = torch.from_numpy(made.y_train_ - made.pi_)  # type: ignore[attr-defined]
        self.root[c, :count] = torch.from_numpy(made.W_sr_)  # type: ignore[attr-defined]
        self.cholesky[c, :count, :count] = torch.from_numpy(made.L_)  # type: ignore[attr-defined]
        self.amplitude[c] = made.kernel_.k1.constant_value  # type: ignore[attr-defined]
        self.length[c] = made.kernel_.k2.length_scale  # type: ignore[attr-defined]


def _averaged_sigmoid(mean: Tensor, variance: Tensor) -> Tensor:
    """The logistic sigmoid averaged over a normal distribution."""
    slopes, coefficients = (torch.tensor(x, dtype=mean.dtype, device=mean.device) for x in (SLOPES, COEFFICIENTS))
    mean, variance = mean[..., None], variance[..., None]
    bend = torch.erf(slopes * mean / (1 + 2 * slopes.square() * variance).sqrt())
    return ((coefficients * bend).sum(-1) / 2 + coefficients.sum() / 2).clamp(1e-12, 1.0)
