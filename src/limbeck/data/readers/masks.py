"""Images with a mask beside each: a folder or .zip whose folders pair up by name, as one class for each pixel.

ROOT/train/images/1.png ROOT/train/masks/1.png     ROOT/images/train/1.png ROOT/masks/train/1.png
ROOT/train/1.jpg ROOT/trainannot/1.png             ROOT/image/1.png ROOT/label/1.png    (split by us)

A mask holds class numbers. `classes.txt` at the root names the classes, a line each: then a value is the number of its line,
from 0. 255 is not counted, except beside 0 alone (and two names), where it is the second class; values with gaps that are no
such numbers (0 and 65535, or 0, 128, 255) become classes in their order.
Letters: n images, h and w pixels.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path, PurePath

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw
from limbeck.data.core import Data, Partition
from limbeck.data.reader import How, Reader
from limbeck.data.readers.images import PARTS, Files, converted, holds_images, hwc, is_grey, on_white, opened
from limbeck.errors import UserError
from limbeck.tasks.segment import Segment

File = tuple[str, ...]
_MASKS = (
    "segmentationclass",
    "annotations",
    "annotation",
    "annot",
    "masks",
    "mask",
    "labels",
    "label",
    "groundtruth",
    "gt",
    "segmentation",
)
_IMAGES = ("jpegimages", "images", "image", "imgs", "img", "input", "inputs")
_ENDINGS = re.compile(r"(?i)[_-](mask|label|labels|gt|seg|annot|l)$")
VOID, MANY = 255, 256


class Masks(Reader):
    """Images with a mask beside each, in a folder or a zip."""

    name = "folder"
    layout = "images with masks beside them"
    order = 71
    takes = ("size", "void")

    def recognises(self, path: Path) -> bool:
        images = holds_images(path) if path.is_dir() else path.suffix.lower() == ".zip"
        return images and bool(pairs(Files(path)))

    def read(self, path: Path, how: How) -> Raw:
        files = Files(path)
        return read(files, pairs(files), how)


def pairs(files: Files) -> list[tuple[str, File, File]]:
    """Return (part, image, mask) of folders that pair up by name and file names; nothing where there are none."""
    folders: dict[tuple[bool, str, str], dict[str, File]] = {}
    for file in files.all:
        masked, part, rest = _kind(file[:-1])
        folders.setdefault((masked, part, rest), {})[_ENDINGS.sub("", PurePath(file[-1]).stem).lower()] = file
    found = []
    for (masked, part, rest), images in folders.items():
        marks = folders.get((True, part, rest), {})
        common = sorted(set(images) & set(marks))
        if not masked and len(common) * 2 > len(images):
            found += [(part or "train", images[stem], marks[stem]) for stem in common]
    return sorted(found)


def _kind(place: File) -> tuple[bool, str, str]:
    """(whether a folder holds masks, its part or "", what is left of its path): train/image -> (False, train, "")."""
    words = [word for name in place for word in re.split(r"[_\-. ]", name.lower()) if word]
    part, masked, rest = "", False, []
    for word in words:
        for ending in _MASKS:
            if word.endswith(ending):
                word, masked = word.removesuffix(ending), True
                break
        else:
            word = "" if word in _IMAGES else word
        if word in PARTS and not part:
            part, word = PARTS[word], ""
        rest += [word] if word else []
    return masked, part, "/".join(rest)


def read(files: Files, found: list[tuple[str, File, File]], layout: How) -> Raw:
    """Read images as uint8 and masks as int16, all scaled to one size: images smoothly, masks to the nearest pixel."""
    size = layout.size or _common(files, [image for _, image, _ in found])
    grey = all(is_grey(opened(files, image)) for _, image, _ in found)
    images = [_image(files, image, size, "L" if grey else "RGB") for _, image, _ in found]
    marks = [_mask(files, mask, size, opened(files, image).size) for _, image, mask in found]
    classes, numbers, notes = _classes(files, marks, layout.void)
    labels = [_numbered(mark, numbers) for mark in marks]
    notes += on_white(files)
    if layout.size is not None:
        notes.append(f"images and masks were scaled to {size[1]} x {size[0]} pixels")
    parts = {}
    for part in dict.fromkeys(part for part, _, _ in found):
        rows = [k for k, (p, _, _) in enumerate(found) if p == part]
        parts[part] = (torch.stack([images[k] for k in rows]), torch.stack([labels[k] for k in rows]))
    if "train" not in parts:
        raise UserError(f"{files.path} has images and masks for {' and '.join(parts)} but not for train; add them")
    left = len(files.all) - 2 * len(found)
    if left:
        notes.append(f"{left} images without a mask, or masks without an image, were skipped")
    return Raw(parts, classes, "image", notes=notes, task=Segment(), labels_from="a mask beside each image")


def _common(files: Files, images: list[File]) -> tuple[int, int]:
    sizes = {opened(files, image).size for image in images}
    if len(sizes) > 1:
        shown = ", ".join(f"{w} x {h}" for w, h in sorted(sizes)[:3])
        raise UserError(f"{files.path} has images of {len(sizes)} sizes ({shown}, ...); say what to scale them to with size")
    ((w, h),) = sizes
    return h, w


def _image(files: Files, file: File, size: tuple[int, int], mode: str) -> Tensor:
    from PIL import Image

    image = converted(files, file, mode)
    return hwc(np.asarray(image if image.size == size[::-1] else image.resize(size[::-1], Image.Resampling.BOX)))


def _mask(files: Files, file: File, size: tuple[int, int], like: tuple[int, int]) -> Tensor:
    """A mask's values (h, w) int64."""
    from PIL import Image

    mask = opened(files, file)
    name = "/".join(file)
    if mask.format == "JPEG":
        raise UserError(f"{files.path}: mask {name} is a JPEG, whose values are not exact; save masks as PNG")
    if mask.size != like:
        raise UserError(f"{files.path}: mask {name} is {mask.size[0]} x {mask.size[1]}, its image {like[0]} x {like[1]} pixels")
    if mask.mode in ("RGB", "RGBA", "LA"):
        bands = np.asarray(mask.convert("RGB"))
        if (bands != bands[..., :1]).any():
            raise UserError(f"{files.path}: mask {name} is in colours; save masks with one number for each pixel")
        mask = Image.fromarray(bands[..., 0])
    values = np.asarray(mask).astype(np.int64)
    if values.shape != size:
        rows = ((np.arange(size[0]) + 0.5) * values.shape[0] / size[0]).astype(int)
        columns = ((np.arange(size[1]) + 0.5) * values.shape[1] / size[1]).astype(int)
        values = values[rows][:, columns]
    return torch.from_numpy(values)


