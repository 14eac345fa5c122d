"""Loading: splits, names, downloads, Datasets from Python, and the real files where they are."""

import hashlib
import io
import json
import pickle
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset, TensorDataset

from limbeck import data as D
from limbeck.data import find
from limbeck.errors import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"
RANDOM = np.random.default_rng(0)


def refused(words, *args, **kwargs):
    with pytest.raises(UserError, match=words) as caught:
        D.load(*args, **kwargs)
    assert "\n" not in str(caught.value)


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


def test_digits_are_split_and_recorded():
    data = D.load("digits", split_seed=3)
    told = json.loads(json.dumps(data.describe()))
    assert told["split_seed"] == 3 and sum(p["samples"] for p in told["partitions"].values()) == 1797
    index = torch.cat([p.index for p in data.partitions.values()])
    assert torch.equal(index.sort().values, torch.arange(1797)) and len(told["fingerprint"]) == 64
    again, other = D.load("digits", split_seed=3), D.load("digits", split_seed=4)
    assert again.fingerprint == data.fingerprint != other.fingerprint
    assert torch.equal(other["test"].index, data["test"].index)  # the test part never moves
    assert max(told["partitions"]["test"]["per_class"]) - min(told["partitions"]["test"]["per_class"]) <= 3
    scaled = data["train"].inputs.double() / 255
    assert abs(data.mean[0] - float(scaled.mean())) < 1e-8 and abs(data.std[0] - float(scaled.std(correction=0))) < 1e-7


def test_labelled_and_limit():
    data = D.load("digits", labelled=40, limit=500)
    assert [len(p) for p in data.partitions.values()] == [40, 50, 539, 410]
    assert torch.bincount(data["train"].labels).min() >= 3 and data["unlabelled"].labels is None
    assert data.describe()["partitions"]["unlabelled"]["per_class"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"validation": 1.5}, "a share of 0 to below 1 or a whole number"),
        ({"validation": -0.1}, "a share of 0"),
        ({"validation": 5000}, "leaves none to train on"),
        ({"labelled": 5}, "between 10"),
        ({"labelled": 50_000}, "labelled must be between"),
        ({"limit": 0}, "limit must be a whole number"),
    ],
)
def test_bad_splits(arguments, words):
    refused(words, "digits", **arguments)


def test_unknown_names_and_paths(tmp_path):
    refused("did you mean 'digits'", "digit")
    refused("does not exist", "no/such/place.npz")
    refused("needs a path", "csv")
    refused("does not exist", "mnist", path=tmp_path / "none")
    refused("none of its known layouts; expected train-images-idx3-ubyte.gz", "mnist", path=tmp_path)
    with pytest.raises(UserError, match="unknown partition of digits 'trian'; did you mean 'train'"):
        D.load("digits")["trian"]


def test_no_network_says_where_to_put_what(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path))
    refused(f"could not be downloaded .no route to host.; put cifar-10-binary.tar.gz .* into {tmp_path}/cifar10", "cifar10")
    refused("or allow the download", "kmnist", download=False)
    assert not list(tmp_path.rglob("*.part"))


class Answer(io.BytesIO):
    headers = {"Content-Length": "3"}


def test_download_is_checked_and_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer(b"abc"))
    seen = []
    good = find.Remote("http://x/y/file.gz", hashlib.md5(b"abc").hexdigest())
    path = find.fetch("some", good, tmp_path, lambda *report: seen.append(report))
    assert path.read_bytes() == b"abc" and seen == [("file.gz", 3, 3)]
    with pytest.raises(UserError, match="another file than published"):
        find.fetch("some", find.Remote("http://x/other.gz", "0" * 32), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file.gz"]


def test_an_archive_in_the_cache_is_read_as_it_is(tmp_path):
    import tarfile

    write_cifar10(tmp_path / "cifar-10-batches-bin", False)
    (tmp_path / "cache" / "cifar10").mkdir(parents=True)
    with tarfile.open(tmp_path / "cache" / "cifar10" / "cifar-10-binary.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-bin", "cifar-10-batches-bin")
    packed = D.load("cifar10", cache=tmp_path / "cache", download=False)
    assert packed.fingerprint == D.load("cifar10", path=tmp_path).fingerprint


def test_videos_and_strings_of_other_data_by_name(tmp_path):
    videos = D.load("moving", arguments={"of": "digits", "frames": 3, "size": 8, "canvas": 12}, limit=50, validation=10)
    assert videos.shape == (3, 12, 12) and len(videos.classes) == 40 and len(videos["train"]) == 40
    with pytest.raises(UserError, match="strings need sequences .* digits has"):
        D.load("strings", arguments={"of": "digits"})


def test_translation_by_name(tmp_path):
    for part, lines in {"train": "a b\nb a\na\n", "val": "b\n"}.items():
        for language in ("de", "en"):
            (tmp_path / f"{part}.{language}").write_text(lines)
    data = D.load("translation", path=tmp_path, arguments={"source": "de", "target": "en", "longest": 2}, limit=2)
    assert {k: len(v) for k, v in data.partitions.items()} == {"train": 2, "validation": 1} and data.task.name == "translate"


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("translation", {"arguments": {"source": "de"}}, "needs a path"),
        ("translation", {"path": "x", "arguments": {"source": "de"}}, "needs target; set data.arguments.target"),
        ("translation", {"path": "x", "labelled": 3}, "no labels that could be hidden"),
        ("moving", {"arguments": {"frmes": 3}}, "unknown argument of data 'moving' 'frmes'; did you mean 'frames'"),
        ("moving", {"arguments": {"frames": "many"}}, "cannot be made with frames = 'many'"),
        ("moving", {"arguments": {"of": "digts"}}, "unknown data 'digts'"),
        ("digits", {"arguments": {"frames": 3}}, "takes no arguments, got frames; those are for translation, strings, moving"),
    ],
)
def test_arguments_that_do_not_fit(name, given, words):
    with pytest.raises(UserError, match=words) as caught:
        D.load(name, **given)
    assert "\n" not in str(caught.value)


