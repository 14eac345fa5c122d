"""Batch-norm of a frozen model folded into the convolution before it: the same answers to rounding, sooner."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from limbeck.errors import UserError
from limbeck.plan.copies import copied
from limbeck.plan.kinds import Batch, Value
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast, in_evaluation
from limbeck.plan.taps import Tap

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
TOLERANCE = {"cpu": 1e-4}  # largest difference that counts as rounding, relative to the largest answer
ELSEWHERE = 3e-3  # on accelerators, which may round the factors of a product


@dataclass(frozen=True)
class Folded:
    """A stand-in for a frozen role, how many layers it saves, and how far its answers lie from the role's own."""

    module: nn.Module
    layers: int
    difference: float


def fold(cast: Cast, role: str, batch: Batch, taps: Iterable[Tap]) -> Folded | None:
    """A copy of a frozen role with its batch-norms folded, or None where that cannot be done or checked.

    Which layer feeds which is seen in a forward pass, not read from code, so any control flow will do. The
    copy keeps all paths (a folded batch-norm becomes an identity); a convolution that is tapped itself stays. All
    tapped values of the copy are compared with the role's own on `batch`.
    """
    asked = [tap for tap in taps if tap.role == role]
    if not asked or any(tap.on not in batch for tap in asked):
        return None
    random = torch.get_rng_state()
    try:
        with in_evaluation(cast[role]), torch.no_grad():
            pairs = _pairs(cast, role, batch[asked[0].on], asked)
            if not pairs:
                return None
            twin = copied(cast[role], f"role {role!r}")
            for conv, norm in pairs:
                layer, after = twin.get_submodule(conv), twin.get_submodule(norm)
                assert isinstance(layer, CONVOLUTIONS) and isinstance(after, NORMS)
                _put(twin, conv, fuse_conv_bn_eval(layer, after))
                _put(twin, norm, nn.Identity())
            apart = _difference(cast, role, twin, batch, asked)
    except UserError:  # it cannot be copied: it runs as it is
        return None
    finally:
        torch.set_rng_state(random)
    on = next((p.device.type for p in cast[role].parameters()), "cpu")
    return Folded(twin.requires_grad_(False), len(pairs), apart) if apart <= TOLERANCE.get(on, ELSEWHERE) else None


def _pairs(cast: Cast, role: str, inputs: Value, taps: list[Tap]) -> list[tuple[str, str]]:
    """(convolution, batch-norm) by path, where the one's output is the other's input and both ran once."""
    kept = {tap.path for tap in taps if tap.path}
    made: dict[int, str] = {}
    alive: list[Tensor] = []  # so that no address is used twice
    found: list[tuple[str, str]] = []
    runs: dict[str, int] = {}
    hooks = []
    for path, module in cast[role].named_modules():
        if type(module) in CONVOLUTIONS and _plain(module):

            def after(_m: nn.Module, _args: object, out: Tensor, path: str = path) -> None:
                made[id(out)] = path
                alive.append(out)
                runs[path] = runs.get(path, 0) + 1

            hooks.append(module.register_forward_hook(after))
        elif type(module) in NORMS and _plain(module) and module.running_mean is not None:

            def before(_m: nn.Module, args: tuple[Value, ...], path: str = path) -> None:
                runs[path] = runs.get(path, 0) + 1
                if id(args[0]) in made:
                    found.append((made[id(args[0])], path))

            hooks.append(module.register_forward_pre_hook(before))
    try:
        cast.adapter_of(role).feed(cast[role], inputs)
    finally:
        for hook in hooks:
            hook.remove()
    before_norm = {tap.path for tap in taps if tap.io == "input"}
    return [(c, n) for c, n in found if runs[c] == runs[n] == 1 and c not in kept and n not in before_norm and c and n]


def _plain(layer: nn.Module) -> bool:
    """Whether a layer computes with its own parameters as they are: not parametrised, pruned, or watched by hooks."""
    own = all(getattr(layer, name) is layer._parameters.get(name) for name in ("weight", "bias"))
    return own and not layer._forward_hooks and not layer._forward_pre_hooks


def _put(module: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, layer)


def _difference(cast: Cast, role: str, twin: nn.Module, batch: Batch, taps: list[Tap]) -> float:
    """The largest difference of a tapped value, relative to the largest value of its tap."""
    own = observe(cast, batch, taps)
    cast.stand_ins[role] = twin
    try:
        other = observe(cast, batch, taps)
    except Exception:  # whatever the user's class raises: it runs as it is
        return float("inf")
    finally:
        del cast.stand_ins[role]
    worst = 0.0
    for tap in taps:
        a, b = own(tap), other(tap)
        if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape != b.shape:
            return float("inf")
        worst = max(worst, float((a - b).abs().max() / a.abs().max().clamp_min(1e-12)))
    return worst
