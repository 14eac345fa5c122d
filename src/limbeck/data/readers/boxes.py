"""Pictures with boxes in PASCAL VOC's form: an .xml for each picture, in a folder or .zip.

ROOT/Annotations/1.xml ROOT/JPEGImages/1.jpg, split by ROOT/ImageSets/Main/train.txt, val.txt, test.txt
ROOT/train/1.xml ROOT/train/1.jpg ROOT/test/2.xml ...        (and valid); or unsplit, then split by us

Boxes become (n, m, 5): class, x0, y0, x1, y1 in pixels; class -100 fills up pictures with fewer than m objects, and objects that
are called difficult are neither learned nor counted.
"""

from pathlib import Path, PurePath
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader
from limbeck.data.readers.images import PARTS, Files, converted, holds_images, hwc, on_white, opened
from limbeck.data.words import lines
from limbeck.errors import UserError
from limbeck.tasks.detect import Detect
from limbeck.transforms.boxes import DIFFICULT

File = tuple[str, ...]
Objects = list[tuple[str, list[float], bool]]


class Boxes(Reader):
    """Images with a PASCAL VOC .xml for each, in a folder or a zip."""

    name = "folder"
    layout = "images with boxes in .xml files"
    order = 70
    takes = ("size",)

    def recognises(self, path: Path) -> bool:
        images = holds_images(path) if path.is_dir() else path.suffix.lower() == ".zip"
        return images and bool(pairs(Files(path)))

    def read(self, path: Path, how: How) -> Raw:
        files = Files(path)
        return read(files, pairs(files), how.size)


def pairs(files: Files) -> list[tuple[File, File]]:
    """Return (picture, .xml) of equal names, one after the other; nothing where most pictures have no .xml. Of several with its
    name a picture has the one whose path is most like its own.

    Raises `UserError` where two are equally like it.
    """
    notes: dict[str, list[File]] = {}
    for f in files.visible:
        if f[-1].lower().endswith(".xml"):
            notes.setdefault(PurePath(f[-1]).stem, []).append(f)
    found = [(f, _beside(files, f, notes[PurePath(f[-1]).stem])) for f in files.all if PurePath(f[-1]).stem in notes]
    return found if notes and len(found) * 2 > len(files.all) else []


def _beside(files: Files, picture: File, notes: list[File]) -> File:
    """The .xml of a picture: in its own folder, else in the folder that differs from its own in the fewest names."""

    def apart(note: File) -> tuple[int, int]:
        ours, theirs = picture[:-1], note[:-1]
        same = sum(1 for a, b in zip(ours, theirs, strict=False) if a == b)
        return len(ours) + len(theirs) - 2 * same, abs(len(ours) - len(theirs))

    best = sorted(notes, key=apart)
    if len(best) > 1 and apart(best[0]) == apart(best[1]):
        shown = " and ".join("/".join(note) for note in best[:2])
        raise UserError(f"{files.path}: {'/'.join(picture)} can be of {shown}; put each .xml beside its picture")
    return best[0]


def read(files: Files, found: list[tuple[File, File]], size: tuple[int, int] | None) -> Raw:
    """Read pictures as uint8 and boxes, both scaled to `size` (height, width); without one, all must be of one size."""
    from PIL import Image

    sizes = {opened(files, picture).size for picture, _ in found}
    if size is None and len(sizes) > 1:
        raise UserError(f"{files.path} has pictures of {len(sizes)} sizes; say what to scale them to with size")
    height, width = size or next(iter(sizes))[::-1]
    every = [_objects(files, note) for _, note in found]
    names = tuple(sorted({name for objects in every for name, *_ in objects}))
    if not names:
        raise UserError(f"{files.path}: no .xml names an object; expected <object><name> and <bndbox> in them")
    most = max(map(len, every))
    pictures: list[Tensor] = []
    boxes = torch.full((len(found), most, 5), -100.0)
    for row, ((file, _), objects) in enumerate(zip(found, every, strict=True)):
        picture = converted(files, file, "RGB")
        scale = (width / picture.width, height / picture.height) * 2
        pictures.append(hwc(np.asarray(picture.resize((width, height), Image.Resampling.BOX))))
        for k, (name, corners, difficult) in enumerate(objects):
            limits = (picture.width, picture.height) * 2
            inside = [min(max(c, 0.0), limit) * s for c, s, limit in zip(corners, scale, limits, strict=True)]
            if inside[2] > inside[0] and inside[3] > inside[1]:
                number = float(names.index(name))
                boxes[row, k] = torch.tensor([DIFFICULT - number if difficult else number, *inside])
    parts = _parts(files, found)
    if "train" not in parts:
        raise UserError(f"{files.path} has boxes for {' and '.join(sorted(set(parts)))} but not for train; add them")
    split = {}
    for part in dict.fromkeys(parts):
        rows = [k for k, p in enumerate(parts) if p == part]
        split[part] = (torch.stack([pictures[k] for k in rows]), boxes[rows])
    notes = [] if size is None else [f"pictures and boxes were scaled to {width} x {height} pixels"]
    left = len(files.all) - len(found)
    notes += [f"{left} pictures without an .xml were skipped"] if left else []
    notes += on_white(files)
    hard = sum(difficult for objects in every for *_, difficult in objects)
    notes += [f"{hard} objects are marked difficult: they are neither learned nor counted"] if hard else []
    return Raw(split, names, "image", notes=notes, task=Detect((height, width)), labels_from="an .xml for each picture")


def _objects(files: Files, file: File) -> Objects:
    where = f"{files.path}: {'/'.join(file)}"
    try:
        root = ElementTree.fromstring(files.read(file))
    except ElementTree.ParseError as error:
        raise UserError(f"{where} is not readable XML ({error}); replace or remove it") from error
    found: Objects = []
    for item in root.iter("object"):
        try:
            corners = [float(item.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError:
            raise UserError(f"{where}: an object has no <bndbox> with four numbers; add it or remove the object") from None
        difficult = item.findtext("difficult", "0").strip() not in ("0", "")
        found.append((item.findtext("name", "object").strip(), corners, difficult))
    return found


def _parts(files: Files, found: list[tuple[File, File]]) -> list[str]:
    """The part of every picture: as ImageSets/Main says, else as its folder is called, else train."""
    said: dict[str, str] = {}
    for file in files.visible:
        part = PARTS.get(PurePath(file[-1]).stem.lower())
        if part and len(file) > 2 and file[-3:-1] == ("ImageSets", "Main") and file[-1].endswith(".txt"):
            said |= {line.split()[0]: part for line in lines(files.read(file).decode("utf-8-sig", "replace")) if line.strip()}
    if said:
        return [said.get(PurePath(picture[-1]).stem, "train") for picture, _ in found]
    return [next((PARTS[name.lower()] for name in picture[:-1] if name.lower() in PARTS), "train") for picture, _ in found]
