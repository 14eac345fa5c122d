"""What a file may name. Our own networks are data; any other name is a program, which only runs where the file is trusted."""

import functools
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType

from torch import nn

from limbeck.errors import UserError
from limbeck.files.programs import AROUND, find, innermost, is_address

CODE = (
    "remote_code", "auto_map", "code_revision", "weights_only", "implementation", "kernel", "quantization", "checkpoint",
    "pickle", "pretrained_cfg", "pipeline", "adapter", "gguf", "_file", "use_safetensors",
)  # fmt: skip
LOADERS = {
    "torch", "numpy", "scipy", "sklearn", "joblib", "pandas", "cloudpickle", "dill", "jsonpickle", "yaml", "torchaudio",
    "pydantic", "transformers", "timm", "huggingface_hub", "accelerate", "optuna", "ray", "onnx", "onnxruntime", "jinja2", "pip",
    "setuptools", "pkg_resources", "typer", "click", "pytest", "_pytest", "IPython", "limbeck", "sympy", "pyarrow", "fsspec",
}  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A model that a file names: for which role, by which name, with which arguments."""

    role: str
    model: str
    arguments: Mapping[str, object]


def need_trust(named: Iterable[Named], where: object, trust: bool, typed: Collection[str] = ()) -> None:
    """Refuse models of a file that are programs, before anything of them is imported.

    Args:
        named: the models. where: the file, for the message. trust: whether the user lets the file name programs.
        typed: names that the user wrote, which are the user's own.

    Raises:
        UserError: a program that is not trusted; a trusted one that is neither a network's class nor a function that makes one.
    """
    for each in named:
        for one in _inner(each):
            why = _program(one, typed)
            if why and not trust:
                place = str(where)[-90:]
                does = "would send the samples there" if is_address(one.model) else "would run code of others"
                raise UserError(
                    f"{place} gives {why} to the {one.role[:40]}, which {does}; look at it, then add --trust "
                    "(trust=True in Python), also for a run of your own"
                )
            known = _library(one.model) or is_address(one.model) or one.model in AROUND
            if ":" in one.model and one.model not in typed and not known:
                _need_network(one)


def _inner(named: Named) -> list[Named]:
    """A model and the ones that it is built around."""
    inside, own = innermost(named.model, named.arguments)
    return [named] if inside == named.model else [named, Named(named.role, inside, own)]


def _library(model: str) -> bool:
    return model.partition(":")[0] in ("transformers", "timm")


def _program(named: Named, typed: Collection[str]) -> str:
    """What of a model is code, in words; "" where it is data."""
    if named.model in AROUND:
        return ""
    if ":" in named.model and not _library(named.model):
        return "" if named.model in typed else f"the model {named.model[:60]!r}"
    return next((f"the argument {key[:60]!r}" for key in _suspicious(named.arguments)), "")


def _suspicious(value: object, key: str = "", depth: int = 0) -> Iterable[str]:
    """Arguments of transformers, of a folder or of timm that are more than sizes and plain words."""
    if depth > 8:
        yield key
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            word = str(name).lower()
            if any(mark in word for mark in CODE) and not ("remote_code" in word and inner is False):
                yield str(name)
            yield from _suspicious(inner, str(name), depth + 1)
    elif isinstance(value, str):
        if any(mark in value for mark in "/\\:") or value.startswith("."):
            yield key
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _suspicious(inner, key, depth + 1)


def _need_network(named: Named) -> None:
    """A name that is trusted must lead to a network or to a function that somebody wrote to make one."""
    path = named.model.partition(":")[0]
    bad = f"{named.model[:80]!r} for the {named.role[:40]} is refused even with --trust"
    hint = "a file may name a torch.nn.Module, or a function that makes one in a module of your own"
    if path.partition(".")[0] in sys.stdlib_module_names:
        raise UserError(f"{bad}: it belongs to Python itself; {hint}")
    found = find(named.model)
    if isinstance(found, nn.Module) or (isinstance(found, type) and issubclass(found, nn.Module)):
        return
    while isinstance(found, functools.partial):
        found = found.func
    home = str(getattr(found, "__module__", "")).partition(".")[0]
    if not isinstance(found, FunctionType) or home in sys.stdlib_module_names or home in LOADERS:
        what = f"a function of {home}" if isinstance(found, FunctionType) else f"a {type(found).__name__}"
        raise UserError(f"{bad}: it is {what}; {hint}")
