"""Several processes that train one run together (`torchrun`, `accelerate launch`): all compute, the first one writes."""

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from limbeck.errors import UserError

Made = TypeVar("Made")


def several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this process is the one that writes and prints; the only one always is."""
    return not several() or int(os.environ.get("RANK", "0")) == 0


def agreed(make: Callable[[], Made], *, cpu: bool) -> Made:
    """What the first process makes, in all of them. If it cannot (`UserError`), the others end quietly.

    cpu: whether the processes talk to one another on the CPU although there may be an accelerator.
    """
    if not several():
        return make()
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=cpu)
    said: list[Any] = [None, None]
    error: UserError | None = None
    if first():
        try:
            said = [make(), None]
        except UserError as refused:
            error, said = refused, [None, str(refused)]
    broadcast_object_list(said)
    if error is not None:
        raise error
    if said[1] is not None:
        sys.exit(2)
    return said[0]  # type: ignore[no-any-return]


def alone(command: str, instead: str) -> None:
    """Refuse to be started by torchrun. Raises `UserError`."""
    if several():
        raise UserError(f"{command} was started in several processes, which share the training of one run; {instead}")
