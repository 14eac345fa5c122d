"""Pictures are read as they are looked at, classes in the order of their numbers, links followed, labels by their value."""

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from limbeck import data
from limbeck.data import from_datasets
from limbeck.data.readers import images
from limbeck.errors import UserError


def folder_of(root, picture, classes=("a", "b"), count=4, ending=".png", **how):
    for name in classes:
        (root / name).mkdir(parents=True)
        for k in range(count):
            picture(k).save(root / name / f"{k}{ending}", **how)
    return root


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    """1000 -> 3, 40000 -> 156, one channel; every pixel was 255."""
    grey = np.array([[1000, 40000], [0, 65535]], np.uint16)
    found = data.load(str(folder_of(tmp_path / "d", lambda k: Image.fromarray(grey))))
    assert found.shape == (1, 2, 2) and any("more than 8 bits" in note for note in found.notes)
    assert found["train"].inputs[0, 0].tolist() == [[3, 156], [0, 255]]


def test_floats_are_on_zero_to_one(tmp_path):
    bright = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
    found = data.load(str(folder_of(tmp_path / "d", lambda k: Image.fromarray(bright), ending=".tif")))
    assert found["train"].inputs[0, 0].tolist() == [[0, 128], [255, 64]]
    with pytest.raises(UserError, match=r"values 0 \.\. 300, where 0 \.\. 1 is expected"):
        data.load(str(folder_of(tmp_path / "e", lambda k: Image.fromarray(bright * 300), ending=".tif")))


def test_pictures_are_turned_before_their_size_is_taken(tmp_path):
    """Stored 48 x 24 with EXIF orientation 6: looked at, 48 high and 24 wide, the left edge on top."""
    stored = np.zeros((24, 48, 3), np.uint8)
    stored[:, :8] = 250
    exif = Image.Exif()
    exif[0x0112] = 6
    found = data.load(str(folder_of(tmp_path / "d", lambda k: Image.fromarray(stored), ending=".jpg", exif=exif, quality=95)))
    assert found.shape == (3, 48, 24)
    pixels = found["train"].inputs[0].float().mean(0)
    assert pixels[:6].mean() > 240 and pixels[12:].mean() < 10


@pytest.mark.parametrize("beside", ["masks", "boxes"])
def test_pictures_are_turned_beside_masks_and_boxes(tmp_path, beside):
    """The left edge of what is stored is bright and on top when looked at; under the mask, or in the box, it was dark."""
    stored = np.zeros((24, 48, 3), np.uint8)
    stored[:, :8] = 250
    exif = Image.Exif()
    exif[0x0112] = 6
    note = "<object><name>sky</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>24</xmax><ymax>8</ymax></bndbox></object>"
    for k in range(6):
        for name in ("images", "masks") if beside == "masks" else ("",):
            (tmp_path / "d" / "train" / name).mkdir(parents=True, exist_ok=True)
        picture = tmp_path / "d" / "train" / ("images" if beside == "masks" else "") / f"{k}.jpg"
        Image.fromarray(stored).save(picture, exif=exif, quality=95)
        if beside == "masks":
            top = np.zeros((48, 24), np.uint8)
            top[:8] = 1
            Image.fromarray(top).save(tmp_path / "d" / "train" / "masks" / f"{k}.png")
        else:
            picture.with_suffix(".xml").write_text(f"<annotation>{note}</annotation>")
    train = data.load(str(tmp_path / "d"), test=1, validation=1)["train"]
    assert train.inputs.shape[1:] == (3, 48, 24)
    bright = train.inputs[0].float().mean(0)
    if beside == "masks":
        assert bright[train.labels[0] == 1].mean() > 240 and bright[train.labels[0] == 0].mean() < 20
    else:
        assert train.labels[0].tolist() == [[0, 0, 0, 24, 8]] and bright[:8].mean() > 240 and bright[10:].mean() < 10


def test_a_png_that_is_turned_is_turned_and_one_that_is_not_is_not_decoded_for_its_size(tmp_path, monkeypatch):
    stored = np.zeros((24, 48, 3), np.uint8)
    stored[:, :8] = 250
    exif = Image.Exif()
    exif[0x0112] = 6
    found = data.load(str(folder_of(tmp_path / "d", lambda k: Image.fromarray(stored), exif=exif)))
    assert found.shape == (3, 48, 24) and found["train"].inputs[0].float().mean(0)[:6].mean() > 240
    plain, decoded = folder_of(tmp_path / "e", lambda k: Image.fromarray(stored)), []
    load = PngImagePlugin.PngImageFile.load
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda image: decoded.append(1) or load(image))
    for path in sorted(plain.rglob("*.png")):
        images.opened(images.Files(plain), path.relative_to(plain).parts)
    assert not decoded


def test_classes_with_numbers_are_in_their_order(tmp_path):
    names = [str(k) for k in range(12)]
    found = data.load(str(folder_of(tmp_path / "d", lambda k: Image.new("L", (8, 8), 10 * k), classes=names, count=8)))
    assert found.classes == tuple(names)


def test_linked_folders_are_read_and_circles_end(tmp_path):
    far = folder_of(tmp_path / "far", lambda k: Image.new("L", (8, 8), 10 * k))
    near = tmp_path / "near"
    (near / "train").mkdir(parents=True)
    for name in ("a", "b"):
        (near / "train" / name).symlink_to(far / name)
    (near / "test").symlink_to(far)
    found = data.load(str(near), validation=0.25)
    assert found.classes == ("a", "b") and len(found["test"]) == 8 and len(found["train"]) == 6
    (far / "a" / "round").symlink_to(far)
    assert data.load(str(near), validation=0.25).classes == ("a", "b")


def test_labels_that_are_equal_numbers_are_one_class(tmp_path):
    (tmp_path / "train.csv").write_text("x,label\n" + "".join(f"{k},{k % 2}\n" for k in range(20)))
    (tmp_path / "test.csv").write_text("x,label\n" + "".join(f"{k},{k % 2}.0\n" for k in range(6)))
    found = data.load(str(tmp_path))
    assert found.classes == ("0", "1") and found["test"].labels.tolist() == [0, 1] * 3


class Folded(torch.utils.data.Dataset):
    """`.targets` say four classes, items fold class 1 into 0."""

    def __init__(self, count: int):
        self.targets = [k * 4 // count for k in range(count)]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int):
        target = self.targets[row]
        return torch.full((2,), float(target)), 0 if target == 1 else target


@pytest.mark.parametrize("count", [100, 21_000])
def test_labels_are_what_items_say(count):
    found = from_datasets(Folded(count), validation=(torch.zeros(4, 2), torch.arange(4)), classes=4)
    assert found["train"].labels.bincount().tolist() == [count // 2, 0, count // 4, count // 4]
