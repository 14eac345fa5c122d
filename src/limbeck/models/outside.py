"""Networks that are not ours: by import path, from transformers, from timm."""

import importlib
import inspect
from types import ModuleType
from typing import Any
from weakref import WeakSet

from torch import nn

from limbeck.errors import UserError, unknown
from limbeck.files.programs import find
from limbeck.files.saved import folder_of, from_pretrained, tokenizer_of
from limbeck.files.still import still
from limbeck.models import pretrained
from limbeck.models.black_box import BlackBox
from limbeck.plan.copies import copied

LOADED = {"ignore_mismatched_sizes": True, "weights_only": True}  # files with pickled weights: tensors, never objects
_CLASSES = ("num_classes", "classes", "n_classes")
_TRAINED: "WeakSet[nn.Module]" = WeakSet()


def build(name: str, classes: int, shape: tuple[int, ...], arguments: dict[str, object]) -> nn.Module:
    """Build `package.module:factory`, `transformers:NAME`, a folder or `timm:NAME`; see `limbeck.models.build`."""
    if folder_of(name) is not None:
        with still():
            return _transformers(name.removeprefix("transformers:"), classes, shape, arguments)
    library, _, rest = name.partition(":")
    if not library or not rest:
        raise UserError(f"model {name!r}: expected package.module:factory; write both sides of the colon")
    if library == "transformers":
        with still():
            return _transformers(rest, classes, shape, arguments)
    if library == "timm":
        return _timm(rest, classes, shape, arguments)
    return _from_path(name, classes, shape, arguments)


def came_trained(module: nn.Module) -> bool:
    """Whether a network that was built here came with weights for all of its layers, as a fine-tuned folder does."""
    came = pretrained.CAME.get(module)
    return module in _TRAINED or isinstance(module, BlackBox) or (came is not None and came.whole)


def need_own_tokens(name: str, who: str) -> None:
    """Refuse a model that came with weights for a tokenizer's tokens for texts that are numbered otherwise.

    Args:
        name: of the model. who: the role that the error names.
    """
    rest, library = name.removeprefix("transformers:"), extra("transformers")
    of_type = rest in library.CONFIG_MAPPING or inspect.isclass(getattr(library, rest, None))
    if tokenizer_of(name) is not None or (folder_of(name) is None and not of_type):
        raise UserError(
            f"role {who!r}: {name[-80:]} has its own tokenizer, but the data's texts are numbered by words of the training part; "
            "set data.tokenizer to its folder"
        )


def extra(package: str) -> ModuleType:
    """Import an optional package, or say how to install it."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise UserError(f'{package} is not installed; run: pip install "limbeck[{package}]"') from error


def _from_path(name: str, classes: int, shape: tuple[int, ...], arguments: dict[str, object]) -> nn.Module:
    found = find(name)
    if isinstance(found, nn.Module):
        if arguments:
            raise UserError(f"model {name!r} is a finished module and takes no arguments, got {sorted(arguments)}; drop them")
        return copied(found, f"model {name!r}")  # two roles of the same name must not share weights
    if not callable(found):
        raise UserError(f"model {name!r} is {_a(found)}; name a function, a class or a torch.nn.Module")
    built = _call(name, found, {**_classes(found, classes, arguments), **_shape(found, shape, arguments), **arguments})
    if not isinstance(built, nn.Module):
        raise UserError(f"model {name!r} returned {_a(built)}, not a torch.nn.Module; return the network itself")
    return built


def _classes(factory: Any, classes: int, arguments: dict[str, object]) -> dict[str, int]:
    if any(key in arguments for key in _CLASSES):
        return {}
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}
    return next(({key: classes} for key in _CLASSES if key in parameters), {})


def _shape(factory: Any, shape: tuple[int, ...], arguments: dict[str, object]) -> dict[str, tuple[int, ...]]:
    """The inputs' shape, for a factory that asks for it by that name and has no default of its own."""
    try:
        wanted = inspect.signature(factory).parameters.get("shape")
    except (TypeError, ValueError):
        return {}
    asked = wanted is not None and wanted.default is inspect.Parameter.empty and "shape" not in arguments
    return {"shape": shape} if asked else {}


def _call(name: str, factory: Any, arguments: dict[str, object]) -> Any:
    try:
        return factory(**arguments)
    except UserError:
        raise
    except Exception as error:
        given = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        raise UserError(
            f"model {name!r} failed when called with ({given}): {type(error).__name__}: {_line(error)}; check its arguments"
        ) from error