def test_from_datasets_takes_what_there_is():
    x, y = torch.rand(20, 3), torch.arange(20) % 4
    one = D.from_datasets(TensorDataset(x, y), validation=4, test=(x[:5].numpy(), y[:5].numpy()))
    assert [len(p) for p in one.partitions.values()] == [16, 4, 5] and one.mean == () and one.classes == tuple("0123")
    two = D.from_datasets(Subset(TensorDataset(x, y), [3, 1, 2]), classes=4)
    assert torch.equal(two["train"].inputs, x[[3, 1, 2]])

    class Pictures:
        classes = ("a", "b")

        def __len__(self):
            return 6

        def __getitem__(self, k):
            return Image.fromarray(np.full((8, 9, 3), k, np.uint8)), k % 2

    three = D.from_datasets(Pictures(), validation=2)
    assert three.kind == "image" and three.shape == (3, 8, 9) and three.classes == ("a", "b")
    assert D.Batches(three["train"], three, size=4, seed=0).whole()["labels"].tolist() == three["train"].labels.tolist()
    assert three.describe()["partitions"]["train"]["samples"] == 4


def test_from_datasets_with_parts_of_your_own():
    x, y, more = torch.rand(12, 3), torch.arange(12) % 2, torch.rand(5, 3)
    for given in (more, more.numpy(), TensorDataset(more)):
        data = D.from_datasets((x, y), validation=2, further={"clean": (x[:3], y[:3]), "unlabelled": given})
        assert list(data.partitions) == ["train", "validation", "unlabelled", "clean"]
        assert torch.equal(data["unlabelled"].inputs, more) and data["unlabelled"].labels is None
        assert data["clean"].labels.tolist() == [0, 1, 0]
        assert sorted(torch.cat([p.index for p in data.partitions.values()]).tolist()) == list(range(20))


@pytest.mark.parametrize(
    ("train", "arguments", "words"),
    [
        ([1, 2, 3], {}, "map-style Dataset"),
        (TensorDataset(torch.rand(4, 2), torch.tensor([0, 1, 2, 5])), {"classes": 3}, "out of range.*got 5"),
        (TensorDataset(torch.zeros(0, 2), torch.zeros(0).long()), {"classes": 3}, "is empty"),
        (TensorDataset(torch.full((2, 2), torch.inf), torch.arange(2)), {}, "not finite"),
        (TensorDataset(torch.rand(4, 2), torch.zeros(4).long()), {}, "at least 2 classes"),
        (
            (torch.rand(4, 2), torch.arange(4)),
            {"further": {"unlabelled": torch.full((2, 2), torch.nan)}},
            "unlabelled.*not finite",
        ),
    ],
)
def test_bad_datasets(train, arguments, words):
    with pytest.raises(UserError, match=words) as caught:
        D.from_datasets(train, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not (SHARED / "cifar10").is_dir(), reason=f"the real CIFAR-10 strips are not in {SHARED}")
def test_real_cifar10(tmp_path):
    subprocess.run([sys.executable, str(SHARED / "unpack.py"), str(tmp_path)], check=True, capture_output=True)
    data = D.load("cifar10", path=tmp_path, validation=0)
    assert len(data["train"]) == 20_000 and len(data["test"]) == 10_000 and "3, 4, 5" in data.notes[0]
    assert torch.bincount(data["test"].labels).tolist() == [1000] * 10
    assert data["train"].labels[:5].tolist() == [6, 9, 9, 4, 1]  # frog, truck, truck, deer, automobile


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_idx(name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"the real {name} is not in {SHARED}")
    data = D.load(name, path=SHARED / name, validation=0)
    assert len(data["train"]) == 60_000 and len(data["test"]) == 10_000
    mean = float(data["train"].inputs.double().mean()) / 255
    assert abs(mean - data.mean[0]) < 1e-4  # the published scale is the data's
