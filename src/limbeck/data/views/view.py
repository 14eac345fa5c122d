"""Named views of a sample: augmentation that can be made again exactly from (seed, sample, view number).

A view is data: a tuple of ops with a name and a spelling, `crop,flip,cutout:8`. Letters: n samples, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from limbeck.data.views.ops import (
    Bands,
    Channels,
    Columns,
    Crop,
    Cutout,
    Differences,
    FeatureDropout,
    Flip,
    Identity,
    Mixup,
    Noise,
    Op,
)
from limbeck.data.views.randaugment import RandAugment
from limbeck.errors import UserError, unknown
from limbeck.transforms.draws import Draw

OPS: dict[str, type[Op]] = {
    op.__name__.lower(): op
    for op in (Crop, Flip, Cutout, Mixup, RandAugment, Noise, FeatureDropout, Bands, Channels, Columns, Differences, Identity)
}

Fetch = Callable[[Tensor], Tensor]
"""From (n,) positions in the partition to their inputs, unchanged."""


def to_float(inputs: Tensor) -> Tensor:
    """Return images as float32 on the scale 0 .. 1 (uint8 is divided by 255); floats become float32."""
    return inputs.to(torch.float32).div_(255) if inputs.dtype == torch.uint8 else inputs.to(torch.float32)


@dataclass(frozen=True)
class View:
    """What is done to a sample before a role sees it.

    Attributes:
        ops: the steps, in order; none leaves the sample as it is.
        name: part of the random numbers, so that two views with the same ops differ; `Batches` gives a view
            without a name the name it goes by in the batch.

    >>> str(View((Crop(), Flip(), Cutout(8))))
    'crop,flip,cutout'
    """

    ops: tuple[Op, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        return ",".join(map(str, self.ops)) or "identity"

    def named(self, name: str) -> "View":
        """Return this view under `name`, unless it has a name of its own."""
        return self if self.name else replace(self, name=name)

    @property
    def mixes(self) -> bool:
        """Whether labels become probabilities."""
        return any(isinstance(op, Mixup) for op in self.ops)

    def check(self, shape: tuple[int, ...], kind: str, *, located: bool = False) -> None:
        """Raise UserError where an op does not work on inputs of this shape and kind, or on labels that have places."""
        for op in self.ops:
            spelt = str(op).partition(":")[0]
            if op.fixed:
                raise UserError(
                    f"view {self}: {spelt} selects the inputs of a role, in training and after; set it as student.sees"
                )
            if op.needs == "image" and len(shape) != 3:
                raise UserError(f"view {self}: {spelt} needs images (channels, height, width), the inputs are {shape}")
            if isinstance(op, Crop) and op.padding >= min(shape[1:]):
                size = f"{shape[2]} x {shape[1]}"
                raise UserError(f"view {self}: {op} would shift images of {size} pixels out of sight; take a smaller padding")
            if op.needs == "table" and len(shape) != 1:
                raise UserError(f"view {self}: {spelt} needs tables (features,), the inputs are {shape}; remove it")
            if isinstance(op, RandAugment) and kind != "image":
                raise UserError(f"view {self}: {spelt} needs images on the scale 0 .. 1; remove it or rescale them")
            if located and not op.places:
                raise UserError(f"view {self}: {spelt} cannot move masks or boxes along with the pixels; remove it")

    def apply(self, inputs: Tensor, draw: Draw, *, fetch: Fetch | None = None, index: Tensor | None = None) -> Tensor:
        """Return the view of n samples as float32.

        Args:
            inputs: (n, ...) the samples unchanged, uint8 or float.
            draw: their random numbers, for this view number.
            fetch, index: the inputs at positions of the partition, and its sample numbers; only Mixup needs them.
        """
        return self._through(len(self.ops), inputs, draw.within(self.name), fetch, index)

    def move(self, labels: Tensor, draw: Draw, size: tuple[int, int]) -> Tensor:
        """Return labels that belong to pixels, moved as `apply` moves these: masks (n, h, w) of class numbers, or boxes
        (n, m, 5) as floats, in images of `size` (height, width)."""
        own = draw.within(self.name)
        for k, op in enumerate(self.ops):
            numbers = own.within(f"{k}:{type(op).__name__}")
            labels = op.move_boxes(labels, numbers, size) if labels.is_floating_point() else op.move(labels, numbers)
        return labels

    def blend(self, targets: Tensor, draw: Draw, labels: Tensor, classes: int) -> Tensor:
        """Return the (n, C) class probabilities that go with `apply`; `labels` are the partition's (all of them)."""
        return self._targets(len(self.ops), targets, draw.within(self.name), labels, classes)

    def _through(self, end: int, inputs: Tensor, draw: Draw, fetch: Fetch | None, index: Tensor | None) -> Tensor:
        for k, op in enumerate(self.ops[:end]):
            own = draw.within(f"{k}:{type(op).__name__}")
            if isinstance(op, Mixup):
                if fetch is None or index is None:
                    raise UserError(f"view {self}: mixup needs a partition to draw partners from; use it through Batches")
                partner = op.partner(own, len(index))
                theirs = self._through(k, fetch(partner), _others(draw, index[partner]), fetch, index)
                share = op.share(own).view(-1, *(1,) * (inputs.dim() - 1))
                inputs = share * to_float(inputs) + (1 - share) * to_float(theirs)
            else:
                inputs = op(inputs if op.raw else to_float(inputs), own)
        return to_float(inputs)

    def _targets(self, end: int, targets: Tensor, draw: Draw, labels: Tensor, classes: int) -> Tensor:
        out = probabilities(targets, classes)
        for k, op in enumerate(self.ops[:end]):
            if isinstance(op, Mixup):
                own = draw.within(f"{k}:{type(op).__name__}")
                partner = op.partner(own, len(labels))
                earlier = any(isinstance(before, Mixup) for before in self.ops[:k])
                if earlier:
                    raise UserError(f"view {self}: mixup twice in one view is not supported; keep one")
                theirs = probabilities(labels[partner], classes)
                share = op.share(own)[:, None]
                out = share * out + (1 - share) * theirs
        return out


