"""Weights in and out: safetensors, or a state_dict file read without running any code in it."""

import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.files import atomic_write

_CONTAINERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def load_weights(
    module: nn.Module, path: str | os.PathLike[str], *, who: str = "student", head: str = "", headless: str = ""
) -> list[str]:
    """Fill `module` from a file, all of it or nothing.

    Read are safetensors and torch files that hold tensors only (never code). A dictionary around the tensors
    (`state_dict`, `model_state_dict`, `model`, `net`) is opened, the prefixes `module.`, `_orig_mod.` and `model.`
    are dropped where that makes the names fit, counters of batch normalisation and tied weights may be absent. Of a
    run's own files (`student.safetensors`, `weights/teacher.safetensors`) the part of this role is taken.

    Args:
        module: the network to fill, in place; its types and devices stay.
        path: the file.
        who: the role that the errors name.
        head: path of a layer that `module` lacks and the file may have, which is left out.
        headless: path of a layer of `module` that keeps its weights where the file is of the network without it.

    Returns:
        What was done to make it fit, a sentence each; empty where it fitted as it was.

    Raises:
        UserError: no such file, not a weights file, weights of another network, or not finite.
    """
    file = Path(path)
    found, notes = _opened(_read(file, who), file, who)
    wanted = module.state_dict()
    state, stripped = _fit(found, wanted)
    if not stripped and not any(k in wanted for k in state):
        state, role = _of_a_run(state, wanted, who)
        notes += [f"took the weights of role {role!r} in {file.name}"] if role else []
    if stripped:
        notes.append(f"dropped the prefix {stripped!r} from the names in {file.name}")
    left = [key for key in state if head and key not in wanted and key.startswith(f"{head}.")]
    if left:
        state = {key: value for key, value in state.items() if key not in left}
        notes.append(f"the head {head!r} in {file.name} was left out")
    own = [key for key in wanted if headless and key.startswith(f"{headless}.")]
    if own and not any(key in state for key in own):
        state = {**state, **{key: wanted[key] for key in own}}
        notes.append(f"{file.name} is of the network without its head {headless!r}, which is drawn at random")
    _same_network(module, wanted, state, f"{who}: {file}")
    parameters = dict(module.named_parameters(remove_duplicate=False))
    bad = [k for k, v in state.items() if k in parameters and not torch.isfinite(v).all()]
    if bad:
        raise UserError(f"{who}: {file} holds values that are not finite in {', '.join(bad[:4])}; give undamaged weights")
    module.load_state_dict(state, strict=False)
    return notes


def _same_network(module: nn.Module, wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], who: str) -> None:
    missing = _missing(module, wanted, state)
    unexpected = [k for k in state if k not in wanted]
    other = [k for k in state if k in wanted and state[k].shape != wanted[k].shape]
    if missing or unexpected or other:
        shapes = [f"{k} {tuple(state[k].shape)} where {tuple(wanted[k].shape)} is needed" for k in other]
        raise UserError(
            f"{who} holds weights of another network ({_some('missing', missing)}; "
            f"{_some('unexpected', unexpected)}; {_some('of another shape', shapes)}); "
            "give the file of this network, or the model and arguments it was made with"
        )


