"""The built-in networks by name: a name is a factory of (classes, shape, **arguments), nothing more."""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from limbeck.errors import UserError, reason, unknown
from limbeck.models.dense import UNet, fcn, fcn_mobile
from limbeck.models.detect import detector, detector_mobile
from limbeck.models.gp import GaussianProcess
from limbeck.models.mobile import MobileNetV2, ShuffleNetV2
from limbeck.models.resnet import cifar_resnet, resnet18, resnet_x4
from limbeck.models.seq2seq import Seq2Seq
from limbeck.models.sequences import TDNN, Recurrent
from limbeck.models.small import CNN, MLP
from limbeck.models.tree import Tree
from limbeck.models.vgg import VGG
from limbeck.models.wrn import WideResNet

Factory = Callable[..., nn.Module]

ZOO: Mapping[str, Factory] = {
    "cnn": CNN,
    "gp": GaussianProcess,
    "detector": detector,
    "detector_mobile": detector_mobile,
    "fcn": fcn,
    "fcn_mobile": fcn_mobile,
    "gru": partial(Recurrent, cell="gru"),
    "lstm": partial(Recurrent, cell="lstm"),
    "mlp": MLP,
    "mobilenetv2": MobileNetV2,
    "resnet8": partial(cifar_resnet, depth=8),
    "resnet14": partial(cifar_resnet, depth=14),
    "resnet20": partial(cifar_resnet, depth=20),
    "resnet32": partial(cifar_resnet, depth=32),
    "resnet44": partial(cifar_resnet, depth=44),
    "resnet56": partial(cifar_resnet, depth=56),
    "resnet110": partial(cifar_resnet, depth=110),
    "resnet8x4": partial(resnet_x4, depth=8),
    "resnet32x4": partial(resnet_x4, depth=32),
    "resnet18": resnet18,
    "seq2seq": Seq2Seq,
    "shufflenetv2": ShuffleNetV2,
    "vgg8": partial(VGG, depth=8),
    "vgg11": partial(VGG, depth=11),
    "vgg13": partial(VGG, depth=13),
    "vgg16": partial(VGG, depth=16),
    "tdnn": TDNN,
    "tree": Tree,
    "unet": UNet,
    "wrn_16_1": partial(WideResNet, depth=16, width=1),
    "wrn_16_2": partial(WideResNet, depth=16, width=2),
    "wrn_40_1": partial(WideResNet, depth=40, width=1),
    "wrn_40_2": partial(WideResNet, depth=40, width=2),
}


MANY, LARGEST, MOST = 8, 10**5, 10**9  # times a default, beyond which it is counted first; of an argument; of parameters


def _numbers(arguments: Mapping[str, object]) -> list[tuple[str, float]]:
    return [(key, value) for key, value in arguments.items() if isinstance(value, int | float)]


def factory(name: str) -> Factory | None:
    """Return the factory of a built-in network, also of any `wrn_DEPTH_WIDTH` up to 999 and 99; None where there is none."""
    if name in ZOO:
        return ZOO[name]
    wide = re.fullmatch(r"wrn[_-](\d{1,3})[_-](\d{1,2})", name)
    return partial(WideResNet, depth=int(wide[1]), width=int(wide[2])) if wide else None


def make(name: str, make_it: Factory, classes: int, shape: tuple[int, ...], arguments: Mapping[str, object]) -> nn.Module:
    """Call a factory of the zoo; an argument it does not have is refused with the closest it has."""
    signature = inspect.signature(make_it).parameters
    fixed = make_it.keywords if isinstance(make_it, partial) else {}
    allowed = {k: p for k, p in signature.items() if k not in ("classes", "shape") and k not in fixed}
    for key, value in arguments.items():
        given: Any = value
        if key not in allowed:
            raise unknown(f"argument of model {name}", key, allowed)
        kind = type(allowed[key].default)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not abs(given) <= LARGEST or (kind is int and given != int(given)):
            raise UserError(f"{name}: {key} must be a number like {allowed[key].default!r}, got {value!r}")
    try:
        unusual = any(abs(given) > MANY * max(1, allowed[key].default) for key, given in _numbers(arguments))
        if unusual or name not in ZOO:
            with torch.device("meta"):  # nothing is allocated: only counted
                count = sum(p.numel() for p in make_it(classes, shape, **arguments).parameters())
            if count > MOST:
                raise UserError(f"{name}: {count:,} parameters are more than {MOST:,}; make it smaller")
        return make_it(classes, shape, **arguments)
    except UserError:
        raise
    except Exception as error:  # of numbers that a layer does not take
        given = ", ".join(f"{key} = {value}" for key, value in arguments.items()) or f"{classes} classes"
        raise UserError(f"{name}: cannot be made with {given} for inputs {tuple(shape)} ({reason(error)})") from error