def _others(draw: Draw, index: Tensor) -> Draw:
    other = Draw.of(draw.seed, index, draw.view, centre=draw.centre, scale=draw.scale)
    return other.within(draw.salt.removeprefix("/"))


def probabilities(labels: Tensor, classes: int) -> Tensor:
    """Return (n, C) float32: one-hot rows of (n,) labels, zeros where a label is negative (unknown)."""
    rows = torch.zeros(len(labels), classes)
    known = labels >= 0
    rows[known, labels[known]] = 1.0
    return rows


def parse(text: str, name: str = "") -> View:
    """Read a view from its spelling: ops with commas between, each with its arguments behind colons.

    Raises:
        UserError: an unknown op (the closest is offered) or an argument that does not fit.

    >>> parse("crop:2, flip, mixup:0.4").ops
    (Crop(padding=2), Flip(probability=0.5), Mixup(alpha=0.4))
    """
    words = [word.strip() for word in text.split(",")]
    if not any(words):
        return View((), name)
    ops = tuple(_op(word, text) for word in words)
    if sum(isinstance(op, Mixup) for op in ops) > 1:
        raise UserError(f"view {text!r}: mixup twice in one view is not supported; keep one")
    return View(ops, name)


def _op(word: str, text: str) -> Op:
    head, *arguments = (part.strip() for part in word.split(":"))
    head = head.lower().replace("_", "").replace("-", "")
    if head not in OPS:
        raise unknown("view op", word.partition(":")[0], OPS, f"in {text!r}" if word != text else "")
    known = fields(OPS[head])
    if len(arguments) > len(known):
        takes = ", ".join(f.name for f in known) or "no argument"
        raise UserError(f"view op {head} takes {takes}; got {len(arguments)} arguments in {word!r}")
    values = []
    for argument, field in zip(arguments, known, strict=False):
        try:
            values.append(type(field.default)(argument))  # type: ignore[misc]
        except ValueError as error:
            kind = "whole number" if isinstance(field.default, int) else "number"
            raise UserError(f"view op {head}: {field.name} must be a {kind}, got {argument!r}") from error
    return OPS[head](*values)
