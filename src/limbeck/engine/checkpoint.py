"""Checkpoints: one safetensors file each, written aside and moved into place, checked by checksum.

Nothing is ever unpickled: tensors are tensors, all else is JSON in the file's header.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from limbeck.files import atomic_write
from limbeck.models.weights import checksum
from limbeck.plan.kinds import Value

KEEP = 2


def save(folder: Path, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Value]) -> Path:
    """Write `step-N.safetensors` whole or not at all, and keep the newest two."""
    flat = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    header = {"meta": json.dumps(meta), "checksum": str(checksum(flat))}
    path = folder / f"step-{step:09d}.safetensors"
    with atomic_write(path) as file:
        file.write(serialise(flat, metadata=header))
    for old in existing(folder)[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def existing(folder: Path) -> list[Path]:
    """Checkpoints of a folder, newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def load_newest(folder: Path, say: Callable[[str], None]) -> tuple[dict[str, Tensor], dict[str, Value]] | None:
    """The newest checkpoint that is whole; a damaged one is reported and passed over. None if there is none."""
    for path in existing(folder):
        try:
            with safe_open(path, framework="pt") as file:
                header = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a mapping
            if str(checksum(tensors)) != header["checksum"]:
                raise ValueError("checksum does not match")
            return tensors, json.loads(header["meta"])
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            say(f"checkpoint {path.name} is damaged ({error}); falling back to the one before")
    return None


def pack_optimizer(optimizer: torch.optim.Optimizer, prefix: str) -> tuple[dict[str, Tensor], dict[str, Value]]:
    """An optimiser's state as (tensors, JSON)."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, dict[str, Value]] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{prefix}/{index}/{key}"] = value
            else:
                numbers.setdefault(str(index), {})[key] = value
    return tensors, {"numbers": numbers, "groups": state["param_groups"]}


def unpack_optimizer(
    optimizer: torch.optim.Optimizer, prefix: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Value]
) -> None:
    """Undo `pack_optimizer` into a fresh optimiser over the same parameters."""
    state: dict[int, dict[str, Value]] = {int(k): dict(v) for k, v in meta["numbers"].items()}
    for name, value in tensors.items():
        if name.startswith(prefix + "/"):
            index, key = name[len(prefix) + 1 :].split("/", 1)
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": meta["groups"]})
