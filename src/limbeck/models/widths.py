"""Fewer channels in every layer of a network, by the graph of what depends on what (Torch-Pruning: Fang et al. 2023,
https://arxiv.org/abs/2301.12900); and a network brought to such sizes again without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.errors import UserError, reason
from limbeck.models.inherit import own_tensors
from limbeck.plan.copies import flags_kept

KINDS = (nn.modules.conv._ConvNd, nn.Linear)


def narrowed(module: nn.Module, width: float, example: Tensor, probe: Iterable[Tensor] = ()) -> nn.Module:
    """Take channels out of all layers but the last, in place; a group of layers that hang together loses the same ones.

    Args:
        width: share of the channels that stay, above 0 and below 1. example: (n, ...) inputs to follow through the network.
        probe: batches of inputs; the channels with the largest mean activation stay. Without it the last ones do, which is as
            good as any where weights are random.

    Raises:
        UserError: Torch-Pruning is not installed, or cannot follow this network.
    """
    if not 0 < width < 1:
        raise UserError(f"pieces: width is a share of the channels above 0 and below 1, not {width:g}")
    try:
        import torch_pruning
    except ImportError:
        raise UserError('cutting widths needs Torch-Pruning; run: pip install "limbeck[prune]"') from None
    with flags_kept([module]):
        module.requires_grad_(True).eval()
        answer, last = _ends(module, example)
        means = _mean_activations(module, probe)
        try:
            pruner = torch_pruning.pruner.BasePruner(
                module, example, importance=_Mean(means), pruning_ratio=1 - width, ignored_layers=last
            )
            pruner.step()
            after = module(example)
        except Exception as error:  # operations that it does not know, shapes that no longer fit
            raise UserError(f"pieces: the widths of {type(module).__name__} cannot be cut ({reason(error)[:150]})") from error
    if not isinstance(after, Tensor) or after.shape != answer.shape:
        raise UserError(f"pieces: cutting the widths of {type(module).__name__} would cut its outputs, too; name another student")
    return module


def _ends(module: nn.Module, example: Tensor) -> tuple[Tensor, list[nn.Module]]:
    """What a network answers, and the layers that give it."""
    given: dict[int, nn.Module] = {}
    hooks = [
        part.register_forward_hook(lambda part, _, out: given.__setitem__(id(out), part))
        for part in module.modules()
        if isinstance(part, KINDS)
    ]
    try:
        with torch.no_grad():
            answer = module(example)
    except Exception as error:
        raise UserError(
            f"pieces: {type(module).__name__} cannot be asked to have its widths cut ({reason(error)[:150]})"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return answer, [given[id(answer)]] if id(answer) in given else []


def _mean_activations(module: nn.Module, probe: Iterable[Tensor]) -> dict[nn.Module, Tensor]:
    """The mean absolute output of each layer's channels over a probe: (c,)."""
    found: dict[nn.Module, Tensor] = {}

    def add(part: nn.Module, _: object, out: Tensor) -> None:
        channels = 1 if isinstance(part, nn.modules.conv._ConvNd) else out.dim() - 1
        mean = out.detach().abs().float().mean([d for d in range(out.dim()) if d != channels])
        found[part] = found.get(part, torch.zeros_like(mean)) + mean

    hooks = [part.register_forward_hook(add) for part in module.modules() if isinstance(part, KINDS)]
    try:
        with torch.no_grad():
            for inputs in probe:
                module(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


class _Mean:
    """How much a group's channels matter: their mean activation over the layers that give them, each on the scale of its own."""

    def __init__(self, means: Mapping[nn.Module, Tensor]):
        self.means = means

    def __call__(self, group: Any, **_: object) -> Tensor:
        total = torch.zeros(len(group[0][1]))
        for dependency, places in group:
            mean = self.means.get(dependency.target.module)
            if mean is not None and "out" in getattr(dependency.handler, "__name__", "") and len(places) == len(total):
                total = total + (mean / mean.mean().clamp_min(1e-12)).cpu()[list(places)]
        return total if total.any() else torch.arange(len(total), dtype=torch.float32)


def sizes_of(module: nn.Module, whole: nn.Module) -> dict[str, list[int]]:
    """The shapes of the tensors that are smaller than in the whole network."""
    before = whole.state_dict()
    return {name: list(t.shape) for name, t in module.state_dict().items() if name in before and t.shape != before[name].shape}


def brought_to(module: nn.Module, sizes: Mapping[str, Sequence[int]]) -> nn.Module:
    """A network whose tensors get these shapes, in place, with values still to come.

    Raises `UserError` where a layer is of a kind that has no such sizes.
    """
    for path, part in module.named_modules():
        own = {key: sizes[name] for key in own_tensors(part) if (name := f"{path}.{key}" if path else key) in sizes}
        if not own:
            continue
        groups = getattr(part, "groups", 1)
        depthwise = groups > 1 and groups == getattr(part, "in_channels", 0)
        for key, shape in own.items():
            old = own_tensors(part)[key]
            new = old.detach().new_zeros(tuple(shape))
            setattr(part, key, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)
        _say_sizes(part, depthwise)
    return module


def _say_sizes(part: Any, depthwise: bool) -> None:
    if isinstance(part, nn.modules.conv._ConvNd) and not part.transposed:
        part.out_channels = part.weight.shape[0]
        part.groups = part.out_channels if depthwise else part.groups
        part.in_channels = part.weight.shape[1] * part.groups
    elif isinstance(part, nn.Linear):
        part.out_features, part.in_features = part.weight.shape
    elif isinstance(part, nn.modules.batchnorm._BatchNorm):
        part.num_features = part.weight.shape[0]
    elif isinstance(part, nn.LayerNorm):
        part.normalized_shape = tuple(part.weight.shape)
    else:
        raise UserError(
            f"pieces: a layer of class {type(part).__name__} cannot be brought to other sizes; rebuild the student anew"
        )