def _classes(files: Files, marks: list[Tensor], void: int | None) -> tuple[tuple[str, ...], dict[int, int], list[str]]:
    """Names of the classes, the number of each value (-100: not counted), and what to say of it."""
    values = sorted(set().union(*(mark.unique().tolist() for mark in marks)))
    counted, notes = [v for v in values if v != void], []
    names = files.text("classes.txt")
    listed = names is not None and max((v for v in counted if v != VOID), default=0) < len(names)
    if len(counted) > MANY:
        raise UserError(f"{files.path}: the masks hold {len(counted)} values; expected a class number for each pixel")
    if VOID in counted and (2 < len(names or ()) <= VOID if listed else _beyond(counted)):
        counted.remove(VOID)
    dense = _dense(counted) or (listed and max(counted, default=0) < VOID)
    numbers = {v: v if dense else k for k, v in enumerate(counted)}
    if not dense:
        notes.append("mask values " + ", ".join(map(str, counted[:6])) + f" became classes 0 to {len(counted) - 1}")
    ignored = [v for v in values if v not in numbers]
    if ignored:
        notes.append(f"pixels with mask value {' or '.join(map(str, ignored))} are not counted")
    count = 1 + max(numbers.values(), default=0)
    if names is not None and len(names) < count:
        raise UserError(
            f"{files.path}: classes.txt names {len(names)} classes, but the masks hold {count} values up to {max(counted)}; "
            "name all of them, or set data.void to the value that is no class"
        )
    if names is not None:
        return tuple(names[:count]) if void == len(names) - 1 else tuple(names), numbers, notes
    plain = ("background", "foreground") if count == 2 else tuple(str(k) for k in range(count))
    return plain, numbers, notes


def _beyond(values: list[int]) -> bool:
    """Whether 255, the last of the values, stands apart from class numbers without a gap."""
    return values not in ([0, VOID], [VOID]) and values[-2] + 1 < VOID and _dense(values[:-1])


def _dense(values: list[int]) -> bool:
    """Whether values are class numbers as they are: most numbers up to the largest occur."""
    return not values or values[-1] < 2 * len(values)


def _numbered(mark: Tensor, numbers: Mapping[int, int]) -> Tensor:
    out = torch.full(mark.shape, -100, dtype=torch.int16)
    for value, number in numbers.items():
        out[mark == value] = number
    return out


def tiled(data: Data, side: int) -> Data:
    """Cut every image and mask into squares; the last of a row or column overlap where the side does not divide.

    Tiles of an image stay together in a partition, and are drawn together by the score's interval.
    """
    if not isinstance(data.task, Segment):
        raise UserError(f"only images with masks are cut into tiles, {data.name} has {data.task.name} labels; leave tile out")
    h, w = data.shape[1:]
    if side > min(h, w):
        raise UserError(f"tiles of {side} pixels are larger than the images ({w} x {h}); take smaller ones")
    corners = [(top, left) for top in _starts(h, side) for left in _starts(w, side)]
    parts = {name: _cut(part, corners, side) for name, part in data.partitions.items()}
    notes = (*data.notes, f"images were cut into {len(corners)} tiles of {side} x {side} pixels")
    shape = (data.shape[0], side, side)
    return replace(data, partitions=parts, shape=shape, notes=notes, task=Segment(len(corners)), _memo={})


def _starts(length: int, side: int) -> list[int]:
    count = ceil(length / side)
    return [round(k * (length - side) / max(1, count - 1)) for k in range(count)]


def _cut(part: Partition, corners: list[tuple[int, int]], side: int) -> Partition:
    def cut(images: Tensor) -> Tensor:
        return torch.stack([images[..., t : t + side, l : l + side] for t, l in corners], 1).flatten(0, 1)  # noqa: E741

    assert isinstance(part.inputs, Tensor)
    index = (part.index[:, None] * len(corners) + torch.arange(len(corners))).flatten()
    return Partition(part.name, cut(part.inputs), None if part.labels is None else cut(part.labels), index)
