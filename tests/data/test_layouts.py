"""Reading: every layout from tiny made files, and every way those can be wrong."""

import gzip
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from limbeck import data as D
from limbeck.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"
RANDOM = np.random.default_rng(0)


def refused(words, *args, **kwargs):
    with pytest.raises(UserError, match=words) as caught:
        D.load(*args, **kwargs)
    assert "\n" not in str(caught.value)


def write_idx(folder, packed, n=40, test=10):
    folder.mkdir(parents=True, exist_ok=True)
    kept = {}
    for part, count in (("train", n), ("t10k", test)):
        pixels, labels = RANDOM.integers(0, 256, (count, 9, 8), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            content = head + array.tobytes()
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
        kept[part] = pixels
    return kept


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_idx(tmp_path, packed, below):
    pixels = write_idx(tmp_path / below, packed)
    data = D.load("mnist", path=tmp_path, validation=0)
    assert torch.equal(data["train"].inputs[:, 0], torch.from_numpy(pixels["train"]))
    assert torch.equal(data["test"].inputs[:, 0], torch.from_numpy(pixels["t10k"]))
    assert data["test"].index.tolist() == list(range(40, 50)) and data.shape == (1, 9, 8)
    assert D.load(str(tmp_path / below)).classes == tuple("0123456789")


def test_damaged_idx(tmp_path):
    write_idx(tmp_path, False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x01\x00\x00\x00\x09abc")
    refused("header promises 9", "mnist", path=tmp_path)


def write_cifar10(folder, python, batches=(1, 2, 3, 4, 5), n=20):
    folder.mkdir(parents=True)
    kept = []
    for name in [*(f"data_batch_{k}" for k in batches), "test_batch"]:
        pixels, labels = RANDOM.integers(0, 256, (n, 3072), np.uint8), np.arange(n) % 10
        if python:
            (folder / name).write_bytes(pickle.dumps({b"data": pixels, b"labels": labels.tolist()}, protocol=2))
        else:
            (folder / f"{name}.bin").write_bytes(np.c_[labels.astype(np.uint8), pixels].astype(np.uint8).tobytes())
        kept.append(pixels)
    return torch.from_numpy(np.concatenate(kept)).view(-1, 3, 32, 32)


@pytest.mark.parametrize(("python", "below"), [(True, "cifar-10-batches-py"), (False, "cifar-10-batches-bin"), (False, "x")])
def test_cifar10(tmp_path, python, below):
    pixels = write_cifar10(tmp_path / below, python)
    path = tmp_path if below != "x" else tmp_path / "x"
    data = D.load("cifar10", path=path, validation=0)
    assert torch.equal(torch.cat([data["train"].inputs, data["test"].inputs]), pixels) and data.notes == ()
    assert data["train"].labels.tolist() == [k % 10 for k in range(20)] * 5
    assert len(D.load(str(path))["test"]) == 20


def test_fewer_batches_are_said(tmp_path):
    write_cifar10(tmp_path / "x", False, batches=(1, 4))
    assert "2, 3, 5 are not there" in D.load("cifar10", path=tmp_path / "x").notes[0]


def test_cifar100_both_layouts(tmp_path):
    for python in (True, False):
        folder = tmp_path / ("cifar-100-python" if python else "b/cifar-100-binary")
        folder.mkdir(parents=True)
        for name in ("train", "test"):
            pixels, fine = RANDOM.integers(0, 256, (200, 3072), np.uint8), np.arange(200) % 100
            if python:
                content = {"data": pixels, "fine_labels": fine.tolist(), "coarse_labels": [0] * 200}
                (folder / name).write_bytes(pickle.dumps(content))
            else:
                (folder / f"{name}.bin").write_bytes(np.c_[fine * 0, fine, pixels].astype(np.uint8).tobytes())
    (tmp_path / "cifar-100-python" / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"c{k}" for k in range(100)]}))
    assert D.load("cifar100", path=tmp_path, validation=0).classes[7] == "c7"
    data = D.load("cifar100", path=tmp_path / "b", validation=0)
    assert len(data.classes) == 100 and data["train"].labels.tolist() == list(range(100)) * 2


class Evil:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


def test_a_python_batch_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path / "x", True)
    (tmp_path / "x" / "data_batch_2").write_bytes(pickle.dumps({"data": Evil(), "labels": []}))
    refused("system, which is not an array", "cifar10", path=tmp_path / "x")
    assert not Path("pwned").exists()


