"""What a folder that transformers saved holds, told from its files alone; and how one is opened without asking a hub in vain."""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from limbeck.errors import UserError
from limbeck.files.still import still

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model")
PLAIN = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def folder_of(model: str) -> Path | None:
    """The folder that a model's name means, with or without `transformers:` before it; None where it is no such folder.

    >>> folder_of("transformers:bert") is None
    True
    """
    path = Path(model.removeprefix("transformers:")).expanduser()
    return path if (path / CONFIG).is_file() else None


def tokenizer_of(model: str) -> str | None:
    """Where the tokenizer of a model lies: its folder, or `owner/name` of a hub; None where it has none that is known."""
    folder, rest = folder_of(model), model.removeprefix("transformers:")
    if folder is None:
        return rest if rest != model and rest.count("/") == 1 and not rest.startswith((".", "/", "~")) else None
    return str(folder) if has_tokenizer(folder) else None


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer, with a model or alone."""
    return any((folder / file).is_file() for file in TOKENIZERS)


def weights_in(folder: Path) -> str:
    """In which form a folder holds weights: "safetensors", "pickled", or "" where it has none.

    >>> weights_in(Path("nowhere"))
    ''
    """
    if any((folder / file).is_file() for file in PLAIN):
        return "safetensors"
    return "pickled" if any((folder / file).is_file() for file in PICKLED) else ""


def config_in(folder: Path) -> dict[str, object]:
    """What its config.json says. Raises `UserError` where that is no JSON object."""
    return read_json_file(folder / CONFIG)


def read_json_file(file: Path) -> dict[str, object]:
    """The object in a JSON file of a model's folder. Raises `UserError` where that is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({str(error)[:80]}); save the model again") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} is no JSON object; save the model again")
    return found


@dataclass(frozen=True)
class Processor:
    """What an image processor does to pictures on 0..1: scales them to `size` (height, width), subtracts `mean` and divides by
    `std`, of each channel; None where it does not. cropped: it scales the shorter edge and cuts the middle out."""

    size: tuple[int, int] | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    cropped: bool = False


def processor_in(model: str) -> Processor | None:
    """The image processor of a folder; None where it has none.

    Raises `UserError` where it is damaged, or feeds a model on another scale than 0..1.
    """
    folder = folder_of(model)
    file = None if folder is None else folder / PROCESSOR
    if file is None or not file.is_file():
        return None
    try:
        own = json.loads(file.read_text(encoding="utf-8"))
        size, crop = own.get("size"), own.get("crop_size") if own.get("do_center_crop") else None
        edge = crop or size or {}
        edge = {"height": edge, "width": edge} if isinstance(edge, int) else edge
        sides: list[Any] = [edge.get(side, edge.get("shortest_edge")) for side in ("height", "width")]
        whole = own.get("do_resize", True) and all(isinstance(side, int) and side > 0 for side in sides)
        normal = own.get("do_normalize", True) and own.get("image_mean") and own.get("image_std")
        mean, std = (tuple(map(float, own[key])) if normal else None for key in ("image_mean", "image_std"))
        plain = own.get("do_rescale", True) and abs(float(own.get("rescale_factor", 1 / 255)) - 1 / 255) < 1e-6
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{file} cannot be read ({str(error)[:80]}); save the image processor again") from None
    if not plain:
        raise UserError(
            f"{file} does not divide pixels by 255, as pictures are here; give the model's own mean and std, without it"
        )
    scaled = (sides[0], sides[1]) if whole else None
    return Processor(scaled, mean, std, cropped=crop is not None or "shortest_edge" in edge)


def trusted(model: str) -> dict[str, object]:
    """The arguments that loading a folder needs where it is trusted: its own code, weights that are no safetensors."""
    folder = folder_of(model)
    if folder is None:
        return {}
    found: dict[str, object] = {"trust_remote_code": True} if "auto_map" in config_in(folder) else {}
    return found | ({"use_safetensors": False} if weights_in(folder) == "pickled" else {})


def from_pretrained(auto: Any, source: str, **arguments: Any) -> Any:
    """What a class of transformers makes of a folder, or of a model that is on this computer; else of one on the hub.

    Raises what transformers raises; `UserError` where a hub would have to be asked and cannot be reached.
    """
    folder = Path(source).expanduser()
    with still():
        if folder.is_dir():
            return auto.from_pretrained(str(folder), local_files_only=True, **arguments)
        try:
            return auto.from_pretrained(source, local_files_only=True, **arguments)
        except (OSError, ValueError):
            if not _reachable():
                raise UserError(
                    f"{source[-80:]} is neither a folder with a config.json nor a model on this computer, and the hub cannot be "
                    "reached; give the path of a folder, or connect"
                ) from None
        return auto.from_pretrained(source, **arguments)


def _reachable() -> bool:
    """Whether the hub's host answers at all, asked once: transformers itself would try for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    host = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((host.hostname or "", host.port or 443), timeout=5).close()
    except OSError:
        return False
    return True
