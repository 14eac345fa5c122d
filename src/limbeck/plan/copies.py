"""Modules as their maker left them: copied, with what was frozen in them, and given back with the flags that they came with."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.errors import UserError, reason


@dataclass(frozen=True)
class AsGiven:
    """What must stay still in a role while it is trained, by the names of its parameters and layers.

    frozen: parameters that came with requires_grad = False. resting: layers that came in evaluation mode, where the role as
    a whole came in training mode or all parameters of the layer are frozen: a network that was merely given in evaluation mode
    is trained as a whole.
    """

    frozen: frozenset[str] = frozenset()
    resting: frozenset[str] = frozenset()

    @staticmethod
    def of(module: nn.Module) -> "AsGiven":
        frozen = {name for name, p in module.named_parameters(remove_duplicate=False) if not p.requires_grad}
        parts = {name: part for name, part in module.named_modules(remove_duplicate=False) if not part.training}
        return AsGiven(frozenset(frozen), frozenset(name for name, part in parts.items() if module.training or _still(part)))

    def parameters(self, module: nn.Module) -> list[nn.Parameter]:
        """Those of the module's parameters that are frozen."""
        return [p for name, p in module.named_parameters(remove_duplicate=False) if name in self.frozen]

    def rest(self, module: nn.Module) -> None:
        """Put the layers that rest back into evaluation mode."""
        for name, part in module.named_modules(remove_duplicate=False) if self.resting else ():
            if name in self.resting:
                part.training = False

    @contextmanager
    def unchanged(self, module: nn.Module) -> Iterator[None]:
        """Whatever happens to the module inside, its frozen parameters and the buffers of resting layers keep their values."""
        parts = dict(module.named_modules(remove_duplicate=False))
        held = [*self.parameters(module), *(b for name in self.resting for b in parts[name].buffers(recurse=False))]
        values = [tensor.detach().clone() for tensor in held]
        yield
        with torch.no_grad():
            for tensor, value in zip(held, values, strict=True):
                tensor.copy_(value)


def _still(part: nn.Module) -> bool:
    parameters = list(part.parameters())
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def copied(module: nn.Module, who: str, same: Iterable[nn.Module] = ()) -> nn.Module:
    """A deep copy, also of modules that keep computed tensors as attributes (weight norm, pruning); `same` are not copied.

    Raises:
        UserError: something in it cannot be copied.
    """
    kept = [(part, name, value) for part in module.modules() for name, value in vars(part).items() if _computed(value)]
    try:
        for part, name, value in kept:
            vars(part)[name] = value.detach() if isinstance(value, Tensor) else [t.detach() for t in value]
        with torch.no_grad():  # or what TorchScript copies is computed from its original
            twin = copy.deepcopy(module, {id(part): part for part in same})
        for mine, its in zip(module.parameters(), twin.parameters(), strict=True):
            its.requires_grad_(mine.requires_grad)
        return twin
    except Exception as error:  # whatever a class of the user's raises
        raise UserError(f"{who} cannot be copied ({reason(error)}); give it a __deepcopy__, or Adapter(factory=...)") from error
    finally:
        for part, name, value in kept:
            vars(part)[name] = value


def _computed(value: object) -> bool:
    if isinstance(value, Tensor):
        return not value.is_leaf
    return isinstance(value, list) and all(isinstance(t, Tensor) for t in value) and any(not t.is_leaf for t in value)


@contextmanager
def flags_kept(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Whatever happens inside, afterwards every parameter collects gradients and lies in memory, and every layer is in the mode,
    as before."""
    given = list(modules)
    gradients = [(p, p.requires_grad, not nn.parameter.is_lazy(p) and p.is_contiguous()) for m in given for p in m.parameters()]
    modes = [(part, part.training) for module in given for part in module.modules()]
    try:
        yield
    finally:
        for parameter, flag, contiguous in gradients:
            parameter.requires_grad_(flag)
            if contiguous and not parameter.is_contiguous():
                parameter.data = parameter.data.contiguous()
        for part, mode in modes:
            part.training = mode


@contextmanager
def state_kept(module: nn.Module) -> Iterator[None]:
    """Whatever a forward pass does inside to buffers (statistics, banks) and plain attributes (counters), they are as before to
    the bit afterwards."""
    attributes = [(part, dict(vars(part))) for part in module.modules()]
    kept = [
        (part, name, buffer, buffer.detach().clone())
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        for part, before in attributes:
            vars(part).clear()
            vars(part).update(before)
        with torch.no_grad():
            for part, name, buffer, value in kept:
                part._buffers[name] = buffer
                if not torch.equal(buffer, value):
                    buffer.copy_(value)