def test_damaged_cifar(tmp_path):
    write_cifar10(tmp_path / "x", False)
    (tmp_path / "x" / "data_batch_2.bin").write_bytes(b"123")
    refused("not whole records of 3073", "cifar10", path=tmp_path / "x")
    (tmp_path / "x" / "data_batch_2.bin").write_bytes(b"\xff" * 3073)
    refused("labels out of range: expected 0 to 9 for 10 classes, got 255", "cifar10", path=tmp_path / "x")


def write_images(folder, sizes=((9, 8),) * 6, modes=("RGB", "RGB")):
    for k, size in enumerate(sizes):
        target = folder / ("cat", "dog")[k % 2]
        target.mkdir(parents=True, exist_ok=True)
        pixels = RANDOM.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).convert(modes[k % 2]).save(target / f"{k}.png")


def test_folder_of_images(tmp_path):
    write_images(tmp_path / "pets", ((9, 8),) * 20)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("hello")
    data = D.load(str(tmp_path / "pets"), validation=0)
    assert data.classes == ("cat", "dog") and data.shape == (3, 8, 9) and data.name == "pets"
    assert {k: len(v) for k, v in data.partitions.items()} == {"train": 16, "test": 4} and "1 files" in data.notes[0]
    first = np.asarray(Image.open(tmp_path / "pets" / "cat" / "0.png")).transpose(2, 0, 1)
    row = int((torch.cat([p.index for p in data.partitions.values()]) == 0).nonzero()[0])
    assert torch.equal(torch.cat([p.inputs for p in data.partitions.values()])[row], torch.tensor(first))


def test_folder_split_by_the_source_scaled_and_grey(tmp_path):
    for part in ("train", "val", "test"):
        write_images(tmp_path / part, ((10, 20), (30, 12), (16, 16), (14, 40)), ("L", "L"))
    data = D.load("folder", path=tmp_path)
    assert data.shape == (1, 13, 13) and [len(p) for p in data.partitions.values()] == [4, 4, 4]
    assert "13 x 13" in data.notes[0] and data["validation"].index.tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("split", ["", "train"])
def test_images_that_nobody_labelled(tmp_path, split):
    write_images(tmp_path / "pets" / split)
    for place in ("unlabelled", "unlabelled/more"):
        (tmp_path / "pets" / place).mkdir()
        Image.fromarray(np.full((8, 9, 3), len(place), np.uint8)).save(tmp_path / "pets" / place / "7.png")
    data = D.load(str(tmp_path / "pets"), test=None)
    found = data["unlabelled"]
    assert data.classes == ("cat", "dog") and found.labels is None and list(data.partitions)[-1] == "unlabelled"
    assert [int(x[0, 0, 0]) for x in found.inputs] == [10, 15]
    numbers = torch.cat([p.index for p in data.partitions.values()])
    assert found.index.tolist() == [len(numbers) - 2, len(numbers) - 1] and len(numbers.unique()) == len(numbers)
    assert data.describe()["partitions"]["unlabelled"] == {"samples": 2, "per_class": None}
    refused("unlabelled part of its own", str(tmp_path / "pets"), labelled=4)


def test_zipped_folder_is_read_in_place(tmp_path):
    write_images(tmp_path / "pets")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as z:
        for file in sorted((tmp_path / "pets").rglob("*.png")):
            z.write(file, file.relative_to(tmp_path))
        z.writestr("../../evil.txt", "x")
        z.writestr("__MACOSX/pets/cat/._0.png", "x")
    zipped, plain = D.load(str(tmp_path / "pets.zip")), D.load(str(tmp_path / "pets"))
    assert zipped.fingerprint == plain.fingerprint and not (tmp_path.parent / "evil.txt").exists()


def test_bad_folders(tmp_path):
    write_images(tmp_path / "one" / "a", ((8, 8),))
    refused("1 class; at least 2", "folder", path=tmp_path / "one" / "a")
    write_images(tmp_path / "broken")
    (tmp_path / "broken" / "cat" / "0.png").write_bytes(b"no image")
    refused("0.png is not a readable image", str(tmp_path / "broken"))
    (tmp_path / "void").mkdir()
    refused("holds no data of a known layout", str(tmp_path / "void"))
    refused("holds no images", "folder", path=tmp_path / "void")
    (tmp_path / "bad.zip").write_bytes(b"PK no")
    refused("damaged", str(tmp_path / "bad.zip"))
    write_images(tmp_path / "loose")
    Image.new("RGB", (9, 8)).save(tmp_path / "loose" / "top.png")
    refused("is not in a class folder", str(tmp_path / "loose"))
    write_images(tmp_path / "only" / "test")
    refused("no train folder", "folder", path=tmp_path / "only")


