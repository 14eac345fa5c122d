"""A run folder as the page needs it. Whatever is absent or damaged is named in `missing`, never an error."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor

from limbeck.errors import UserError

WHO = ("teacher", "baseline", "student")
DRAWN = {"svg", "title", "desc", "style", "rect", "path", "g", "text", "circle"}  # what a diagram of ours consists of


@dataclass
class RunView:
    """What a run folder holds.

    Attributes:
        card, environment: as written. metrics: the records. recipe: TOML text. svg: the abstract view, checked.
        labels, index: (n,) of the test part. logits: who -> (n, C). samples: (k, c, h, w) uint8 at rows `samples_index`.
        boxes: "label" and who -> (k, m, 5) of the samples. strings: "label" and who -> (n, l), -100 behind their end.
        confusions: who -> (C, C), where answers are masks; masks: "label" and who -> (k, h, w) of the samples.
        missing: a sentence for each piece that is not there.
    """

    folder: Path
    card: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    recipe: str = ""
    svg: str = ""
    labels: Tensor | None = None
    index: Tensor | None = None
    logits: dict[str, Tensor] = field(default_factory=dict)
    samples: Tensor | None = None
    samples_index: Tensor | None = None
    confusions: dict[str, Tensor] = field(default_factory=dict)
    masks: dict[str, Tensor] = field(default_factory=dict)
    boxes: dict[str, Tensor] = field(default_factory=dict)
    strings: dict[str, Tensor] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    @property
    def models(self) -> dict[str, dict[str, Any]]:
        """The card's models in the order teacher, baseline, student, then any other."""
        given = self.card.get("models") or {}
        order = [*(w for w in WHO if w in given), *(w for w in given if w not in WHO)]
        return {who: given[who] for who in order if isinstance(given[who], Mapping)}

    def class_names(self) -> list[str]:
        """The names of the classes; their numbers where no names are known."""
        named = (self.card.get("data") or {}).get("classes")
        count = next((z.shape[1] for z in (*self.logits.values(), *self.confusions.values())), len(named or []))
        return [str(c) for c in named] if named and len(named) >= count else [str(i) for i in range(count)]


def read_run(folder: Path, *, predictions: bool = True) -> RunView:
    """Read a run folder, with what was answered to every test sample or without it.

    Raises:
        UserError: it is no folder, or holds nothing of a run.
    """
    if not folder.is_dir():
        raise UserError(f"no run folder at {folder}; give the folder that `limbeck distill` made")
    if not any((folder / name).exists() for name in ("card.json", "metrics.jsonl", "recipe.toml")):
        raise UserError(
            f"{folder} is no run folder: expected card.json, metrics.jsonl or recipe.toml in it, found none; "
            "give the folder that `limbeck distill` made"
        )
    view = RunView(folder)
    view.card = _json(view, "card.json", "the card is not written yet, so there is no result table")
    view.environment = _json(view, "environment.json", "the machine and versions were not recorded")
    view.recipe = _text(view, "recipe.toml", "the recipe was not recorded")
    view.metrics = _records(_text(view, "metrics.jsonl", "no learning curves were recorded"))
    if predictions:
        _read_predictions(view)
    _read_svg(view)
    return view


