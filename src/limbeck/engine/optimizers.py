"""torch's optimisers without its compiler, which they load only to keep out of it: the same bits, and a command that begins a
second and a half sooner."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


def bare(method: Callable[..., Any]) -> Callable[..., Any]:
    """What a method of an optimiser was before it was wrapped for the compiler and the profiler."""
    return inspect.unwrap(method)


class _Bare(Optimizer):
    """Before an optimiser of torch in the order of its bases; never compiled."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        bare(Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        bare(Optimizer.zero_grad)(self, set_to_none)

    def state_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = bare(Optimizer.state_dict)(self)
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        bare(Optimizer.load_state_dict)(self, state_dict)

    def step(self, closure: Any = None) -> Any:
        above = next(kind for kind in type(self).__mro__ if kind.__module__.startswith("torch.") and "step" in vars(kind))
        with torch.no_grad():
            return bare(vars(above)["step"])(self, closure)


class SGD(_Bare, torch.optim.SGD):
    """`torch.optim.SGD`."""


class Adam(_Bare, torch.optim.Adam):
    """`torch.optim.Adam`."""


class AdamW(_Bare, torch.optim.AdamW):
    """`torch.optim.AdamW`."""