def save(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def test_npz(tmp_path):
    x, y = RANDOM.integers(0, 256, (30, 8, 9, 3), np.uint8), np.arange(30) % 3
    data = D.load(save(tmp_path / "a.npz", x=x, y=y), validation=5)
    assert data.kind == "image" and data.shape == (3, 8, 9) and len(data["validation"]) == 5 and data.name == "a"
    words = np.array(["b", "a", "c"])[y]
    data = D.load(save(tmp_path / "b.npz", x_train=x[..., 0], y_train=words, x_test=x[:6, ..., 0], y_test=words[:6]))
    assert data.classes == ("a", "b", "c") and data.shape == (1, 8, 9) and data["test"].labels.tolist() == [1, 0, 2] * 2
    table = D.load(save(tmp_path / "c.npz", x=RANDOM.normal(3, 2, (50, 4)), y=np.arange(50) % 2), validation=0)
    train = table["train"].inputs.double()
    assert table.kind == "table" and np.allclose(table.mean, train.mean(0), atol=1e-6)
    assert np.allclose(table.std, train.std(0, correction=0), atol=1e-6)


def test_npz_with_parts_of_your_own(tmp_path):
    x, y = RANDOM.integers(0, 256, (30, 8, 9), np.uint8), np.arange(30) % 3
    arrays = {
        "x": x[:20],
        "y": y[:20],
        "x_clean": x[20:24],
        "y_clean": y[20:24],
        "images_unlabeled": x[24:],
        "x_mean": np.zeros(3),
    }
    data = D.load(save(tmp_path / "a.npz", **arrays), validation=0)
    assert {k: len(v) for k, v in data.partitions.items()} == {"train": 16, "test": 4, "unlabelled": 6, "clean": 4}
    assert data["clean"].labels.tolist() == [2, 0, 1, 2] and data["unlabelled"].labels is None
    assert torch.equal(data["unlabelled"].inputs[:, 0], torch.from_numpy(x[24:]))
    bare = D.load(save(tmp_path / "b.npz", x=x[:20], y=y[:20]), validation=0)
    assert all(
        torch.equal(data[k].inputs, bare[k].inputs) and torch.equal(data[k].index, bare[k].index) for k in ("train", "test")
    )
    refused("inputs are \\(1, 8, 4\\) but train", save(tmp_path / "c.npz", x=x, y=y, x_unlabelled=x[..., :4]))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"z": np.zeros(3)}, "holds 'z'; expected the keys"),
        ({"x": np.zeros((4, 2)), "y": np.array([0, 1, 2, -1])}, "out of range.*got -1"),
        ({"x": np.zeros((4, 2)), "y": np.arange(4), "classes": np.array(["a", "b"])}, "out of range: expected 0 to 1"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0, int), "classes": np.array(["a", "b"])}, "is empty"),
        ({"x": np.zeros((4, 2)), "y": np.arange(3)}, "one label for each"),
        ({"x": np.zeros((4, 2)), "y": np.array([0.5, 1, 2, 3])}, "whole numbers or words"),
        ({"x": np.full((4, 2), np.nan), "y": np.arange(4)}, "not finite: 8 values, the first in sample 0"),
        ({"x": np.full((4, 2), 1e300), "y": np.arange(4)}, "not finite"),
        ({"x": np.array([["a"]] * 4), "y": np.arange(4)}, "inputs must be numbers"),
        ({"x": np.array([[None]] * 4), "y": np.arange(4)}, "would run code"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(4, int)}, "1 class; at least 2"),
        (
            {"x_train": np.zeros((4, 2)), "y_train": np.arange(4), "x_test": np.zeros((4, 3)), "y_test": np.arange(4)},
            "equal",
        ),
    ],
)
def test_bad_npz(tmp_path, arrays, words):
    refused(words, save(tmp_path / "a.npz", **arrays))
    (tmp_path / "a.npz").write_bytes(b"nothing of the kind")
    refused("damaged|would run code", str(tmp_path / "a.npz"))