def _transformers(name: str, classes: int, shape: tuple[int, ...], arguments: dict[str, object]) -> nn.Module:
    library = extra("transformers")
    arguments = dict(arguments)
    task, trust = arguments.pop("task", None), arguments.pop("trust_remote_code", False) is True
    pickled = arguments.pop("use_safetensors", True) is False
    named, folder = getattr(library, name, None), folder_of(name)
    width = {} if task == "causal-lm" else {"num_labels": classes}
    loaded = False
    if inspect.isclass(named) and issubclass(named, library.PretrainedConfig):
        config = _call(f"transformers:{name}", named, {**_image(named, shape), **width, **arguments})
    elif name in library.CONFIG_MAPPING:
        kind = library.CONFIG_MAPPING[name]
        config = _call(f"transformers:{name}", kind, {**_image(kind, shape), **width, **arguments})
    else:
        loaded = True
        own = {**width, "trust_remote_code": trust, **arguments}
        config = _fetch(name, library.AutoConfig, name, own, library.CONFIG_MAPPING)
        if not trust:
            pretrained.need_plain(name, config)
    auto = _auto(library, name, config, shape, task)
    if loaded and folder is not None:
        own_way = {"trust_remote_code": trust, "use_safetensors": not pickled}
        found, came = pretrained.built(folder, auto, config, own_way)
        pretrained.CAME[found] = came
        return found
    if loaded:
        how = LOADED | {"config": config, "trust_remote_code": trust, "output_loading_info": True}
        module, info = _fetch(name, auto, name, how, library.CONFIG_MAPPING)
        if not any(info.get(what) for what in ("missing_keys", "mismatched_keys")):
            _TRAINED.add(module)
        return module
    made: nn.Module = _call(f"transformers:{name}", auto.from_config, {"config": config})
    pretrained.CAME[made] = pretrained.Came()
    return made


def _image(config: Any, shape: tuple[int, ...]) -> dict[str, int]:
    """Image size and channels, where the configuration has them."""
    known = vars(config()) if len(shape) == 3 else {}
    wanted = {"image_size": max(shape[1:]), "num_channels": shape[0]} if len(shape) == 3 else {}
    return {k: v for k, v in wanted.items() if k in known}


def _auto(library: ModuleType, name: str, config: Any, shape: tuple[int, ...], task: object) -> Any:
    heads = {**pretrained.HEADS, "encoder": "AutoModel"}
    if task is not None and task not in heads:
        raise unknown("transformers task", str(task), heads)
    order = [str(task)] if task else list(pretrained.HEADS)[: 1 if len(shape) == 3 else 3]
    for candidate in order:
        auto = getattr(library, heads[candidate])
        if type(config) in auto._model_mapping or heads[candidate] in (getattr(config, "auto_map", None) or {}):
            return auto
    raise UserError(f"transformers:{name} has no head for {' or '.join(order)}; name another model or give arguments.task")


def _fetch(name: str, auto: Any, source: str, arguments: dict[str, object], known: Any) -> Any:
    try:
        return from_pretrained(auto, source, **arguments)
    except UserError as error:
        types = ", ".join(list(known)[:3])
        raise UserError(
            f"transformers:{name[-80:]} is not a model type ({types}, ...), no folder with a config.json and not on this "
            "computer, and the hub cannot be reached; give the path of a folder, or connect"
        ) from error
    except (OSError, ValueError) as error:
        types = ", ".join(list(known)[:3])
        if "auto_map" in str(error) or "trust_remote_code" in str(error):
            raise UserError(
                f"{name[-80:]} brings code of its own, which is only run where it is trusted; look at it, then add --trust"
            ) from error
        if folder_of(source) is not None:
            raise UserError(f"{name[-80:]} cannot be loaded by transformers: {_line(error)}; save the model again") from error
        raise UserError(
            f"transformers:{name[-80:]} is not a model type ({types}, ...) and could not be loaded: {_line(error)[:110]}; "
            "give a model type, a local folder, or a model name while connected"
        ) from error


def _timm(name: str, classes: int, shape: tuple[int, ...], arguments: dict[str, object]) -> nn.Module:
    library = extra("timm")
    if not library.is_model(name):
        raise unknown("timm model", name, library.list_models())
    channels = {"in_chans": shape[0]} if len(shape) == 3 else {}
    module: nn.Module = _call(
        f"timm:{name}", library.create_model, {"model_name": name, "num_classes": classes, **channels, **arguments}
    )
    head = getattr(module, "pretrained_cfg", None) or {}
    if arguments.get("checkpoint_path") or (arguments.get("pretrained") and head.get("num_classes") == classes):
        _TRAINED.add(module)
    return module


def _a(value: object) -> str:
    return f"a {type(value).__name__}"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".;") or "no message"
