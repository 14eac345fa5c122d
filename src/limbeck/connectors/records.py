"""Activation records: what is written down of a teacher's layers while there is data, and inputs made from it later.

Letters: n samples, C classes, d units of a layer (all its values, or its channels as means over the pixels), k coefficients.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.plan.kinds import Batch, Value
from limbeck.plan.method import Term
from limbeck.plan.observe import Scene
from limbeck.plan.roles import Cast


def strength(first: Tensor, labels: Tensor, second: Tensor | None = None) -> Tensor:
    """The mean square of what is recorded, per sample: a figure to watch, nothing learns by it."""
    return first.detach().flatten(1).square().mean(1)


class ActivationRecord(nn.Module):
    """Base: what a layer does per class. Called with activations it gives their code (n, k); `draw` gives codes that
    samples of some classes might have had."""

    count: Tensor

    def __init__(self, classes: int):
        super().__init__()
        self.register_buffer("count", torch.zeros(classes, dtype=torch.float64))
        self._drawn: dict[int, tuple[tuple[int, ...], Tensor]] = {}

    def drawn(self, labels: Tensor, seed: int) -> Tensor:
        """`draw` with a seed, made once and kept until the record changes."""
        written = tuple(buffer._version for buffer in self.buffers())
        known = self._drawn.get(seed)
        if known is None or known[0] != written or len(known[1]) != len(labels) or known[1].device != labels.device:
            known = self._drawn[seed] = (written, self.draw(labels, torch.Generator().manual_seed(seed)))
        return known[1]

    @abstractmethod
    def add(self, labels: Tensor, *activations: Tensor) -> None:
        """Take one batch into the record."""

    @abstractmethod
    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        """A code (n, k) per label, from normal distributions with the recorded statistics."""


class UnitRecord(ActivationRecord):
    """Mean and spread of every unit per class: the full covariance for embeddings and logits, each unit on its own for maps.

    Codes are the units cut at 0. Lopes, Fenu & Starner 2017 and the authors' code (irapha/replayed_distillation), which
    falls back to single units where a covariance cannot be decomposed.
    """

    total: Tensor
    squares: Tensor

    def __init__(self, logits: Tensor, activation: Tensor):
        classes, size = logits.shape[-1], activation[0].numel()
        super().__init__(classes)
        self.full = activation.dim() == 2
        self.register_buffer("total", torch.zeros(classes, size, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(classes, *(size,) * (2 if self.full else 1), dtype=torch.float64))

    def forward(self, activation: Tensor) -> Tensor:
        return activation.flatten(1).relu()

    def add(self, labels: Tensor, *activations: Tensor) -> None:
        units = activations[0].detach().flatten(1).double()
        self.count.index_add_(0, labels, torch.ones_like(labels, dtype=torch.float64))
        self.total.index_add_(0, labels, units)
        self.squares.index_add_(0, labels, units[:, :, None] * units[:, None] if self.full else units.square())

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Means (C, d) and covariances (C, d, d), or variances (C, d) for maps."""
        count = self.count.clamp(min=1)[:, None]
        mean = self.total / count
        if self.full:
            return mean, self.squares / count[:, None] - mean[:, :, None] * mean[:, None]
        return mean, (self.squares / count - mean.square()).clamp(min=0)

    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        mean, spread = self.statistics()
        return normal(mean, root(spread) if self.full else spread.sqrt(), labels, generator).relu()


class SpectralRecord(ActivationRecord):
    """Mean and covariance per class of the graph-Fourier coefficients of one layer's channels, or of a pair of layers'.

    The graph's nodes are channels, its weights the absolute correlations of their means over the pixels, within one layer
    or between the two. Of the eigenvectors of its Laplacian those with the largest eigenvalues are kept, a part `kept` of
    all. Lopes, Fenu & Starner 2017; the authors' code leaves this open, so weights and pooling are ours.
    """

    total: Tensor
    products: Tensor
    basis: Tensor

    def __init__(self, logits: Tensor, *activations: Tensor, kept: float = 0.5):
        classes, self.sizes = logits.shape[-1], tuple(x.shape[1] for x in activations)
        super().__init__(classes)
        size = sum(self.sizes)
        self.register_buffer("total", torch.zeros(classes, size, dtype=torch.float64))
        self.register_buffer("products", torch.zeros(classes, size, size, dtype=torch.float64))
        self.register_buffer("basis", torch.eye(size)[:, -max(1, round(kept * size)) :].clone())

    def forward(self, *activations: Tensor) -> Tensor:
        return _channels(activations) @ self.basis

    def add(self, labels: Tensor, *activations: Tensor) -> None:
        units = _channels(activations).detach().double()
        self.count.index_add_(0, labels, torch.ones_like(labels, dtype=torch.float64))
        self.total.index_add_(0, labels, units)
        self.products.index_add_(0, labels, units[:, :, None] * units[:, None])
        mean = self.total.sum(0) / self.count.sum()
        whole = self.products.sum(0) / self.count.sum() - mean[:, None] * mean
        first = self.sizes[0] if len(self.sizes) > 1 else None
        self.basis.copy_(graph_basis(whole, self.basis.shape[1], first))

    def draw(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        count, basis = self.count.clamp(min=1)[:, None], self.basis.double()
        mean = self.total / count
        spread = self.products / count[:, None] - mean[:, :, None] * mean[:, None]
        return normal(mean @ basis, root(basis.T @ spread @ basis), labels, generator)


def _channels(activations: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.flatten(2).mean(2) if x.dim() > 2 else x for x in activations], dim=1)


