"""Pictures for the page: inputs, and masks in one colour for each class."""

import base64
import colorsys
import io

import torch
from torch import Tensor

from limbeck.report.frame import MarkedPart, PageSection
from limbeck.tasks.section import Gallery, Marked

KEYS = 24  # colours that are named


def gallery(pieces: Gallery) -> PageSection:
    """What the template needs of pictures with marks: each with everyone's masks or boxes, and the classes' colours."""
    colours = palette(len(pieces.classes))
    rows: list[MarkedPart] = [
        {
            "number": row.number,
            "picture": png(row.picture),
            "predictions": [
                {"who": m.who, "words": m.words, "picture": png(_marked(row.picture, m, colours))} for m in row.marks
            ],
        }
        for row in pieces.rows
    ]
    spelt = ("#" + "".join(f"{v:02x}" for v in colour) for colour in colours.tolist())
    keys = [{"name": name, "colour": colour} for name, colour in zip(pieces.classes, spelt, strict=True)]
    return {"samples": [], "masks": rows, "colours": keys[:KEYS]}


def _marked(picture: Tensor, marks: Marked, colours: Tensor) -> Tensor:
    if marks.mask is not None:
        return painted(marks.mask, colours)
    return picture if marks.boxes is None else framed(picture, marks.boxes, colours)


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
