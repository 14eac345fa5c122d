"""A role compiled together with its taps: hooks first, then `torch.compile`, for hooks added later never fire."""

from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from limbeck.errors import UserError
from limbeck.plan.kinds import Value
from limbeck.plan.observe import first_input
from limbeck.plan.roles import submodule
from limbeck.plan.taps import Tap


class Compiled(nn.Module):
    """Calls a module as compiled code and keeps what its taps read in that call.

    The taps' hooks are part of the compiled code; they are removed by `release`, and the module is as it was.
    """

    def __init__(self, module: nn.Module, taps: Iterable[Tap], role: str):
        super().__init__()
        self.module, self.training_then = module, module.training
        self.kept: dict[tuple[str, str], Value] = {}
        self.inner = dict.fromkeys(tap for tap in taps if tap.path)
        self._handles = []
        for tap in self.inner:
            if tap.call is not None:
                raise UserError(
                    f"tap {tap} reads one of several calls, which compiled code cannot distinguish; set compile = false"
                )
            self._handles.append(self._hook(submodule(module, tap.path, role), (tap.path, tap.io)))
        self._run = torch.compile(self._whole)

    def _hook(self, layer: nn.Module, key: tuple[str, str]) -> RemovableHandle:
        if key[1] == "input":

            def before(layer: nn.Module, args: tuple[Value, ...], kwargs: Mapping[str, Value]) -> None:
                self.kept[key] = first_input(layer, args, kwargs)

            return layer.register_forward_pre_hook(before, with_kwargs=True)

        def after(_m: nn.Module, _args: object, output: Value) -> None:
            self.kept[key] = output

        return layer.register_forward_hook(after)

    def _whole(self, *args: Value, **kwargs: Value) -> tuple[Value, dict[tuple[str, str], Value]]:
        output = self.module(*args, **kwargs)
        return output, dict(self.kept)

    def forward(self, *args: Value, **kwargs: Value) -> Value:
        output, self.kept = self._run(*args, **kwargs)
        return output

    def serves(self, taps: Iterable[Tap]) -> bool:
        """Whether these taps are in the compiled code, and the module is in the mode it was compiled for."""
        return self.module.training == self.training_then and all(tap in self.inner for tap in taps if tap.path)

    def read(self, tap: Tap) -> Value:
        """What a tap read in the last call."""
        return self.kept[tap.path, tap.io]

    def release(self) -> None:
        """Take the hooks off the module."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.kept = {}
