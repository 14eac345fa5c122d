"""A folder of images, one sub-folder for each class; also as a .zip, which is read in place and never unpacked.

ROOT/cat/1.png ROOT/dog/2.jpg ...            split by us
ROOT/train/cat/1.png ... ROOT/test/dog/9.png (and val, valid or validation)  split by the source
ROOT/unlabelled/1.png ...                    beside either: images that nobody labelled
"""

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw, in_order
from limbeck.data.reader import MEMORY, How, Reader
from limbeck.data.streamed import PictureFiles
from limbeck.data.words import lines
from limbeck.errors import UserError
from limbeck.plan.kinds import Value

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= dict.fromkeys(("val", "valid", "validation"), "validation")
UNLABELLED = ("unlabelled", "unlabeled")
_LARGEST = 224
ORIENTATION = 0x0112  # EXIF's tag
DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")  # Pillow's modes of more than 8 bits, all grey


class Images(Reader):
    """Images by class, in a folder or a zip."""

    name = "folder"
    layout = "image folders by class (or their .zip)"
    order = 80
    takes = ("size",)

    def recognises(self, path: Path) -> bool:
        return holds_images(path) if path.is_dir() else path.suffix.lower() == ".zip"

    def read(self, path: Path, how: How) -> Raw:
        if how.unlabelled and not _classed(path):
            from limbeck.data.readers import pictures

            return pictures.read(path, how.size, how.memory)
        return read(path, how.size, how.memory)


def _classed(path: Path) -> bool:
    """Whether every image is in the folder of a class."""
    try:
        return bool(_grouped(Files(path)))
    except UserError:
        return False


class Files:
    """Image files by their path as a tuple of names, from a folder or a zip."""

    def __init__(self, path: Path):
        self.path, self.zip = path, None
        if path.is_dir():
            found = [file.relative_to(path).parts for file in _below(path)]
        else:
            try:
                self.zip = zipfile.ZipFile(path)
            except (zipfile.BadZipFile, OSError) as error:
                raise UserError(f"{path} is not a zip file, or a damaged one; zip the folder again") from error
            self.names = {tuple(n.split("/")): n for n in self.zip.namelist() if not n.endswith("/")}
            found = list(self.names)
        self.visible = [f for f in found if not any(n.startswith((".", "__MACOSX")) for n in f)]
        self.all = sorted(f for f in self.visible if f[-1].lower().endswith(ENDINGS))
        self.skipped = len(self.visible) - len(self.all)
        self.clear: set[tuple[str, ...]] = set()  # images with transparent pixels, as far as they were read

    def text(self, name: str) -> list[str] | None:
        """The lines of a text file at the root (or right below it), without empty ones; None where there is none."""
        for place in sorted((f for f in self.visible if f[-1].lower() == name and len(f) <= 2), key=len):
            return [line.strip() for line in lines(self.read(place).decode("utf-8-sig", "replace")) if line.strip()]
        return None

    def read(self, file: tuple[str, ...]) -> bytes:
        try:
            return self.zip.read(self.names[file]) if self.zip else self.path.joinpath(*file).read_bytes()
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise UserError(f"{self.path}: {'/'.join(file)} cannot be read: {error}; replace it") from error


def holds_images(path: Path) -> bool:
    """Whether a folder has an image somewhere below a sub-folder."""
    return any(file.suffix.lower() in ENDINGS for d in sorted(path.iterdir()) if d.is_dir() for file in _below(d))


