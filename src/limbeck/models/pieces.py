"""Students cut out of a network: fewer blocks of its repeated stacks, fewer channels, by themselves or by the network's name.

A piece of a model of transformers is a model of transformers: its configuration says how many layers it has, and how wide.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.errors import UserError, reason
from limbeck.models.inherit import hand_down, share_of
from limbeck.models.pretrained import of_transformers
from limbeck.models.stacks import Choice, Stack, keep_blocks, stacks
from limbeck.models.widths import brought_to, narrowed, sizes_of
from limbeck.plan.copies import copied
from limbeck.plan.roles import restarted

BATCHES = 10  # from which the statistics of a cut network are estimated again


def pieces(
    module: nn.Module,
    *,
    layers: int | None = None,
    depth: float | None = None,
    width: float | None = None,
    choose: Choice = "equal",
    probe: Sequence[Tensor] = (),
) -> nn.Module:
    """A copy of a network with fewer blocks or channels, with the weights of those that stay.

    Blocks are counted in each repeated stack: the containers of blocks of one class that the tree shows, such as the stages
    of a ResNet or the layers of a transformer. A block that halves or widens the map always stays.

    Args:
        layers: blocks of each stack, at least 1. depth: their share, 0 .. 1, in its place.
        width: share of the channels of every layer but the last. Of a model of transformers that of its hidden size, inner size
            and each head, with channels at equal distances; else those with the largest mean activation on the probe stay, which
            needs Torch-Pruning.
        choose: which blocks stay: at "equal" distances, the "first" or the "last" ones.
        probe: batches (n, ...) of inputs, for width; batch-norm's statistics are estimated again on them.

    Raises:
        UserError: nothing is asked for, there is no such stack, or it cannot be cut so.

    >>> net = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(6)))
    >>> len(pieces(net, layers=2)), len(pieces(net, depth=0.5))
    (2, 3)
    """
    kept = _kept(module, layers, depth, choose, width)
    if of_transformers(module):
        twin = _configured(module, kept, width)
        if share_of(hand_down(module, twin, choice=choose)) < 1:
            raise _not_said(module)
        return twin.train(module.training)
    twin = copied(module, "the network")
    for path, places in kept.items():
        keep_blocks(twin, path, places)
    if width is not None:
        if not probe:
            raise UserError("pieces: width needs probe=[inputs], on which channels are chosen by their mean activation")
        narrowed(twin, width, probe[0][:2], probe)
        estimate_again(twin, (twin(inputs) for inputs in probe))
    return twin.train(module.training)


def piece(
    classes: int,
    shape: tuple[int, ...],
    *,
    model: str,
    arguments: Mapping[str, object] | None = None,
    layers: int | None = None,
    depth: float | None = None,
    width: float | None = None,
    choose: Choice = "equal",
    sizes: Mapping[str, Sequence[int]] | None = None,
    parameters: int | None = None,
    size: int | str | None = None,
    latency: str | None = None,
) -> nn.Module:
    """The same by name, with random weights: what `--student pieces:layers=4` is built as, and rebuilt as without the teacher.

    Args:
        model: a name for `limbeck.models.build`, with `arguments`. layers, depth, width, choose: as for `pieces`.
        sizes: shapes that cutting the width led to, for who rebuilds it.
        parameters, size, latency: the budget that the cut was found for, which has no say here.
    """
    whole = build(model, classes, shape, arguments)
    kept = _kept(whole, layers, depth, choose, width)
    if of_transformers(whole):
        return _configured(whole, kept, width)
    for path, places in kept.items():
        keep_blocks(whole, path, places)
    if sizes:
        return brought_to(whole, sizes)
    return whole if width is None else restarted(narrowed(whole, width, torch.zeros(2, *shape)))


def with_sizes(arguments: Mapping[str, object], module: nn.Module, classes: int, shape: tuple[int, ...]) -> dict[str, object]:
    """The arguments of `piece` with the sizes that cutting the width led to, so that nothing is needed to rebuild it."""
    if "width" not in arguments or of_transformers(module):
        return dict(arguments)
    own: Any = {key: value for key, value in arguments.items() if key not in ("width", "sizes")}
    cut = "layers" in own or "depth" in own
    whole = piece(classes, shape, **own) if cut else build(own["model"], classes, shape, own["arguments"])
    return {**arguments, "sizes": sizes_of(module, whole)}


def build(model: str, classes: int, shape: tuple[int, ...], arguments: Mapping[str, object] | None) -> nn.Module:
    from limbeck import models

    return models.build(model, classes=classes, shape=shape, arguments=arguments)


def _kept(
    module: nn.Module, layers: int | None, depth: float | None, choose: Choice, width: float | None
) -> dict[str, list[int]]:
    if layers is not None and depth is not None:
        raise UserError("pieces: give either layers, the blocks of each stack, or depth, their share; as in pieces:layers=4")
    if layers is None and depth is None:
        if width is None:
            raise UserError("pieces: say how much: layers, depth or width; as in pieces:layers=4")
        return {}
    if depth is not None and not 0 < depth <= 1:
        raise UserError(f"pieces: depth is a share of the blocks above 0 and at most 1, not {depth:g}")
    if choose not in ("equal", "first", "last"):
        raise UserError(f"pieces: choose is equal, first or last, not {choose!r}")
    found = stacks(module)
    if not found:
        name = type(module).__name__
        raise UserError(
            f"pieces: {name} shows no repeated blocks (an nn.Sequential or ModuleList of equal ones); name another student"
        )
    return {stack.path: stack.keep(_count(stack, layers, depth), choose) for stack in found}


def _count(stack: Stack, layers: int | None, depth: float | None) -> int:
    return layers if layers is not None else max(stack.least, round((depth or 0) * stack.size))


def _configured(module: nn.Module, kept: Mapping[str, Sequence[int]], width: float | None) -> nn.Module:
    """A model of transformers of the same class with random weights, whose configuration has that many layers, so wide."""
    own: Any = module
    config = copy.deepcopy(own.config)
    if width is not None:
        _say_width(config, width, type(module).__name__)
    sizes = {path: len(list(module.get_submodule(path).children())) for path in kept}
    depths = getattr(config, "depths", None)
    if isinstance(depths, list | tuple) and list(depths) == list(sizes.values()):
        config.depths = [len(places) for places in kept.values()]
    for path, places in kept.items():
        _say_layers(config, sizes[path], places)
    try:
        twin: Any = type(own)(config)
    except Exception as error:  # a configuration that does not fit together
        raise UserError(f"pieces: {type(module).__name__} cannot be made with fewer layers ({reason(error)[:120]})") from error
    if any(len(list(twin.get_submodule(path).children())) != len(places) for path, places in kept.items()):
        raise _not_said(module)
    if hasattr(own, "generation_config"):
        twin.generation_config = copy.deepcopy(own.generation_config)
    made: nn.Module = twin.to(next(module.parameters()).dtype)
    return made


def _not_said(module: nn.Module) -> UserError:
    name = type(module).__name__
    return UserError(
        f"pieces: the configuration of {name} does not say how many layers it has; build a smaller one by its settings"
    )


def _say_width(config: Any, width: float, name: str) -> None:
    """Hidden size, inner size and size of a head in a configuration; heads stay as many, and get narrower."""
    if not 0 < width < 1:
        raise UserError(f"pieces: width is a share of the channels above 0 and below 1, not {width:g}")
    known = {key: getattr(config, key, None) for key in ("hidden_size", "intermediate_size", "head_dim")}
    heads = getattr(config, "num_attention_heads", None)
    if type(known["hidden_size"]) is not int or type(heads) is not int:
        raise UserError(f"pieces: the configuration of {name} does not say how wide it is; build a narrower one by its settings")
    for key, value in known.items():
        if type(value) is int:
            step = heads if key == "hidden_size" else 1
            setattr(config, key, max(step, round(value * width / step) * step))


def _say_layers(config: Any, size: int, places: Sequence[int]) -> None:
    """Numbers of layers, and lists with an entry for each, in a configuration and those inside it."""
    for key, value in list(vars(config).items()):
        if hasattr(value, "model_type") and hasattr(value, "to_dict"):
            _say_layers(value, size, places)
        elif "layer" not in key or key.startswith("_"):
            continue
        elif type(value) is int and value == size:
            setattr(config, key, len(places))
        elif isinstance(value, list | tuple) and len(value) == size:
            setattr(config, key, type(value)(value[k] for k in places))


def estimate_again(module: nn.Module, answers: Iterable[object]) -> None:
    """Estimate batch-norm's statistics anew, as the mean over some batches; nothing where there is none.

    answers: forwards of the module, each made as it is asked for.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats]
    if not norms:
        return
    before, modes = [norm.momentum for norm in norms], [(part, part.training) for part in module.modules()]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    with torch.no_grad():
        for _ in answers:
            pass
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    for part, mode in modes:
        part.training = mode
