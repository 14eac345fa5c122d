"""What decides a frozen role's answers, as a hash: weights, settings, code, preprocessing. No hash of a program is complete,
so what is found under it is also asked again (see `filling`).
"""

import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.plan.kinds import Value
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Source, Via

_OWN = frozenset(vars(nn.Module())) - {"training"}  # what every module has: parameters, hooks, ...
_DEEP = 4  # of settings inside settings


def identity(cast: Cast, role: str, *, weights: bool = True) -> str:
    """A hash of all that is known to decide what a frozen role answers.

    Counted: parameters and buffers; each layer's path, class, printed form and plain attributes (numbers, words, functions,
    and these in lists and mappings); the source of the classes, of their bases and of the files they are written in; where the
    logits are found; and the same of what prepares the inputs. Not counted: files of PyTorch (its version is), compiled code,
    what the files import in turn. weights: False leaves parameters and buffers out.
    """
    adapter = cast.adapter_of(role)
    total = hashlib.sha256()
    for text in (*_module(cast[role], weights), "prepare", *_spelt(adapter.prepare), "logits", *_spelt(adapter.logits)):
        total.update(text if isinstance(text, bytes) else text.encode())
        total.update(b"\0")
    return total.hexdigest()


def state_of(module: nn.Module) -> str:
    """A hash of a module's parameters and buffers."""
    total = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        total.update(name.encode())
        for text in _tensor(value):
            total.update(text if isinstance(text, bytes) else text.encode())
    return total.hexdigest()


def written(module: nn.Module) -> str:
    """A hash of the files and classes in which a module and its parts are written."""
    return hashlib.sha256(b"\0".join(_sources({type(part) for part in module.modules()}))).hexdigest()


def code_of(source: Source) -> str:
    """A hash of the functions that a source goes through."""
    total = hashlib.sha256()

    def add(inner: Source) -> None:
        if isinstance(inner, Via):
            fn = inner.fn
            while hasattr(fn, "func"):
                fn = fn.func
            total.update(_code(fn) if callable(fn) else str(fn).encode())
            for part in inner.sources:
                add(part)

    add(source)
    return total.hexdigest()[:16]


def _module(module: nn.Module, weights: bool = True) -> Iterator[str | bytes]:
    for name, value in sorted(module.state_dict().items() if weights else ()):
        yield name
        yield from _tensor(value)
    parts = dict(module.named_modules())
    for path, part in parts.items():
        kind = type(part)
        yield f"{path} {kind.__module__}.{kind.__qualname__} {part.extra_repr()}"
        for key, value in sorted(vars(part).items()):
            if key not in _OWN:
                yield key
                yield from _spelt(value)
    yield from _sources({type(part) for part in parts.values()})


def _sources(kinds: set[type]) -> Iterator[bytes]:
    """The code of classes and their bases, and the files in which they are written."""
    found = {base for kind in kinds for base in kind.__mro__ if not _torchs(base)}
    files = {getattr(sys.modules.get(base.__module__), "__file__", None) for base in found}
    for base in sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__)):
        yield _code(base)
    for file in sorted(name for name in files if name):
        try:
            yield Path(file).read_bytes()
        except OSError:  # inside an archive, or typed into a prompt
            continue


def _torchs(kind: type) -> bool:
    return kind.__module__.split(".")[0] in ("torch", "builtins")


def _tensor(value: Tensor) -> Iterator[str | bytes]:
    yield f"{value.dtype} {tuple(value.shape)}"
    if value.is_sparse or value.is_quantized or value.device.type == "meta":
        yield repr(value)
    else:
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _spelt(value: Value, depth: int = 0) -> Iterator[str | bytes]:
    """A setting as text: the same for the same value in every process; of what is not plain, its class."""
    yield type(value).__qualname__
    if depth > _DEEP:
        return
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.dtype):
        yield repr(value)
    elif isinstance(value, Tensor):
        yield from _tensor(value)
    elif isinstance(value, nn.Module):
        yield from _module(value)
    elif isinstance(value, dict):
        for key in sorted(value, key=repr):
            yield from _spelt(key, depth + 1)
            yield from _spelt(value[key], depth + 1)
    elif isinstance(value, set | frozenset):
        yield from sorted(repr(list(_spelt(inner, depth + 1))) for inner in value)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _spelt(inner, depth + 1)
    elif isinstance(value, functools.partial):
        yield from _spelt([value.func, value.args, value.keywords], depth + 1)
    elif isinstance(value, types.MethodType):
        yield from _spelt(value.__func__, depth + 1)
    elif callable(value) and hasattr(value, "__qualname__"):
        yield f"{getattr(value, '__module__', '')}.{value.__qualname__}"
        yield _code(value)
        yield from _spelt([cell.cell_contents for cell in getattr(value, "__closure__", None) or () if _set(cell)], depth + 1)
    elif callable(value) and hasattr(value, "__dict__"):
        yield _code(type(value))
        yield from _spelt(dict(vars(value)), depth + 1)


def _set(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _code(kind: Callable[..., object] | Value) -> bytes:
    """The source of a class or function that is not torch's own; what cannot be read counts by its name alone."""
    if str(getattr(kind, "__module__", "")).startswith("torch."):
        return torch.__version__.encode()
    try:
        return inspect.getsource(kind).encode()
    except (OSError, TypeError):
        return b""
