"""Networks by name, and their weights.

Every built-in classifier has the children `layer1`, `layer2`, `layer3` (its stages), `pool` (giving the (n, d)
embedding) and `linear` (the classifier): where distillation methods tap by default. Networks for segmentation (`unet`,
`fcn`, `fcn_mobile`) and detection (`detector`, `detector_mobile`) have `layer1`, `layer2`, `layer3` and `head`.
"""

import contextlib
import operator
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from limbeck.errors import UserError, unknown
from limbeck.files.programs import is_address
from limbeck.files.saved import folder_of
from limbeck.models import zoo
from limbeck.models.weights import load_weights, save_weights
from limbeck.plan.copies import flags_kept

__all__ = [
    "build",
    "load_weights",
    "names",
    "save_weights",
]


def names() -> list[str]:
    """Return the names of the built-in networks, sorted; any `wrn_DEPTH_WIDTH` works besides.

    >>> "resnet20" in names()
    True
    """
    return sorted(zoo.ZOO)


def build(name: str, *, classes: int, shape: Sequence[int], arguments: Mapping[str, object] | None = None) -> nn.Module:
    """Build a network: built in, from any Python package, from transformers or from timm.

    Weights are drawn from torch's global generator, so seed it before for a repeatable network.

    Args:
        name: a name of `names()`; a path that ends in `.onnx` (a frozen role, see `black_box`);
            `package.module:factory` (a function, a class or a module instance, which is
            copied); a folder that transformers saved; `transformers:NAME` (a model type such as `vit`, a configuration class, a
            folder or a model name); `timm:NAME`.
        classes: number of classes, at least 2.
        shape: of one input, without the batch: (channels, height, width) or (features,).
        arguments: keyword arguments for the factory.

    Raises:
        UserError: the name, an argument, the shape or the result cannot be used.

    >>> sum(p.numel() for p in build("resnet20", classes=10, shape=(3, 32, 32)).parameters())
    269722
    """
    shape, arguments = tuple(shape), dict(arguments or {})
    try:
        classes = operator.index(classes)
        shape = tuple(operator.index(s) for s in shape)
    except TypeError as error:
        raise UserError(f"model {name!r}: classes and shape must be whole numbers, got {classes!r} and {shape!r}") from error
    if classes < 1 or not shape or min(shape) < 1:
        raise UserError(
            f"model {name!r}: needs at least 1 class or number to answer and a shape of positive sizes, got {classes} and {shape}"
        )
    factory = zoo.factory(name)
    if factory is not None:
        return zoo.make(name, factory, classes, shape, arguments)
    if is_address(name):
        raise UserError(f"{name[:80]} is asked about samples of data, which are not known here; name it as the teacher of a run")
    if name.endswith(".onnx"):
        from limbeck.models import black_box

        if set(arguments) - {"outputs"}:
            raise unknown(f"argument of {name}", min(set(arguments) - {"outputs"}), ["outputs"])
        return black_box.onnx_file(name, classes, shape, arguments.get("outputs", "auto"))  # type: ignore[arg-type]
    if ":" not in name and folder_of(name) is None:
        hint = "a model of your own is named package.module:factory"
        if "/" in name:
            raise UserError(
                f"model {name[-100:]!r}: there is no such folder with a config.json; a hub's is transformers:OWNER/NAME"
            )
        raise unknown("model", name, names(), hint)
    from limbeck.models import outside  # only here: nothing else may need an extra

    module = outside.build(name, classes, shape, arguments)
    if any(nn.parameter.is_lazy(t) for t in (*module.parameters(), *module.buffers())):
        with flags_kept([module]), torch.no_grad(), contextlib.suppress(Exception):  # it may take other inputs than these
            module.eval()(torch.zeros(2, *shape))
    return module