def _text(view: RunView, name: str, otherwise: str) -> str:
    try:
        return (view.folder / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        view.missing.append(f"No {name}: {otherwise}.")
        return ""


def _json(view: RunView, name: str, otherwise: str) -> dict[str, Any]:
    text = _text(view, name, otherwise)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value
    view.missing.append(f"{name} cannot be read as a JSON object: {otherwise}.")
    return {}


def _records(text: str) -> list[dict[str, Any]]:
    """The lines that are whole records; a run that was stopped may leave half a line."""
    found = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "who" in record and isinstance(record.get("step"), int | float):
            found.append(record)
    return found


def _read_predictions(view: RunView) -> None:
    path = view.folder / "predictions.safetensors"
    if not path.is_file():
        view.missing.append("No predictions.safetensors: confusion, reliability and the samples that differ are left out.")
        return
    try:
        from safetensors.torch import load_file

        tensors = load_file(path)
        if "labels" not in tensors and any(name.startswith("confusion_") for name in tensors):
            _read_masks(view, tensors)
            return
        if "labels" not in tensors and "boxes" in tensors:
            _read_boxes(view, tensors)
            return
        if "labels" not in tensors and "strings" in tensors:
            _read_strings(view, tensors)
            return
        labels = tensors["labels"].long()
        logits = {who: tensors[who].float() for who in WHO if who in tensors}
        if (
            not all(z.dim() == 2 and len(z) == len(labels) for z in logits.values())
            or len({z.shape for z in logits.values()}) > 1
        ):
            raise ValueError("shapes differ")
        if not len(labels) or not all(int(labels.min()) >= 0 and int(labels.max()) < z.shape[1] for z in logits.values()):
            raise ValueError("labels out of range")
    except Exception:  # safetensors' errors share no base but Exception
        view.missing.append("predictions.safetensors cannot be read: what is drawn from it is left out.")
        return
    view.labels, view.logits = labels, logits
    view.index = tensors.get("index", torch.arange(len(labels))).long()
    samples, at = tensors.get("samples"), tensors.get("samples_index")
    if samples is not None and at is not None and samples.dim() == 4 and len(samples) == len(at):
        view.samples, view.samples_index = samples, at.long()


def _read_masks(view: RunView, tensors: dict[str, Tensor]) -> None:
    """What a segmentation keeps: confusion counts, and the images on which the models differ most."""
    counts = {who: tensors[f"confusion_{who}"].long() for who in WHO if f"confusion_{who}" in tensors}
    if (
        not all(c.dim() == 2 and c.shape == (len(c), len(c)) for c in counts.values())
        or len({len(c) for c in counts.values()}) > 1
    ):
        raise ValueError("shapes differ")
    view.confusions, view.index = counts, tensors["index"].long()
    samples, at = tensors.get("samples"), tensors.get("samples_index")
    if samples is None or at is None or samples.dim() != 4:
        return
    found = {"label": tensors["masks"].long()} | {w: tensors[f"masks_{w}"].long() for w in WHO if f"masks_{w}" in tensors}
    if any(m.shape != (len(at), *samples.shape[2:]) for m in found.values()):
        raise ValueError("shapes differ")
    view.samples, view.samples_index, view.masks = samples, at.long(), found


def _read_boxes(view: RunView, tensors: dict[str, Tensor]) -> None:
    """What a detection keeps: the pictures on which the models differ most, and everyone's boxes in them."""
    samples, at, view.index = tensors.get("samples"), tensors.get("samples_index"), tensors["index"].long()
    if samples is None or at is None or samples.dim() != 4:
        return
    found = {"label": tensors["boxes"]} | {w: tensors[f"boxes_{w}"] for w in WHO if f"boxes_{w}" in tensors}
    if any(b.dim() != 3 or len(b) != len(at) or b.shape[2] != 5 for b in found.values()):
        raise ValueError("shapes differ")
    view.samples, view.samples_index, view.boxes = samples, at.long(), found


def _read_strings(view: RunView, tensors: dict[str, Tensor]) -> None:
    """What is kept where answers are strings: all of them, as class numbers."""
    found = {"label": tensors["strings"].long()} | {w: tensors[f"strings_{w}"].long() for w in WHO if f"strings_{w}" in tensors}
    if any(s.dim() != 2 or len(s) != len(found["label"]) for s in found.values()):
        raise ValueError("shapes differ")
    view.strings, view.index = found, tensors["index"].long()


def _read_svg(view: RunView) -> None:
    """Take the drawing only if it consists of what our drawings consist of: no script, no reference."""
    name = Path(str(view.card.get("svg") or "method.svg")).name
    text = _text(view, name, "the abstract view is left out")
    if not text:
        return
    try:
        root = ElementTree.fromstring(text)
        known = all(part.tag.rpartition("}")[2] in DRAWN for part in root.iter())
        names = [key.lower() for part in root.iter() for key in part.attrib]
        safe = not any(key.startswith("on") or key.endswith("href") for key in names)
        styles = " ".join(
            t
            for part in root.iter()
            for t in (*part.attrib.values(), part.text or "")
            if part.tag.endswith("style") or t in part.attrib.values()
        )
        safe = safe and not re.search(r"url\s*\(|@import", styles, re.IGNORECASE)
    except ElementTree.ParseError:
        known = safe = False
    if known and safe and root.tag.endswith("svg"):
        view.svg = text[text.index("<svg") :]
    else:
        view.missing.append(f"{name} is not a drawing of limbeck's: the abstract view is left out.")
