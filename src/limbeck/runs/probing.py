"""What a network bears, tried on one batch before anything is trained: memory layout, lazy layers, shared weights."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from limbeck.data import Data
from limbeck.data.batches import gather
from limbeck.engine.check import in_training, quiet
from limbeck.errors import UserError, reason
from limbeck.plan.copies import copied
from limbeck.plan.kinds import Value
from limbeck.plan.roles import Cast

SAME = 1e-3  # largest difference that counts as rounding, relative to the largest answer


def build_lazy(cast: Cast, role: str, inputs: Value, seed: int) -> None:
    """Give layers that take their sizes from the first batch their weights, drawn from the seed.

    Raises `UserError` if they cannot be built from these inputs.
    """
    if not lazy(cast[role]):
        return
    with quiet(cast), torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        try:
            cast.feed(role, inputs)
        except Exception as error:  # code of the user's
            raise UserError(
                f"role {role!r}: its lazy layers cannot be built from a batch of the data ({reason(error)})"
            ) from error
    if lazy(cast[role]):
        raise UserError(f"role {role!r} has lazy layers that its forward does not use; remove them, or give their sizes")


def answers(cast: Cast, role: str, inputs: Value) -> bool:
    """Whether a role can be asked this at all."""
    try:
        with quiet(cast), torch.random.fork_rng(devices=[]), torch.no_grad():
            cast.feed(role, inputs)
    except Exception:  # code of the user's
        return False
    return True


def holds_whole(data: Data) -> bool:
    """Whether inputs are whole numbers, and neither 8-bit images nor texts."""
    found = data["train"].inputs
    first = found if isinstance(found, Tensor) else gather(data["train"], torch.tensor([0]))
    return isinstance(first, Tensor) and first.dtype in (torch.int16, torch.int32, torch.int64) and data.kind != "text"


def lazy(module: nn.Module) -> bool:
    """Whether layers of it still wait for their sizes."""
    return any(nn.parameter.is_lazy(t) for t in (*module.parameters(), *module.buffers()))


def keeps_its_own(cast: Cast, changed: Iterable[str]) -> list[str]:
    """A role that nothing changes gets a copy of itself where it shares weights with one that is trained; said in words."""
    learning = {t.untyped_storage().data_ptr() for role in changed for t in _tensors(cast[role])}
    notes = []
    for role in [name for name in cast if name not in set(changed)]:
        common = sum(t.untyped_storage().data_ptr() in learning for t in _tensors(cast[role]))
        if common:
            cast.add(role, copied(cast[role], f"role {role!r}, which shares weights with a role that is trained,"))
            notes.append(
                f"{role} shares {common} tensors with a role that is trained, and keeps a copy of them as they were given"
            )
    return notes


def _tensors(module: nn.Module) -> list[Tensor]:
    return [t for t in (*module.parameters(), *module.buffers()) if t.numel()]


def bears_channels_last(cast: Cast, role: str, inputs: Value, *, trains: bool) -> bool:
    """Whether a role answers the same to rounding, and trains, with images in channels-last memory; it is left as it was."""
    adapter = cast.adapter_of(role)
    try:
        with quiet(cast), torch.no_grad():
            plain = adapter.find_logits(cast.feed(role, inputs), role)
            cast.lay_out([role])
            other = cast.adapter_of(role).find_logits(cast.feed(role, inputs), role)
        if trains:
            with in_training(cast, (role,)), torch.enable_grad():
                answer = cast.adapter_of(role).find_logits(cast.feed(role, inputs), role)
                if answer.requires_grad:
                    torch.autograd.grad(answer.float().sum(), cast.trainable((role,)), allow_unused=True)
    except Exception:  # whatever the user's class raises: without
        return False
    finally:
        cast.adapters[role] = adapter
        cast[role].to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    apart = (
        (plain.float() - other.float()).abs().max() if plain.shape == other.shape and plain.numel() else torch.tensor(torch.inf)
    )
    return bool(apart <= SAME * plain.float().abs().max().clamp_min(1e-6))
