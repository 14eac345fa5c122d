"""Weights: round trips, containers, prefixes, and every way a file can be wrong."""

import collections
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from limbeck import models
from limbeck.errors import UserError
from limbeck.files import atomic_write

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "pretrained_cifar10_resnet"


def net(width=4, classes=3):
    return models.build("cnn", classes=classes, shape=(1, 8, 8), arguments={"width": width})


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_safetensors_round_trip(tmp_path):
    one, two = net(), net()
    models.save_weights(one, tmp_path / "sub" / "w.safetensors")
    assert models.load_weights(two, tmp_path / "sub" / "w.safetensors") == [] and same(one, two)
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["w.safetensors"]


@pytest.mark.parametrize("container", [None, "state_dict", "model", "model_state_dict", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_containers_and_prefixes(tmp_path, container, prefix):
    one, two = net(), net()
    state = {prefix + k: v for k, v in one.state_dict().items() if "num_batches" not in k}
    torch.save({container: state, "epoch": 3} if container else state, tmp_path / "w.pt")
    notes = models.load_weights(two, tmp_path / "w.pt")
    assert same(one, two) and len(notes) == (container is not None) + (prefix != "")


@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (56, 853_018)])
def test_third_party_resnets_load(depth, parameters):
    files = sorted(PUBLISHED.glob(f"resnet{depth}-*.th")) if PUBLISHED.is_dir() else []
    if not files:
        pytest.skip(f"the published weights are not in {PUBLISHED}")
    model = models.build(f"resnet{depth}", classes=10, shape=(3, 32, 32))
    before = model.conv1.weight.clone()
    notes = models.load_weights(model, files[0], who="teacher")
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert not torch.equal(before, model.conv1.weight) and any("module." in n for n in notes)


def test_tied_weights_survive(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

    one, two = Tied(), Tied()
    models.save_weights(one, tmp_path / "w.safetensors")
    models.load_weights(two, tmp_path / "w.safetensors")
    assert same(one, two) and two.a.weight is two.b.weight


def test_another_network_is_told_apart_and_nothing_changes(tmp_path):
    state = net(width=8).state_dict()
    state["extra.weight"] = torch.zeros(1)
    del state["linear.bias"]
    torch.save(state, tmp_path / "w.pt")
    model = net()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(UserError) as caught:
        models.load_weights(model, tmp_path / "w.pt", who="teacher")
    text = str(caught.value)
    assert text.startswith("teacher: ") and "\n" not in text
    assert "1 missing: linear.bias" in text and "1 unexpected: extra.weight" in text
    assert "of another shape: layer1.0.0.weight (8, 1, 3, 3) where (4, 1, 3, 3) is needed" in text
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


class Evil:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


@pytest.mark.parametrize("legacy", [True, False])
def test_code_is_never_run(tmp_path, monkeypatch, legacy):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {}, "x": Evil()}, "w.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UserError, match="would run code; convert it"):
        models.load_weights(net(), "w.pt")
    assert not Path("pwned").exists()


def _write(path, content):
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"hello, this is no weights file", "damaged"),
        (b"PK\x03\x04 broken", "damaged"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{broken", "damaged"),
        ([1, 2], "holds list"),
        ({"epoch": 1, "lr": 2.0}, "'epoch', 'lr'"),
        ({}, "nothing"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    _write(tmp_path / "w.pt", content)
    with pytest.raises(UserError, match=words):
        models.load_weights(net(), tmp_path / "w.pt")


def test_missing_file_folder_and_not_finite(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        models.load_weights(net(), tmp_path / "none.pt")
    with pytest.raises(UserError, match="is a folder"):
        models.load_weights(net(), tmp_path)
    bad = net()
    bad.linear.bias.data[0] = float("nan")
    models.save_weights(bad, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="not finite in linear.bias"):
        models.load_weights(net(), tmp_path / "w.safetensors")


def test_atomic_write_keeps_the_old_file(tmp_path):
    target = tmp_path / "f.txt"
    with atomic_write(target, text=True) as f:
        f.write("old\n")
    with pytest.raises(KeyError), atomic_write(target, text=True) as f:
        f.write("half")
        raise KeyError
    assert target.read_bytes() == b"old\n" and [p.name for p in (tmp_path).iterdir()] == ["f.txt"]


def test_unwritable_and_full_disks_are_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"), atomic_write(tmp_path / "file" / "below") as f:
        f.write(b"x")
    with pytest.raises(UserError, match="cannot write"):
        models.save_weights(net(), tmp_path / "file" / "w.safetensors")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left on device; free some space"):
        models.save_weights(net(), tmp_path / "w.safetensors")
    assert [p.name for p in (tmp_path).iterdir()] == ["file"]


def test_a_runs_own_files_give_the_part_of_the_role(tmp_path):
    teacher, student, new = net(width=6), net(), net()
    models.save_weights(nn.ModuleDict({"teacher": teacher, "student": student}), tmp_path / "both.safetensors")
    models.save_weights(nn.ModuleDict({"student": student}), tmp_path / "one.safetensors")
    assert models.load_weights(new, tmp_path / "both.safetensors") == ["took the weights of role 'student' in both.safetensors"]
    assert same(new, student)
    again = net()
    models.load_weights(again, tmp_path / "one.safetensors", who="teacher")  # the only role there is
    assert same(again, student)
    with pytest.raises(UserError, match="another network"):
        models.load_weights(net(), tmp_path / "both.safetensors", who="teacher")


def test_ordered_dicts_load(tmp_path):
    one, two = net(), net()
    torch.save(collections.OrderedDict(one.state_dict()), tmp_path / "w.bin")
    models.load_weights(two, tmp_path / "w.bin")
    assert same(one, two)