def graph_basis(covariance: Tensor, kept: int, first: int | None = None) -> Tensor:
    """The `kept` eigenvectors (d, kept) with the largest eigenvalues of the Laplacian D - W, W = |correlation| off the
    diagonal; with `first` only between the first so many units and the others."""
    scale = covariance.diagonal().clamp(min=1e-12).rsqrt()
    weights = (covariance * scale[:, None] * scale).abs().fill_diagonal_(0.0)
    if first is not None:
        weights[:first, :first] = weights[first:, first:] = 0.0
    laplacian = (torch.diag(weights.sum(1)) - weights).cpu()  # eigenvectors have a free sign, which differs between devices
    return torch.linalg.eigh(laplacian).eigenvectors[:, -kept:].float().to(covariance.device)


def root(covariance: Tensor) -> Tensor:
    """Cholesky factors (C, d, d), with a little on the diagonal: classes of few samples have no full rank."""
    size = covariance.diagonal(dim1=-2, dim2=-1).mean(-1).clamp(min=1e-6)
    return torch.linalg.cholesky(covariance + 1e-4 * size[:, None, None] * torch.eye(covariance.shape[-1]).to(covariance))


def normal(mean: Tensor, spread: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """One draw (n, d) per label from N(mean, spread spread^T); a spread of (C, d) is a diagonal."""
    noise = torch.randn(len(labels), mean.shape[1], generator=generator, dtype=torch.float64).to(mean.device)
    moved = (spread[labels] @ noise[:, :, None])[:, :, 0] if spread.dim() == 3 else spread[labels] * noise
    return (mean[labels] + moved).float()


def measure_records(cast: Cast, trains: tuple[str, ...], batch: Batch, scene: Scene, terms: Sequence[tuple[Term, float]]) -> None:
    """Take a batch into every record: one term for each, in order, with `first`, `labels` and perhaps `second`."""
    for name, (term, _) in zip(trains, terms, strict=True):
        record = cast.find(name)
        assert isinstance(record, ActivationRecord)
        activations = [scene(term.inputs[key]) for key in ("first", "second") if key in term.inputs]
        record.add(scene(term.inputs["labels"]), *activations)


class Replays(nn.Module):
    """Learnable inputs in groups, all classes equally often, which start as noise N(0.15, 0.1) (the authors' MNIST setting)."""

    labels: Tensor

    def __init__(self, logits: Tensor, inputs: Tensor, *, size: int = 1000, group: int = 100, seed: int = 0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.group = min(group, size)
        self.register_buffer("labels", (torch.arange(size) % logits.shape[-1])[torch.randperm(size, generator=generator)])
        noise = 0.15 + 0.1 * torch.randn(size, *inputs.shape[1:], generator=generator)
        self.images = nn.ParameterList(nn.Parameter(part.clone()) for part in noise.split(self.group))


@dataclass(frozen=True)
class Replayed:
    """A source of batches out of `Replays`: one random group, with codes as the batch fields `records`, which are drawn
    once for all for every group."""

    part: str = "replays"
    records: tuple[str, ...] = ()

    def __call__(self, cast: Cast, draw: Callable[..., Batch], generator: torch.Generator) -> Batch:
        bank = cast[self.part]
        assert isinstance(bank, Replays)
        number = int(torch.randint(len(bank.images), (1,), generator=generator))
        labels = bank.labels[number * bank.group : (number + 1) * bank.group]
        batch: dict[str, Value] = {"inputs": bank.images[number], "replayed": labels}
        for k, name in enumerate(self.records):
            record = cast[name]
            assert isinstance(record, ActivationRecord)
            batch[name] = record.drawn(labels, 1000 * number + k)
        return batch
