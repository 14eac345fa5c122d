"""Images with masks: layouts, values, sizes, tiles; views move a mask exactly as they move its image."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from limbeck import data
from limbeck.data import Batches, from_datasets
from limbeck.data.views import parse
from limbeck.errors import UserError
from limbeck.tasks.segment import Segment

LAYOUTS = [
    ("train/images/{}.png", "train/masks/{}.png", True),
    ("images/train/{}.png", "masks/train/{}.png", True),
    ("train/{}.png", "trainannot/{}.png", True),
    ("train/image/{}.png", "train/label/{}_mask.png", True),
    ("JPEGImages/{}.png", "SegmentationClass/{}.png", False),
]


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def make(root, image, mask, values=(0, 1, 2), count=5, size=(8, 12), dtype=np.uint8):
    """Pairs whose image shows its own mask: grey = 10 x class."""
    rng = np.random.default_rng(0)
    for part in ("train", "test") if image.startswith(("train", "images/train")) else ("train",):
        for k in range(count):
            numbers = rng.integers(0, len(values), size)
            write(root / image.format(k).replace("train", part), (10 * numbers).astype(np.uint8))
            write(root / mask.format(k).replace("train", part), np.asarray(values)[numbers].astype(dtype))
    return root


@pytest.mark.parametrize(("image", "mask", "tested"), LAYOUTS)
def test_folders_that_pair_up_are_images_and_masks(tmp_path, image, mask, tested):
    found = data.load(str(make(tmp_path / "set", image, mask)), validation=0.2)
    assert found.task == Segment() and found.classes == ("0", "1", "2") and found.shape == (1, 8, 12)
    assert len(found["test"]) == (5 if tested else 1)
    for part in found.partitions.values():
        assert torch.equal(part.inputs[:, 0].long(), 10 * part.labels.long())


def test_a_zip_reads_as_its_folder_does(tmp_path):
    root = make(tmp_path / "set", *LAYOUTS[2][:2])
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, path.relative_to(root))
    assert data.load(str(tmp_path / "set.zip")).fingerprint == data.load(str(root)).fingerprint


def test_folders_by_class_stay_a_classification_even_if_a_class_is_called_mask(tmp_path):
    for name in ("mask", "nothing"):
        for k in range(4):
            write(tmp_path / name / f"{name}{k}.png", np.full((8, 8), k, np.uint8))
    assert data.load(str(tmp_path)).task.name == "classify"


@pytest.mark.parametrize(
    ("values", "dtype", "void", "classes", "numbers"),
    [
        ((0, 255), np.uint8, None, ("background", "foreground"), {0: 0, 255: 1}),
        ((0, 65535), np.uint16, None, ("background", "foreground"), {0: 0, 65535: 1}),
        ((0, 1, 2, 255), np.uint8, None, ("0", "1", "2"), {0: 0, 1: 1, 2: 2, 255: -100}),
        ((0, 128, 255), np.uint8, None, ("0", "1", "2"), {0: 0, 128: 1, 255: 2}),
        ((0, 1, 2, 3), np.uint8, 3, ("0", "1", "2"), {0: 0, 1: 1, 2: 2, 3: -100}),
    ],
)
def test_values_of_masks_become_classes(tmp_path, values, dtype, void, classes, numbers):
    found = data.load(str(make(tmp_path, *LAYOUTS[0][:2], values=values, dtype=dtype)), void=void)
    assert found.classes == classes
    train = found["train"]
    for k, value in enumerate(values):
        assert (train.labels[train.inputs[:, 0] == 10 * k] == numbers[value]).all()


def test_names_of_classes_lie_beside_the_folders(tmp_path):
    make(tmp_path, *LAYOUTS[0][:2])
    (tmp_path / "classes.txt").write_text("sky\nroad\ntree\n", encoding="utf-8")
    assert data.load(str(tmp_path)).classes == ("sky", "road", "tree")


def test_scaling_takes_means_of_images_and_nearest_pixels_of_masks(tmp_path):
    block = np.kron(np.array([[0, 1], [2, 0]], np.uint8), np.ones((4, 4), np.uint8))
    for part in ("train", "test"):
        for k in range(4):
            write(tmp_path / part / "images" / f"{k}.png", 10 * block)
            write(tmp_path / part / "masks" / f"{k}.png", block)
    found = data.load(str(tmp_path), size=(2, 2))
    assert found["train"].labels[0].tolist() == [[0, 1], [2, 0]]
    assert found["train"].inputs[0, 0].tolist() == [[0, 10], [20, 0]]


def test_tiles_of_an_image_stay_in_one_part_and_cover_it(tmp_path):
    root = make(tmp_path, "image/{}.png", "label/{}.png", size=(16, 20))
    whole, cut = data.load(str(root), validation=0.2), data.load(str(root), validation=0.2, tile=8)
    assert cut.task == Segment(pieces=6) and cut.shape == (1, 8, 8)
    for name, part in cut.partitions.items():
        images = whole[name]
        assert (part.index // 6).unique().tolist() == images.index.tolist()
        first = part.inputs[:6, 0]
        assert torch.equal(first[0], images.inputs[0, 0, :8, :8]) and torch.equal(first[5], images.inputs[0, 0, 8:, 12:])
        assert torch.equal(part.inputs[:, 0].long(), 10 * part.labels.long())


@pytest.mark.parametrize("text", ["crop:3", "flip", "crop:2,flip,cutout:3", "noise:0.001,flip", "identity"])
def test_a_mask_moves_with_its_image(text):
    masks = torch.randint(1, 4, (20, 9, 7), generator=torch.Generator().manual_seed(0))
    found = from_datasets(((60 * masks[:, None]).to(torch.uint8), masks), validation=0.2, classes=4)
    batch = Batches(found["train"], found, size=8, seed=1, views={"inputs": parse(text), "other": parse(text)}).batch(3)
    for view, labels in (("inputs", "labels"), ("other", "other_labels")):
        seen, moved = (batch[view][:, 0] * 255 / 60).round().long(), batch.get(labels, batch["labels"])
        inside = moved != -100
        hidden = seen == 0  # cut out, or outside of the picture
        assert torch.equal(seen[inside & ~hidden], moved[inside & ~hidden]) and hidden[~inside].all()
        assert inside.float().mean() > 0.4
    assert torch.equal(batch["labels"], masks[batch["index"]]) == (text == "identity")


def test_views_that_no_mask_can_follow_are_refused():
    masks = torch.zeros(8, 8, 8, dtype=torch.int64)
    masks[:, :4] = 1
    found = from_datasets((torch.rand(8, 1, 8, 8), masks), validation=0.25)
    for text in ("randaugment", "mixup:0.2"):
        with pytest.raises(UserError, match="cannot move masks"):
            Batches(found["train"], found, size=4, seed=0, views={"inputs": parse(text)})


def test_bad_masks_are_one_sentence(tmp_path):
    root = make(tmp_path / "a", *LAYOUTS[0][:2])
    write(root / "train/masks/0.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(UserError, match="mask train/masks/0.png is 4 x 4, its image 12 x 8 pixels"):
        data.load(str(root))
    write(root / "train/masks/0.png", np.random.default_rng(0).integers(0, 255, (8, 12, 3), np.uint8))
    with pytest.raises(UserError, match="is in colours"):
        data.load(str(root))
    root = make(tmp_path / "b", *LAYOUTS[0][:2])
    write(root / "train/images/0.png", np.zeros((10, 12), np.uint8))
    with pytest.raises(UserError, match="2 sizes .* say what to scale them to with size"):
        data.load(str(root))
    with pytest.raises(UserError, match="tiles of 99 pixels are larger"):
        data.load(str(make(tmp_path / "c", *LAYOUTS[0][:2])), tile=99)
    with pytest.raises(UserError, match="masks of shape"):
        from_datasets((torch.rand(4, 1, 8, 8), torch.zeros(4, 8, 7, dtype=torch.int64)), validation=0.25, classes=2)