def test_csv_by_hand(tmp_path):
    rows = ["size;colour;class;sex"] + [
        f"{k}.5;{['red', 'green', 'blue'][k % 3]};{['no', 'yes'][k % 2]};{'mf'[k % 2]}" for k in range(30)
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = D.load(str(tmp_path / "t.csv"), validation=0)
    together = torch.cat([p.inputs for p in data.partitions.values()])
    order = torch.cat([p.index for p in data.partitions.values()]).argsort()
    assert data.classes == ("no", "yes") and data.kind == "table" and data.shape == (5,)
    assert together[order][1].tolist() == [1.5, 0.0, 1.0, 0.0, 0.0]  # size; blue, green, red; sex f = 0, m = 1
    train = data["train"].inputs.double()
    assert np.allclose(data.mean, train.mean(0), atol=1e-6)


def test_csv_without_header_and_in_two_files(tmp_path):
    (tmp_path / "train.csv").write_text("".join(f"{k}, {k * k}, {k % 2 + 1}\n" for k in range(20)))
    (tmp_path / "test.csv").write_text("".join(f"{k}, {k * k}, {k % 2 + 1}\n" for k in range(4)))
    data = D.load(str(tmp_path), validation=0)
    assert data.classes == ("1", "2") and data["test"].inputs.tolist() == [[0, 0], [1, 1], [2, 4], [3, 9]]
    assert data["test"].labels.tolist() == [0, 1, 0, 1] and len(data["train"]) == 20


@pytest.mark.parametrize(
    ("header", "more"),
    [
        ("age,sex,class\n", "age,sex,class\n8,f,?\n9,m,\n"),
        ("age,sex,class\n", "age,sex\n8,f\n9,m\n"),
        ("", "8,f,?\n9,m,?\n"),
        ("", "8,f\n9,m\n"),
    ],
)
def test_csv_without_labels(tmp_path, header, more):
    (tmp_path / "train.csv").write_text(header + "".join(f"{k},{'mf'[k % 2]},{'yn'[k % 2]}\n" for k in range(20)))
    (tmp_path / "unlabelled.csv").write_text(more)
    data = D.load(str(tmp_path), validation=0)
    assert data["unlabelled"].inputs.tolist() == [[8, 0], [9, 1]] and data["unlabelled"].labels is None
    assert data.classes == ("n", "y") and len(data["train"]) + len(data["test"]) == 20


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n1,2,3\n", "row 2 has 3 cells where 2"),
        ("a,b,label\n,1,x\n,2,y\n,3,x\n", "'a' has no number in the training part"),
        ("a,label\n1,x\n2,\n", "label column 'label' has 1 missing"),
        ("a,label\n1,x\ninf,y\n2,x\n3,y\n4,x\n5,y\n", "not finite"),
        ("".join(f"{k},{k / 7}\n" for k in range(99)), "99 different numbers"),
        ("1\n2\n", "at least a feature"),
        ("\x00\x01", "not a text table"),
    ],
)
def test_bad_csv(tmp_path, text, words):
    (tmp_path / "t.csv").write_text(text)
    refused(words, str(tmp_path / "t.csv"))


def test_csv_columns_are_matched_by_their_names(tmp_path):
    """`age,income,label` and `income,age,label`: by position the header became a sample and a third class."""
    (tmp_path / "train.csv").write_text("age,income,label\n" + "".join(f"{k},{1000 + k},{'yn'[k % 2]}\n" for k in range(20)))
    (tmp_path / "test.csv").write_text("income,age,label\n" + "".join(f"{2000 + k},{k},{'yn'[k % 2]}\n" for k in range(4)))
    (tmp_path / "unlabelled.csv").write_text("income,age\n3000,7\n3001,8\n")
    found = D.load(str(tmp_path))
    assert found.shape == (2,) and found.classes == ("n", "y") and len(found["test"]) == 4
    assert found["test"].inputs.tolist() == [[0, 2000], [1, 2001], [2, 2002], [3, 2003]]
    assert found["unlabelled"].inputs.tolist() == [[7, 3000], [8, 3001]]
    for other in ("income,years,label", "a,b,c"):
        (tmp_path / "test.csv").write_text(other + "\n2000,1,y\n")
        with pytest.raises(UserError, match="give both the same names"):
            D.load(str(tmp_path))
    (tmp_path / "test.csv").write_text("5,2000,y\n6,2001,n\n")  # without a header: by position
    assert D.load(str(tmp_path))["test"].inputs.tolist() == [[5, 2000], [6, 2001]]
