"""Pictures for the page: inputs, and masks in one colour for each class."""

import base64
import colorsys
import io
from typing import Any

import torch
from torch import Tensor

from limbeck.report.read import RunView
from limbeck.report.words import capital, percent

SHOWN = 6


def masked(view: RunView) -> dict[str, Any]:
    """The images on which teacher and student differ in most pixels: input, label, and every model's answer beside them."""
    assert view.samples is not None and view.samples_index is not None and view.index is not None
    other = next((who for who in ("teacher", "baseline") if who in view.masks), "")
    colours = palette(len(view.class_names()))
    rows, counted = [], view.masks["label"] >= 0
    for k, row in enumerate(view.samples_index.tolist()[:SHOWN]):
        says = []
        for who, masks in view.masks.items():
            right = float((masks[k] == view.masks["label"][k])[counted[k]].double().mean()) if counted[k].any() else None
            words = "label" if who == "label" else f"{who}, {percent(right)} of the pixels right"
            says.append({"who": who, "words": words, "picture": png(painted(masks[k], colours))})
        rows.append({"number": int(view.index[row]), "picture": png(view.samples[k]), "says": says})
    names = view.class_names()
    keys = [{"name": name, "colour": "#" + "".join(f"{v:02x}" for v in colour)} for name, colour in zip(names, colours.tolist())]
    note = f"The test images on which {other or 'other models'} and student differ in most pixels"
    note = f"{capital(note.removeprefix('The '))}: the input, the label, and what each model answers. Black is not counted."
    return {"note": note, "samples": [], "masks": rows, "colours": keys[:24]}


def boxed(view: RunView) -> dict[str, Any]:
    """The pictures in which teacher and student find the most different number of boxes: the label's, and every model's."""
    assert view.samples is not None and view.samples_index is not None and view.index is not None
    names, colours = view.class_names(), palette(len(view.class_names()))
    rows = []
    for k, row in enumerate(view.samples_index.tolist()[:SHOWN]):
        says = []
        for who, boxes in view.boxes.items():
            real = boxes[k][boxes[k][:, 0] >= 0]
            words = f"{who}, {len(real)} {'box' if len(real) == 1 else 'boxes'}"
            says.append({"who": who, "words": words, "picture": png(framed(view.samples[k], real, colours))})
        rows.append({"number": int(view.index[row]), "picture": png(view.samples[k]), "says": says})
    keys = [{"name": name, "colour": "#" + "".join(f"{v:02x}" for v in colour)} for name, colour in zip(names, colours.tolist())]
    note = "Test pictures in which the models' numbers of boxes differ most, among boxes of probability 0.5 and more."
    return {"note": note, "samples": [], "masks": rows, "colours": keys[:24]}


def framed(picture: Tensor, boxes: Tensor, colours: Tensor, scale: int = 2) -> Tensor:
    """A picture (c, h, w) enlarged, with frames of class, x0, y0, x1, y1: (3, h, w) uint8."""
    values = picture if picture.dtype == torch.uint8 else (picture.float().clamp(0, 1) * 255).to(torch.uint8)
    out = values[[0, 1, 2] if len(values) == 3 else [0, 0, 0]].repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    high, wide = out.shape[1:]
    for label, *corners in boxes.tolist():
        x0, y0, x1, y1 = (round(c * scale) for c in corners)
        x0, x1, y0, y1 = max(0, x0), min(wide, x1), max(0, y0), min(high, y1)
        colour = colours[int(label) % len(colours)][:, None, None]
        for rows, columns in (
            ((y0, y0 + 2), (x0, x1)),
            ((y1 - 2, y1), (x0, x1)),
            ((y0, y1), (x0, x0 + 2)),
            ((y0, y1), (x1 - 2, x1)),
        ):
            out[:, max(0, rows[0]) : rows[1], max(0, columns[0]) : columns[1]] = colour
    return out


def palette(classes: int) -> Tensor:
    """(C, 3) uint8: colours that differ in hue and lightness, never black."""
    made = [colorsys.hls_to_rgb((0.58 + 0.381966 * k) % 1, (0.42, 0.72, 0.55)[k % 3], 0.62) for k in range(classes)]
    return (torch.tensor(made) * 255).round().to(torch.uint8)


def painted(mask: Tensor, colours: Tensor) -> Tensor:
    """A mask (h, w) of class numbers as a picture (3, h, w); what is no class is black."""
    known = (mask >= 0) & (mask < len(colours))
    return (colours[mask.clamp(0, len(colours) - 1)] * known.unsqueeze(-1)).permute(2, 0, 1)


def png(picture: Tensor) -> str:
    """A picture (c, h, w) as a data address: grey for one channel, colour for three, else its first channel."""
    from PIL import Image

    values = picture.to(torch.uint8) if picture.dtype == torch.uint8 else (picture.float().clamp(0, 1) * 255).to(torch.uint8)
    colours = values.permute(1, 2, 0).contiguous() if len(values) == 3 else values[0]
    buffer = io.BytesIO()
    Image.fromarray(colours.numpy()).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
