"""What lies about in folders and files of others: one right reading, said where something was done to it, or one sentence."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from limbeck import data
from limbeck.data import Batches, from_datasets, parse, understood
from limbeck.errors import UserError


def folder(root, picture, ending="png", **how):
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for k in range(4):
            picture.save(root / name / f"{k}.{ending}", **how)
    return str(root)


def read(path):
    found = data.load(path, validation=2)
    return found, found["train"].inputs[0]


def test_palettes_are_their_colours(tmp_path):
    colours = Image.new("RGB", (4, 4), (10, 200, 30))
    colours.putpixel((0, 0), (250, 0, 0))
    _, first = read(folder(tmp_path / "d", colours.convert("P", palette=Image.Palette.ADAPTIVE)))
    assert first[:, 0, 0].tolist() == [250, 0, 0] and first[:, 1, 1].tolist() == [10, 200, 30]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_on_white(tmp_path, mode):
    """The colours hidden under transparent pixels were shown."""
    clear = Image.new("RGBA", (4, 4), (40, 40, 40, 255))
    clear.putpixel((0, 0), (40, 40, 40, 0))
    how = {}
    if mode == "P":
        clear, how = Image.new("P", (4, 4), 1), {"transparency": 0}
        clear.putpalette([40, 40, 40] * 2)
        clear.putpixel((0, 0), 0)
    found, first = read(folder(tmp_path / "d", clear if mode == "P" else clear.convert(mode), **how))
    assert first[:, 0, 0].tolist() == [255] * 3 and first[:, 1, 1].tolist() == [40] * 3
    assert "8 images with transparent pixels were laid on white" in understood(found)


def test_inks_bits_and_frames(tmp_path):
    _, first = read(folder(tmp_path / "cmyk", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPG", quality=95))
    assert first[0].float().mean() > 240 and first[1:].float().mean() < 15
    bits = Image.new("1", (4, 4))
    bits.putpixel((0, 0), 1)
    found, first = read(folder(tmp_path / "bits", bits, "PNG"))
    assert found.shape == (1, 4, 4) and first[0, 0].tolist() == [255, 0, 0, 0]
    frames = [Image.new("L", (4, 4), v) for v in (50, 90, 130)]
    found, first = read(folder(tmp_path / "gif", frames[0], "gif", save_all=True, append_images=frames[1:]))
    assert set(first.flatten().tolist()) == {50} and "of 8 images with several frames the first is taken" in understood(found)


def test_files_that_systems_leave_and_empty_folders(tmp_path):
    path = folder(tmp_path / "d", Image.new("L", (4, 4), 9))
    for name in (".DS_Store", "._0.png", "Thumbs.db"):
        (tmp_path / "d" / "a" / name).write_bytes(b"x")
    (tmp_path / "d" / "c").mkdir()
    (tmp_path / "d" / ".cache").mkdir()
    (tmp_path / "d" / "a" / "deep").mkdir()
    Image.new("L", (4, 4), 7).save(tmp_path / "d" / "a" / "deep" / "9.png")
    found = data.load(path, validation=2)
    assert found.classes == ("a", "b") and sum(len(part) for part in found.partitions.values()) == 9
    said = understood(found)
    assert "1 files that are not images were skipped" in said and "folders without images are no classes: c" in said


def test_hidden_copies_of_tables_and_recordings_are_not_read(tmp_path):
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + "good film\t1\nbad film\t0\n" * 5)
    (tmp_path / "._train.tsv").write_bytes(b"\x00\x05\x16\x07")
    assert data.load("sentences", path=tmp_path).classes == ("0", "1")
    from limbeck.data.readers.recordings import holds_recordings

    (tmp_path / "._yes_1.wav").write_bytes(b"x")
    assert not holds_recordings(tmp_path)


class Pictures(torch.utils.data.Dataset):
    def __init__(self, picture):
        self.picture = picture

    def __len__(self):
        return 8

    def __getitem__(self, k):
        return self.picture, k % 2


def test_pictures_of_a_dataset_are_read_as_those_of_a_folder():
    deep = Image.fromarray(np.array([[1000, 40000], [0, 65535]], np.uint16))
    found = from_datasets(Pictures(deep), validation=2)
    assert (Batches(found["train"], found, size=1, seed=0).whole()["inputs"][0, 0] * 255).round().tolist() == [[3, 156], [0, 255]]
    clear = from_datasets(Pictures(Image.new("RGBA", (2, 2), (40, 40, 40, 0))), validation=2)
    assert (Batches(clear["train"], clear, size=1, seed=0).whole()["inputs"] == 1).all()


ROWS = torch.eye(3)[torch.arange(30) % 3]


@pytest.mark.parametrize("rows", [ROWS, ROWS.long(), ROWS.numpy().astype(np.uint8)], ids=["floats", "int64", "uint8"])
def test_rows_with_a_single_one_are_classes(rows, tmp_path):
    """Floats were three numbers to be predicted, without a word."""
    found = from_datasets((torch.rand(30, 4), rows), validation=6)
    assert found.task.name == "classify" and found.classes == ("0", "1", "2") and found["train"].labels.dim() == 1
    assert "labels are rows with a single 1, and became its place" in understood(found)
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).random((30, 4)), y=np.asarray(rows))
    parts = data.load(str(tmp_path / "a.npz")).partitions.values()
    assert (
        torch.cat([part.labels for part in parts])[torch.cat([part.index for part in parts]).argsort()].tolist() == [0, 1, 2] * 10
    )
    assert data.load(str(tmp_path / "a.npz")).classes == ("0", "1", "2")


def test_true_and_false():
    found = from_datasets((torch.rand(20, 4), torch.arange(20) % 2 == 0), validation=4)
    assert found.task.name == "classify" and found.classes == ("0", "1")
    assert from_datasets((torch.rand(30, 4), ROWS.bool()), validation=6).task.name == "tags"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.full((20,), torch.nan), "labels that are not finite, the first in sample 0"),
        (torch.arange(20) * 600_000_000, "reach 11,400,000,000 in 20 samples, as ids do"),
        (np.array(["a", "b"] * 10), "labels must be numbers, got <U1; number the classes from 0"),
        (np.array([{}] * 20), "labels must be numbers, got object"),
        (torch.rand(20) + 1j, "labels must be numbers, got torch.complex64"),
        (torch.arange(20) - 1, "expected 0 to 18 for 19 classes, got -1"),
    ],
)
def test_labels_that_are_none(labels, words):
    with pytest.raises(UserError, match=words):
        from_datasets((torch.rand(20, 4), labels), validation=4)


def test_inputs_that_are_no_numbers_and_ids_of_npz(tmp_path):
    with pytest.raises(UserError, match="inputs must be numbers, got torch.complex64; convert them first"):
        from_datasets((torch.rand(20, 4) + 1j, torch.arange(20) % 2), validation=4)
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=np.arange(4) * 10**8)
    with pytest.raises(UserError, match="reach 300,000,000 in 4 samples, as ids do"):
        data.load(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_labels_of_npz_that_are_not_finite(tmp_path, value):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=np.array([0, 1, 0, value]))
    with pytest.raises(UserError, match="labels must be whole numbers or words"):
        data.load(str(tmp_path / "a.npz"))


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=np.arange(4) % 2, extra=np.array([{"a": 1}], object))
    with pytest.raises(UserError, match="holds Python objects"):
        data.load(str(tmp_path / "a.npz"))


def test_names_that_occur_twice(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1, "a": 2, "label": 0}\n' * 4)
    with pytest.raises(UserError, match="line 1 is not JSON .a key occurs twice."):
        data.load(str(tmp_path / "t.jsonl"))
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet")
    from pyarrow import parquet

    columns = [pyarrow.array(range(4)), pyarrow.array(range(4)), pyarrow.array([0, 1, 0, 1])]
    parquet.write_table(pyarrow.table(columns, names=["a", "a", "label"]), tmp_path / "t.parquet")
    with pytest.raises(UserError, match="several columns called 'a'"):
        data.load(str(tmp_path / "t.parquet"))


def test_a_jsonl_test_part_without_labels_is_left_out(tmp_path):
    for part, keys in (("train", ("a", "label")), ("test", ("a",))):
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(dict.fromkeys(keys, k % 2)) + "\n" for k in range(10)))
    assert "test has no labels and was left out" in understood(data.load(str(tmp_path)))


def test_settings_that_data_do_not_use_are_said(tmp_path):
    (tmp_path / "t.csv").write_text("a,label\n" + "".join(f"{k},{k % 2}\n" for k in range(20)))
    said = understood(data.load(str(tmp_path / "t.csv"), size=(8, 8), void=3))
    assert "data.size is not used by such data; data.void is not used by such data" in said
    path = folder(tmp_path / "d" / "train", Image.new("L", (4, 4)))
    folder(tmp_path / "d" / "test", Image.new("L", (4, 4)))
    said = understood(data.load(str(tmp_path / "d"), size=(8, 8), test=3))
    assert path and "data.test is not used, for the source has a test part" in said and "data.size" not in said


def test_crops_out_of_sight_are_refused():
    found = data.load("digits")
    Batches(found["train"], found, size=2, seed=0, views={"inputs": parse("crop:7")})
    with pytest.raises(UserError, match="crop:99 would shift images of 8 x 8 pixels out of sight; take a smaller padding"):
        Batches(found["train"], found, size=2, seed=0, views={"inputs": parse("crop:99")})
