"""Branches on the trunk of one network: early exits, and the rest of the network run anew from a tap.

Shapes: n samples, c channels, h x w pixels, t tokens, d embedding dimensions, C classes.
"""

from typing import Any

from torch import Tensor, nn

from limbeck.models.resnet import PadShortcut
from limbeck.transforms.facts import connector


@connector(answers=True)
class Branch(nn.Module):
    """An early exit (Zhang et al. 2019): depthwise-separable steps from a shallow map to the shape of the
    deepest one, then pooling and a classifier. Returns (feature like the deepest, logits)."""

    def __init__(self, shallow: Tensor, deepest: Tensor, logits: Tensor):
        super().__init__()
        size, channels, goal = shallow.shape[2], shallow.shape[1], deepest.shape[1]
        steps: list[nn.Module] = []
        while size > deepest.shape[2]:
            steps.append(_separable(channels, goal, stride=2))
            size, channels = -(-size // 2), goal
        if not steps or channels != goal:
            steps.append(_separable(channels, goal, stride=1))
        self.steps = nn.Sequential(*steps)
        self.linear = nn.Linear(goal, logits.shape[-1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.steps(x)
        return feature, self.linear(feature.flatten(2).mean(2))


def _separable(channels: int, out: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


@connector(answers=True)
class StageHead(nn.Module):
    """A classifier on one stage of any network (OFA-KD: Hao et al. 2023): what is particular to the architecture is left
    behind on the way to logits. Maps go through depthwise-separable steps that halve them to the deepest map's size,
    tokens (n, t, d) through a normalisation and their mean, then a linear layer; embeddings through a linear layer.

    The authors' heads are larger (token networks get further attention blocks).
    """

    def __init__(self, feature: Tensor, deepest: Tensor, logits: Tensor):
        super().__init__()
        self.steps: nn.Module = nn.Identity()
        width = feature.shape[-1]
        if feature.dim() == 4:
            branch = Branch(feature, deepest, logits)
            self.steps, width = branch.steps, deepest.shape[1]
        elif feature.dim() == 3:
            self.steps = nn.LayerNorm(width)
        self.linear = nn.Linear(width, logits.shape[-1])

    def forward(self, x: Tensor) -> Tensor:
        x = self.steps(x)
        pooled = x.flatten(2).mean(2) if x.dim() == 4 else x.mean(1) if x.dim() == 3 else x
        return self.linear(pooled)


@connector(answers=True)
class Tail(nn.Module):
    """The rest of a network from a tap on, in fresh copies of its later layers, which run in order.

    Returns what each layer gives, so that [-1] are the logits and [0] is the first layer's map. With a
    `ratio` other than 1 all its channels are multiplied by it: a 1x1 convolution with batch-norm and
    ReLU leads in, and the classifier keeps its outputs.
    """

    def __init__(self, trunk: Tensor, *layers: nn.Module, ratio: float = 1.0):
        super().__init__()
        width = trunk.shape[1]
        self.enter: nn.Module = nn.Identity()
        if ratio != 1.0:
            narrow = _times(width, ratio)
            self.enter = nn.Sequential(nn.Conv2d(width, narrow, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU())
            classifier = [m for layer in layers for m in layer.modules() if isinstance(m, nn.Linear)][-1:]
            layers = tuple(_resized(layer, ratio, classifier) for layer in layers)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x, outputs = self.enter(x), []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return tuple(outputs)


def _times(channels: int, ratio: float) -> int:
    return max(1, round(channels * ratio))


def _resized(module: nn.Module, ratio: float, classifier: list[nn.Linear]) -> nn.Module:
    """The module with all channel counts multiplied; new layers have new weights."""
    if isinstance(module, nn.Conv2d):
        groups = _times(module.groups, ratio) if module.groups > 1 else 1
        narrow: dict[str, Any] = {name: getattr(module, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        inputs, outputs = _times(module.in_channels, ratio), _times(module.out_channels, ratio)
        return nn.Conv2d(inputs, outputs, groups=groups, bias=module.bias is not None, **narrow)
    if isinstance(module, nn.BatchNorm2d):
        return nn.BatchNorm2d(_times(module.num_features, ratio))
    if isinstance(module, nn.Linear):
        outputs = module.out_features if module in classifier else _times(module.out_features, ratio)
        return nn.Linear(_times(module.in_features, ratio), outputs, module.bias is not None)
    if isinstance(module, PadShortcut):
        total = _times(module.before + module.after, ratio)
        module.before, module.after = total // 2, total - total // 2
    for name, child in list(module.named_children()):
        setattr(module, name, _resized(child, ratio, classifier))
    return module
