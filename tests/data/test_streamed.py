"""Pictures that stay in their files: the same samples, batches and figures as in memory, and memory that does not grow."""

import json

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from limbeck.cli.app import app
from limbeck.data import Batches, load
from limbeck.data.streamed import PictureFiles

DIGITS = load("digits")["train"]


@pytest.fixture
def folder(tmp_path):
    for k, (pixels, label) in enumerate(zip(DIGITS.inputs[:90], DIGITS.labels[:90].tolist(), strict=True)):
        target = tmp_path / "digits" / str(label)
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0].mul(255).byte().numpy()).save(target / f"{k}.png")
    return tmp_path / "digits"


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_pictures_in_memory(folder, workers):
    kept, streamed = load(str(folder)), load(str(folder), memory_gb=0)
    assert isinstance(kept["train"].inputs, torch.Tensor) and not isinstance(streamed["train"].inputs, torch.Tensor)
    assert kept.shape == streamed.shape and kept.classes == streamed.classes and kept.kind == streamed.kind == "image"
    assert kept.mean == streamed.mean and kept.std == streamed.std, "of so few all are looked at"
    assert any("read from their files as they are needed" in note for note in streamed.notes)
    for part in kept.partitions:
        pair = [Batches(data[part], data, size=8, seed=3, workers=workers).stream(2) for data in (kept, streamed)]
        for _, one, other in zip(range(4), *pair, strict=False):
            assert all(torch.equal(one[key], other[key]) for key in ("inputs", "labels", "index"))


def test_nothing_is_decoded_before_it_is_asked_for(folder, monkeypatch):
    from limbeck.data import streamed

    asked = []
    plain = PictureFiles.__getitem__
    monkeypatch.setattr(streamed, "SAMPLED", 5)
    monkeypatch.setattr(PictureFiles, "__getitem__", lambda self, row: asked.append(row) or plain(self, row))
    data = load(str(folder), memory_gb=0)
    assert len(asked) == 5, "those of which mean and standard deviation are computed"
    next(Batches(data["train"], data, size=8, seed=0).stream())
    assert len(asked) == 5 + 8


def test_a_run_gives_the_same_card(folder, tmp_path):
    figures = []
    for name, memory in (("kept", 4), ("streamed", 0)):
        words = ["distill", "--data", str(folder), "--epochs", "1", "--no-onnx", "--set", f"data.memory_gb={memory}"]
        done = CliRunner().invoke(app, [*words, "--set", "teacher.width=8", "--out", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        models = json.loads((tmp_path / name / "card.json").read_text())["models"]
        figures.append({who: model["figures"] for who, model in models.items()})
    assert figures[0] == figures[1]


def test_encoders_learn_from_pictures_that_stay_in_their_files(folder):
    data = load(str(folder), task="embed", memory_gb=0, labelled=20)
    assert len(data["train[labelled]"]) == 20 and not isinstance(data["train"].inputs, torch.Tensor)
    (folder / "unlabelled").mkdir()
    Image.new("L", (8, 8)).save(folder / "unlabelled" / "x.png")
    assert len(load(str(folder), task="embed", memory_gb=0)["train"]) == len(data["train"]) + 1
