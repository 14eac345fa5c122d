"""Data that a function of the user's own gives, in whatever form: named on the command line, and trusted only there."""

import json
import sys

import numpy as np
import pytest

from limbeck import data
from limbeck.__main__ import run
from limbeck.errors import UserError

OWN = """
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from limbeck import tasks

X, Y = load_digits(return_X_y=True)
X, Y = X.astype("float32") / 16, Y


def forgets_to_return():
    words()


def pairs_of_words():
    return [(row["text"], row["label"]) for row in words()]


def arrays(count=300):
    return X[:count], Y[:count]


def parts():
    return {"train": (X[:300], Y[:300]), "val": (X[300:360], Y[300:360]), "test": (X[360:460], Y[360:460]), "classes": list("abcdefghij")}


class Items(Dataset):
    classes = list("abcdefghij")

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, k):
        return {"pixels": torch.tensor(X[self.rows[k]]), "label": int(Y[self.rows[k]])}


def mappings():
    return Items(range(200))


class Stream(IterableDataset):
    def __iter__(self):
        return ((torch.tensor(X[k]), int(Y[k])) for k in range(200))


def stream():
    return Stream()


def doubled(items):
    x, y = zip(*items)
    return 2 * torch.stack(x), torch.tensor(y)


def loader():
    dataset = TensorDataset(torch.tensor(X[:200]), torch.tensor(Y[:200]))
    return DataLoader(dataset, batch_size=16, shuffle=True, collate_fn=doubled)


def listed():
    return [(X[k], int(Y[k])) for k in range(200)]


def words():
    return [{"text": "all is well with it", "label": "good"}, {"text": "nothing works at all", "label": "bad"}] * 40


def frame():
    import pandas

    return pandas.DataFrame({"a": X[:100, 20], "kind": ["red", "blue"] * 50, "label": Y[:100] % 2})


def broken():
    raise RuntimeError("the server is away")


NUMBER = 3
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    (tmp_path / "own_data.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    yield tmp_path
    sys.modules.pop("own_data", None)


def rows(found, part="train"):
    """Inputs (n, 64) of a part by sample number."""
    whole = data.Batches(found[part], found, size=2000, seed=0).whole()
    return dict(zip(found[part].index.tolist(), whole["inputs"].flatten(1).numpy(), strict=True))


def spelt(numbers, words):
    return [words[int(number)] for number in numbers if number]


def digits():
    from sklearn.datasets import load_digits

    return (load_digits().data / 16).astype("float32"), load_digits().target


@pytest.mark.parametrize("name", ["arrays", "mappings", "stream", "listed"])
def test_every_form_gives_the_same_samples(name):
    found, (x, y) = data.load(f"own_data:{name}", validation=0.2, test=0.1), digits()
    assert found.name == name and {"train", "validation", "test"} == set(found.partitions)
    assert sum(map(len, found.partitions.values())) == {"arrays": 300}.get(name, 200)
    for part in found.partitions:
        for number, row in rows(found, part).items():
            np.testing.assert_allclose(row, x[number])
        assert found[part].labels.tolist() == y[found[part].index].tolist()


def test_of_a_loader_the_dataset_and_its_collate_function_are_taken():
    found, (x, _) = data.load("own_data:loader"), digits()
    for number, row in rows(found).items():
        np.testing.assert_allclose(row, 2 * x[number])
    assert "with its collate function" in " ".join(found.notes)


def test_parts_and_names_of_classes_are_kept():
    found = data.load("own_data:parts")
    assert {name: len(part) for name, part in found.partitions.items()} == {"train": 300, "validation": 60, "test": 100}
    assert found.classes == tuple("abcdefghij") and data.load("own_data:mappings").classes == found.classes


def test_settings_of_data_apply():
    found = data.load("own_data:arrays", arguments={"count": 200}, limit=100, labelled=40, validation=0.25)
    assert {name: len(part) for name, part in found.partitions.items()} == {
        "train": 40,
        "validation": 25,
        "test": 40,
        "unlabelled": 35,
    }
    assert "limited to 100 of 160" in " ".join(found.notes)


def test_rows_with_words_are_texts_and_frames_tables():
    texts, table = data.load("own_data:words"), data.load("own_data:frame")
    pairs = data.load("own_data:pairs_of_words")
    assert pairs.kind == "text" and pairs.classes == texts.classes and pairs.counts == texts.counts
    assert texts.kind == "text" and texts.classes == ("bad", "good") and "of what own_data:words gives" in texts.labels_from
    assert table.kind == "table" and table.shape == (2,) and table.classes == ("0", "1")


def test_data_sets_of_hugging_face_bring_pictures_texts_and_names_of_classes(tmp_path):
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed; pip install datasets")
    from PIL import Image

    names = datasets.ClassLabel(names=["low", "high"])
    pixels = np.arange(40 * 64, dtype=np.uint8).reshape(40, 8, 8)
    columns = {"image": list(map(Image.fromarray, pixels)), "label": [0, 1] * 20}
    pictures = datasets.Dataset.from_dict(columns, features=datasets.Features({"image": datasets.Image(), "label": names}))
    words = datasets.Dataset.from_dict(
        {"text": ["all is well with it", "nothing works at all"] * 20, "label": [1, 0] * 20},
        features=datasets.Features({"text": datasets.Value("string"), "label": names}),
    )
    sys.modules["own_sets"] = type(sys)("own_sets")
    sys.modules["own_sets"].pictures = lambda: datasets.DatasetDict(train=pictures, test=pictures)
    sys.modules["own_sets"].words = lambda: words
    found = data.load("own_sets:pictures")
    assert found.kind == "image" and found.classes == ("low", "high") and len(found["test"]) == 40
    for number, row in rows(found, "test").items():
        np.testing.assert_allclose(row * 255, pixels[number - 40].flatten(), atol=1e-4)
    found = data.load("own_sets:words", split_seed=3)
    assert found.kind == "text" and found.classes == ("high", "low")
    whole = data.Batches(found["train"], found, size=40, seed=0).whole()
    good = {found.classes[y] for x, y in zip(whole["inputs"], whole["labels"], strict=True) if "well" in spelt(x, found.words)}
    assert good == {"high"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_data:broken", "the server is away"),
        ("own_data:NUMBER", "is a int; name a function"),
        ("own_data:forgets_to_return", "returns nothing; let the function return"),
        ("own_data:nothing", "unknown attribute of own_data 'nothing'"),
        ("no_such_module:load", "data: there is no Python module 'no_such_module'"),
    ],
)
def test_what_gives_no_data_is_one_sentence(name, said):
    with pytest.raises(UserError) as refused:
        data.load(name)
    assert said in str(refused.value) and len(str(refused.value)) <= 300


def test_it_is_compared_resumed_and_evaluated_by_name_and_trusted_only_when_typed(tmp_path, capsys):
    small = [
        "--student",
        "mlp",
        "--set",
        "student.width=4",
        "--teacher",
        "mlp",
        "--set",
        "teacher.width=8",
        "--epochs",
        "1",
        "--quiet",
    ]
    words = ["--data", "own_data:arrays", "--set", "data.arguments.count=200", *small, "--set", "onnx=false"]
    assert run(["distill", *words, "--out", "r"]) == 0
    assert json.loads((tmp_path / "r" / "card.json").read_text())["data"]["name"] == "arrays"
    assert run(["distill", *words, "--out", "r", "--resume"]) == 0
    assert run(["compare", *words, "--methods", "kd", "--seeds", "2", "--out", "c"]) == 0
    capsys.readouterr()
    assert run(["evaluate", "r", "--trust"]) == 0
    assert run(["distill", "--recipe", "r/recipe.toml", "--out", "s"]) == 2
    said = capsys.readouterr().err
    assert "own_data:arrays" in said and "--trust" in said and not (tmp_path / "s").exists()
    assert run(["evaluate", "r"]) == 2
    assert "--trust" in capsys.readouterr().err
    assert run(["distill", "--recipe", "r/recipe.toml", "--out", "s", "--trust"]) == 0
