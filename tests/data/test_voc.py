"""Pictures with boxes: the VOC form in its layouts, sizes, mistakes; views move boxes as they move pixels."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from limbeck import data
from limbeck.data import Batches, from_datasets
from limbeck.data.views import parse
from limbeck.errors import UserError
from limbeck.tasks.detect import Detect


def note(objects):
    inner = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in objects
    )
    return f"<annotation>{inner}</annotation>"


def make(root, count=6, sets=True):
    """Dark pictures of 32 x 24 with one bright box "cell" each, and "dot" of 4 x 4 in every second."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for k in range(count):
        picture, objects = np.zeros((24, 32, 3), np.uint8), [("cell", 2 + k % 19, 4, 12 + k % 19, 14)]
        picture[4:14, 2 + k % 19 : 12 + k % 19] = 200
        if k % 2:
            objects.append(("dot", 20, 18, 24, 22))
            picture[18:22, 20:24] = 100
        Image.fromarray(picture).save(root / f"JPEGImages/p{k}.png")
        (root / f"Annotations/p{k}.xml").write_text(note(objects), encoding="utf-8")
    if sets:
        for part, rows in (("train", range(4)), ("test", range(4, count))):
            (root / f"ImageSets/Main/{part}.txt").write_text("".join(f"p{k}\n" for k in rows), encoding="utf-8")
    return root


def test_boxes_are_read_with_their_sets_and_classes(tmp_path):
    found = data.load(str(make(tmp_path / "v")), validation=0.25)
    assert found.task == Detect((24, 32)) and found.classes == ("cell", "dot") and found.shape == (3, 24, 32)
    assert {k: len(v) for k, v in found.partitions.items()} == {"train": 3, "validation": 1, "test": 2}
    assert found["test"].labels.tolist()[0] == [[0, 6, 4, 16, 14], [-100] * 5]
    assert found["test"].labels.tolist()[1] == [[0, 7, 4, 17, 14], [1, 20, 18, 24, 22]]
    assert found.describe()["partitions"]["test"]["per_class"] == [2, 1]


def test_boxes_scale_with_their_pictures_and_a_zip_reads_the_same(tmp_path):
    root = make(tmp_path / "v")
    half = data.load(str(root), size=(12, 16))
    assert half.shape == (3, 12, 16) and half["test"].labels.tolist()[1][1] == [1, 10, 9, 12, 11]
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as archive:
        for path in root.rglob("*.*"):
            archive.write(path, path.relative_to(root.parent))
    assert data.load(str(tmp_path / "v.zip"), size=(12, 16)).fingerprint == half.fingerprint


@pytest.mark.parametrize("text", ["flip:1", "crop:5", "flip,crop:3,cutout:2"])
def test_boxes_move_with_the_pixels_in_them(tmp_path, text):
    found = data.load(str(make(tmp_path / "v", count=30, sets=False)), validation=0.1)
    for k in range(6):
        batch = Batches(found["train"], found, size=5, seed=1, views={"inputs": parse(text)}).batch(k)
        for picture, boxes in zip(batch["inputs"][:, 0], batch["labels"], strict=True):
            for label, *corners in boxes.tolist():
                if label == 0:
                    x0, y0, x1, y1 = (int(c) for c in corners)
                    inside = picture[y0:y1, x0:x1] * 255
                    bright = picture * 255 > 150
                    assert bright.sum() == (inside > 150).sum()  # nothing of it is outside of its box
                    assert (inside > 150).float().mean() > 0.6  # and the box holds little else (a square was cut out)


def test_a_box_whose_middle_left_is_gone():
    boxes = torch.tensor([[[0.0, 0.0, 0.0, 2.0, 2.0], [1.0, 4.0, 4.0, 8.0, 8.0]]]).repeat(64, 1, 1)
    found = from_datasets((torch.rand(64, 1, 8, 8), boxes), validation=0.25, classes=2, task=Detect((8, 8)))
    labels = Batches(found["train"], found, size=48, seed=0, views={"inputs": parse("crop:4")}).batch(0)["labels"]
    kept = labels[..., 0] >= 0
    assert 0 < (~kept).sum() < labels[..., 0].numel() and (labels[~kept] == -100).all()
    real = labels[kept]
    assert (real[:, 1:] >= 0).all() and (real[:, 1:] <= 8).all() and (real[:, 3:] > real[:, 1:3]).all()


def test_bad_boxes_are_one_sentence(tmp_path):
    root = make(tmp_path / "a")
    (root / "Annotations/p0.xml").write_text("<annotation><object><name>x</name></object></annotation>", encoding="utf-8")
    with pytest.raises(UserError, match="p0.xml: an object has no <bndbox>"):
        data.load(str(root))
    (root / "Annotations/p0.xml").write_text("<annotation>", encoding="utf-8")
    with pytest.raises(UserError, match="p0.xml is not readable XML"):
        data.load(str(root))
    inputs, good = torch.rand(4, 1, 8, 8), torch.tensor([[[0.0, 1.0, 1.0, 3.0, 3.0]]]).repeat(4, 1, 1)
    for change, words in (
        (good[..., :4], "boxes of shape"),
        (good + torch.tensor([5.0, 0, 0, 0, 0]), "out of range"),
        (good - 100, "has no box"),
    ):
        with pytest.raises(UserError, match=words):
            from_datasets((inputs, change), validation=0.25, classes=2, task=Detect((8, 8)))
    flat = good.clone()
    flat[1, 0, 3] = 1.0
    with pytest.raises(UserError, match="of zero area"):
        from_datasets((inputs, flat), validation=0.25, classes=2, task=Detect((8, 8)))