def _below(folder: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """All files in a folder and its sub-folders, links followed, but never into a folder that they lie in."""
    here = folder.resolve()
    try:
        inside = sorted(folder.iterdir()) if here not in above else []
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {(error.strerror or str(error)).lower()}; allow it or remove it") from error
    for path in inside:
        if path.is_dir():
            yield from _below(path, above | {here})
        elif path.is_file():
            yield path


def read(path: Path, wanted: tuple[int, int] | None = None, memory: float = MEMORY) -> Raw:
    """Read all images as uint8 of one size; those of a folder that need more than `memory` GiB stay in their files.

    Images of one size of at most 224 pixels stay as they are; else the middle of each is scaled to a square, its
    side the median of the shorter sides, at most 224; or all are scaled to the height and width `wanted`. Grey where
    all are grey, else red, green, blue.
    """
    files = Files(path)
    files_by_class = _grouped(files)
    classes = in_order({label for _, label, _ in files_by_class if label is not None})
    parts = sorted({part for part, _, _ in files_by_class})
    if "train" not in parts:
        raise UserError(f"{path} has {' and '.join(parts)} folders but no train folder; add one")
    raw = of_files(files, files_by_class, classes, wanted, memory)
    raw.notes += _without_images(files, [(label, file) for _, label, file in files_by_class if label is not None])
    return raw


Member = tuple[str, str | None, tuple[str, ...]]
"""An image: its part, its class or None, its file."""


def of_files(
    files: Files, members: list[Member], classes: tuple[str, ...], wanted: tuple[int, int] | None, memory: float = MEMORY
) -> Raw:
    """The images of one size, with the numbers of their classes."""
    size, mode, notes = _common(files, [f for _, _, f in members], wanted)
    if files.skipped:
        notes.append(f"{files.skipped} files that are not images were skipped")
    shape = (1 if mode == "L" else 3, size[1], size[0])
    room, decoded = len(members) * prod(shape) / 2**30, partial(_pixels, files, size=size, mode=mode)
    streamed = files.zip is None and room > memory
    if streamed:
        notes.append(f"pictures are read from their files as they are needed: {room:.3g} GiB are more than data.memory_gb")
    out: dict[str, tuple[Value, Tensor | None]] = {}
    ids: dict[str, list[str]] = {}
    for part in sorted({part for part, _, _ in members}):
        own = [(label, file) for p, label, file in members if p == part]
        numbers, here = [classes.index(label) for label, _ in own if label is not None], [file for _, file in own]
        labels = torch.tensor(numbers) if numbers else None
        out[part] = (PictureFiles(here, decoded, labels, shape) if streamed else torch.stack([*map(decoded, here)]), labels)
        ids[part] = ["/".join(file) for _, file in own]
    notes += on_white(files)
    return Raw(out, classes, "image", notes=notes, labels_from="names of folders" if classes else "", ids=ids)


def _without_images(files: Files, members: list[tuple[str, tuple[str, ...]]]) -> list[str]:
    """What to say of folders beside those of classes that hold no image; a .zip need not list its folders."""
    if files.zip is not None:
        return []
    roots = {files.path.joinpath(*file[: file.index(label)]) for label, file in members}
    found = {d.name for root in roots for d in root.iterdir() if d.is_dir() and not d.name.startswith((".", "__MACOSX"))}
    empty = sorted(found - {label for label, _ in members} - {name for name in found if name.lower() in (*PARTS, *UNLABELLED)})
    return [f"folders without images are no classes: {', '.join(empty[:6])}"] if empty else []


def _grouped(files: Files) -> list[Member]:
    """Return (part, class, file) of every image; a single folder around everything is looked through."""
    depth = 0
    while len({f[: depth + 1] for f in files.all}) == 1 and min(map(len, files.all)) > depth + 2:
        if files.all[0][depth].lower() in PARTS:
            break
        depth += 1
    split = bool(files.all) and {f[depth].lower() for f in files.all} <= {*PARTS, *UNLABELLED}
    out: list[Member] = []
    for file in files.all:
        rest = file[depth:]
        if rest[0].lower() in UNLABELLED and len(rest) > 1:
            out.append(("unlabelled", None, file))
            continue
        part = PARTS[rest[0].lower()] if split else "train"
        rest = rest[1:] if split else rest
        if len(rest) < 2:
            raise UserError(f"{files.path}: {'/'.join(file)} is not in a class folder; expected CLASS/{file[-1]}")
        out.append((part, rest[0], file))
    if not out:
        raise UserError(
            f"{files.path} holds no images; expected a sub-folder with images ({', '.join(ENDINGS[:3])}, ...) per class"
        )
    return out


def opened(files: Files, file: tuple[str, ...]):  # type: ignore[no-untyped-def]
    """An image as it is looked at: turned as its EXIF says."""
    from PIL import Image, ImageOps

    try:
        content = files.read(file)
        image = Image.open(io.BytesIO(content))
        if is_turned(image, content):
            ImageOps.exif_transpose(image, in_place=True)
        return image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{files.path}: {'/'.join(file)} is not a readable image; replace or remove it") from error


def is_turned(image, content: bytes) -> bool:  # type: ignore[no-untyped-def]
    """Whether EXIF says so, without decoding the image: often only its size is wanted."""
    if image.format == "PNG" and not any(word in content for word in (b"eXIf", b"exif", b"Exif", b"Orientation")):
        return False  # Pillow decodes a PNG to look for it behind the pixels
    return image.getexif().get(ORIENTATION, 1) != 1


def _common(
    files: Files, members: list[tuple[str, ...]], wanted: tuple[int, int] | None
) -> tuple[tuple[int, int], str, list[str]]:
    sizes, grey, deep, moving = [], True, 0, 0
    for file in members:
        image = opened(files, file)
        sizes.append(image.size)
        grey = grey and is_grey(image)
        deep += image.mode in DEEP
        moving += getattr(image, "is_animated", False)
    mode = "L" if grey else "RGB"
    notes = [f"{deep} images of more than 8 bits became 8 bits"] if deep else []
    notes += [f"of {moving} images with several frames the first is taken"] if moving else []
    if wanted is not None:
        return (wanted[1], wanted[0]), mode, [*notes, f"images were scaled to {wanted[1]} x {wanted[0]} pixels"]
    if len(set(sizes)) == 1 and max(sizes[0]) <= _LARGEST:
        return sizes[0], mode, notes
    side = min(_LARGEST, int(np.median([min(s) for s in sizes])))
    return (side, side), mode, [*notes, f"images were scaled to {side} x {side} pixels (the middle square of each)"]


def _pixels(files: Files, file: tuple[str, ...], size: tuple[int, int], mode: str) -> Tensor:
    from PIL import ImageOps

    image = converted(files, file, mode)
    return hwc(np.asarray(image if image.size == size else ImageOps.fit(image, size)))


def is_grey(image) -> bool:  # type: ignore[no-untyped-def]
    return image.mode in ("1", "L", *DEEP)


def converted(files: Files, file: tuple[str, ...], mode: str):  # type: ignore[no-untyped-def]
    """An image with 8 bits, grey ("L") or in colours ("RGB")."""
    from PIL import Image

    image = opened(files, file)
    try:
        if image.mode in DEEP:
            return eight_bits(f"{files.path}: {'/'.join(file)}", image).convert(mode)
        plain = opaque(image)
        if plain is not image:
            files.clear.add(file)
        return plain.convert(mode)
    except UserError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{files.path}: {'/'.join(file)} is not a readable image; replace or remove it") from error


def on_white(files: Files) -> list[str]:
    """What to say of images with transparent pixels."""
    return [f"{len(files.clear)} images with transparent pixels were laid on white"] if files.clear else []


def opaque(image):  # type: ignore[no-untyped-def]
    """An image without transparent pixels: what lies under them is white, not the colour that is hidden there."""
    from PIL import Image

    if "transparency" not in image.info and image.mode not in ("RGBA", "LA", "PA", "RGBa", "La"):
        return image
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema()[0] == 255:
        return image
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)


def eight_bits(who: str, image):  # type: ignore[no-untyped-def]
    """A grey image of 16 bits (v >> 8), or of floats on 0 .. 1 (times 255)."""
    from PIL import Image

    values = np.asarray(image)
    top = 1.0 if image.mode == "F" else 65535
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= top):
        raise UserError(
            f"{who} has values {values.min():g} .. {values.max():g}, where 0 .. {top:g} is expected; "
            "save it on that scale, or with 8 bits"
        )
    whole = (values * 255).round() if image.mode == "F" else values.astype(np.int64) >> 8
    return Image.fromarray(whole.astype(np.uint8))


def hwc(array: np.ndarray) -> Tensor:
    """Return an image array (h, w) or (h, w, c) as a tensor (c, h, w)."""
    array = array[:, :, None] if array.ndim == 2 else array
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)).copy())
