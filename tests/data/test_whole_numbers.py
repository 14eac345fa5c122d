"""Inputs of whole numbers stay whole: embeddings are fed, pictures and networks of floats are as they were."""

import numpy as np
import pytest
import torch
from torch import nn

import limbeck
from limbeck import data
from limbeck.data import from_datasets, understood
from limbeck.deploy.student import load_student
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.face.run import conclude
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.sources import Given, open_sources


class Bag(nn.Module):
    """A class for each of the words that occur most."""

    def __init__(self, num_classes: int = 2, width: int = 8):
        super().__init__()
        self.words = nn.Embedding(50, width)
        self.out = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.out(self.words(x).mean(1))


X = torch.randint(0, 50, (120, 6), generator=torch.Generator().manual_seed(0))
Y = (X < 25).sum(1).gt(3).long()


class Items(torch.utils.data.Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, k):
        return X[k], int(Y[k])


GIVEN = {
    "tensors": lambda: (X, Y),
    "int32 arrays": lambda: (X.numpy().astype(np.int32), Y.numpy()),
    "a Dataset": Items,
    "a TensorDataset": lambda: torch.utils.data.TensorDataset(X, Y),
    "8 bits": lambda: (X.to(torch.uint8), Y),
}


@pytest.mark.parametrize("how", GIVEN)
def test_an_embedding_is_fed(how, tmp_path):
    found = from_datasets(GIVEN[how](), validation=20, test=(X[:30], Y[:30]), classes=2)
    fed = []
    student = Bag(width=4)
    student.register_forward_pre_hook(lambda module, args: fed.append(args[0]))
    plain = {"onnx": how == "tensors", "baseline": False, "epochs": 1, "batch": 50}
    result = limbeck.distill(Bag(), student, found, out=tmp_path / "r", **plain)
    assert result.card["models"]["student"]["samples"] == 30 and {x.dtype for x in fed} >= {torch.int64}
    assert any(len(x) == 30 and torch.equal(x, X[:30]) for x in fed)
    assert (tmp_path / "r" / "student.onnx").exists() == plain["onnx"]


def test_whole_numbers_stay_whole_and_pictures_stay_pictures(tmp_path):
    assert from_datasets((X, Y), validation=20)["train"].inputs.dtype == torch.int64
    picture = from_datasets((torch.randint(0, 256, (20, 3, 4, 4), dtype=torch.uint8), torch.arange(20) % 2), validation=4)
    assert picture["train"].inputs.dtype == torch.uint8 and picture.kind == "image"
    np.savez(tmp_path / "a.npz", x=X.numpy(), y=Y.numpy())
    np.savez(tmp_path / "b.npz", x=np.zeros((20, 4, 4), np.uint8), y=np.arange(20) % 2)
    found, other = data.load(str(tmp_path / "a.npz")), data.load(str(tmp_path / "b.npz"))
    assert found["train"].inputs.dtype == torch.int64 and found.mean and other["train"].inputs.dtype == torch.uint8
    rows = found["train"].index < len(X)
    assert torch.equal(found["train"].inputs, X[found["train"].index[rows]])


def test_networks_of_floats_get_floats():
    found = from_datasets((X, Y), validation=20, test=(X[:30], Y[:30]))
    roles = {"teacher": Bag(), "student": nn.Sequential(nn.Linear(6, 2))}
    sources = open_sources(make({"teacher": OWN, "student": OWN}), data=found, given=Given(roles))
    assert sources.whole == {"teacher"} and sources.cast.adapter_of("student").prepare is None


def test_whole_numbers_are_not_augmented_nor_rounded_without_a_word():
    found = from_datasets((X, Y), validation=20)
    recipe = make({"teacher": OWN, "student": OWN, "data": {"augment": "noise:0.1"}})
    with pytest.raises(UserError, match="takes whole numbers only, which noise in data.augment would change"):
        open_sources(recipe, data=found, given=Given({"teacher": Bag(), "student": Bag()}))
    large = from_datasets((torch.tensor([[2**24 + 1], [0]] * 10), torch.arange(20) % 2), validation=4)
    assert "whole numbers beyond 16,777,216 are rounded to float32" in understood(large)


OWN = {"model": "python object Bag"}


def test_by_name_from_npz_and_loaded_again(tmp_path, monkeypatch):
    (tmp_path / "bags.py").write_text(
        "from tests.data.test_whole_numbers import Bag\n\n\ndef bag(num_classes):\n    return Bag(num_classes)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    np.savez(tmp_path / "a.npz", x=X.numpy(), y=Y.numpy())
    settings = {"train": {"epochs": 1, "batch": 50}, "store": {"use": False}, "onnx": False, "baseline": False}
    recipe = make(settings | {"teacher": {"model": "bags:bag"}, "student": {"model": "bags:bag"}})
    left = last(Session(open_sources(recipe, data=data.load(str(tmp_path / "a.npz"))), tmp_path / "r").steps())
    conclude(left)
    student, info = load_student(tmp_path / "r", trust=True)
    assert info["roles"]["student"]["whole"] is True and info["roles"]["student"]["mean"] == []
    torch.testing.assert_close(student(X[:5].float()), left.entries["student"](X[:5].float()))