def save_weights(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write the parameters and buffers of `module` as safetensors; the file appears whole or not at all.

    Tied tensors are written once. Raises UserError where the folder cannot be written to or the disk is full.
    """
    kept: dict[str, Tensor] = {}
    for group in _ties(module):
        kept[group[0]] = module.state_dict()[group[0]]
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in kept.items()}
    with atomic_write(path) as out:
        for part in _in_order(safetensors.torch.save(tensors, metadata={"format": "pt", "checksum": str(checksum(tensors))})):
            out.write(part)


def _in_order(content: bytes) -> tuple[bytes, bytes, memoryview]:
    """A safetensors file in pieces, its metadata sorted: the library writes them in another order each time."""
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(text) <= end - 8, "the same words in another order"
    return content[:8], text.ljust(end - 8), memoryview(content)[end:]


def checksum(tensors: Mapping[str, Tensor]) -> int:
    """A checksum of names and values."""
    total = 0
    for key in sorted(tensors):
        raw = tensors[key].detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        total = zlib.crc32(raw.numpy().tobytes(), zlib.crc32(key.encode(), total))
    return total


def _safetensors(file: Path, who: str) -> dict[str, Tensor]:
    """The tensors of a file; one of ours is compared with the checksum in it."""
    with safetensors.safe_open(file, framework="pt") as opened:
        found = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  not a mapping
        expected = (opened.metadata() or {}).get("checksum")
    if expected is not None and expected != str(checksum(found)):
        raise UserError(f"{who}: {file} is damaged: its checksum does not match; take it from a copy, or make the run again")
    return found


def _read(file: Path, who: str) -> Any:
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise UserError(f"{who}: the weights file {file} {what}; give a .safetensors file or a torch state_dict file")
    try:
        with file.open("rb") as opened:
            head = opened.read(9)
        if file.suffix == ".safetensors" or head[8:9] == b"{":
            return _safetensors(file, who)
        return torch.load(file, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        if not _pickled(file, head):
            raise _damaged(file, who) from error
        raise UserError(
            f"{who}: {file} holds Python objects besides tensors, and loading those would run code; "
            "convert it where it was made: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
        ) from error
    except (
        safetensors.SafetensorError,
        EOFError,
        RuntimeError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
    ) as error:
        raise _damaged(file, who) from error


def _pickled(file: Path, head: bytes) -> bool:
    return head[:1] == b"\x80" or zipfile.is_zipfile(file)


def _damaged(file: Path, who: str) -> UserError:
    return UserError(f"{who}: {file} is not a weights file, or damaged; give a .safetensors file or a torch state_dict file")


def _opened(loaded: Any, file: Path, who: str) -> tuple[dict[str, Tensor], list[str]]:
    """Find the tensors inside the usual dictionaries around them."""
    notes: list[str] = []
    for _ in range(3):
        if not isinstance(loaded, Mapping):
            break
        if loaded and all(isinstance(v, Tensor) for v in loaded.values()):
            return {str(k): v for k, v in loaded.items()}, notes
        inner = next((k for k in _CONTAINERS if isinstance(loaded.get(k), Mapping)), None)
        if inner is None:
            break
        notes.append(f"took the weights under {inner!r} in {file.name}")
        loaded = loaded[inner]
    keys = f"the entries {', '.join(map(repr, list(loaded)[:6]))}" if isinstance(loaded, Mapping) else type(loaded).__name__
    raise UserError(
        f"{who}: {file} holds {keys if loaded else 'nothing'}, where names with tensors were expected; "
        "save model.state_dict() itself or under 'state_dict'"
    )


def _fit(found: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Strip the prefixes whose removal matches most names; the fewest where it makes no difference."""
    best, best_chain = found, ""
    best_score = sum(k in wanted for k in found)
    trail = [(found, "")]
    for _ in range(3):
        trail = [(_strip(s, p), c + p) for s, c in trail for p in _PREFIXES if any(k.startswith(p) for k in s)]
        for state, chain in trail:
            score = sum(k in wanted for k in state)
            if score > best_score and len(state) == len(found):
                best, best_chain, best_score = state, chain, score
    return best, best_chain


def _of_a_run(found: dict[str, Tensor], wanted: Mapping[str, Tensor], who: str) -> tuple[dict[str, Tensor], str]:
    """The weights of one role in a run's file, where every name starts with a role: `who`, else the only one."""
    roles = {k.partition(".")[0] for k in found}
    for role in (who, *(roles if len(roles) == 1 else ())):
        part = {k.removeprefix(f"{role}."): v for k, v in found.items() if k.startswith(f"{role}.")}
        if any(k in wanted for k in part):
            return part, role
    return found, ""


def _strip(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in state.items()}


def _ties(module: nn.Module) -> list[list[str]]:
    """Names of the state in groups that are one and the same tensor."""
    groups: dict[int, list[str]] = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        groups.setdefault(id(tensor), []).append(name)
    return list(groups.values())


def _missing(module: nn.Module, wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    tied = {name for group in _ties(module) if any(k in state for k in group) for name in group}
    return [k for k in wanted if k not in state and k not in tied and not k.endswith("num_batches_tracked")]


def _some(kind: str, entries: Iterable[str], most: int = 4) -> str:
    entries = list(entries)
    if not entries:
        return f"none {kind}"
    more = f" and {len(entries) - most} more" if len(entries) > most else ""
    return f"{len(entries)} {kind}: {', '.join(entries[:most])}{more}"
