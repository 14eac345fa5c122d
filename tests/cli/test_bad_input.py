"""Whatever cannot be used is one sentence and exit code 2, and leaves nothing half-written."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from nets import TINY

from limbeck import files, models


@pytest.fixture
def refused(refuse, tmp_path):
    """A `distill` that must be refused before anything is trained or written."""

    def call(*words):
        folder = tmp_path / "run"
        sentence = refuse("distill", *TINY, "--quiet", "--out", folder, *words)
        assert not folder.exists(), sorted(folder.rglob("*"))
        return sentence

    return call


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--method", "kdd"], "unknown method 'kdd'; did you mean 'kd'"),
        (["--student", "mpl"], "unknown model 'mpl'; did you mean 'mlp'"),
        (["--teacher", "resnet21"], "unknown model 'resnet21'; did you mean 'resnet"),
        (["--student", "nets:fvie"], "did you mean 'five'"),
        (["--data", "digts"], "did you mean 'digits'"),
        (["--method", "fitnets", "--set", "method.hint=layr2"], "unknown layer of role 'teacher' 'layr2'; did you mean"),
        (["--method", "fitnets", "--set", "method.guided=layr2"], "unknown layer of role 'student' 'layr2'; did you mean"),
        (["--method", "fsp", "--teacher", "cnn", "--student", "cnn"], "term 'flow layer1-layer2': .* differ"),
        (["--set", "train.epoch=3"], "'train.epoch'; did you mean 'train.epochs'"),
        (["--set", "method.temprature=2"], "unknown setting of method kd 'temprature'; did you mean 'temperature'"),
        (["--set", "student.widht=2"], "unknown argument of model mlp 'widht'; did you mean 'width'"),
        (["--set", "trian.epochs=2"], "'trian'; did you mean 'train'"),
        (["--set", "train.epochs"], "write KEY=VALUE"),
        (["--epochs", "0"], "train.epochs = 0"),
        (["--epochs", "nan"], "train.epochs = nan"),
        (["--lr=-1"], "train.lr = -1"),
        (["--set", "train.schedule=linear"], "train.schedule = 'linear'"),
        (["--alpha", "2"], "alpha = 2"),
        (["--epohcs", "2"], "no such option: --epohcs|No such option"),
        (["--epochs", "many"], "number|float"),
        (["--augment", "crpo"], "did you mean 'crop'"),
        (["--student", "nets:five"], r"role 'student' has outputs of shape \(2, 5\), but digits has 10 classes"),
        (["--teacher", "nets:five"], r"role 'teacher' has outputs of shape \(2, 5\), but digits has 10 classes"),
        (["--student", "nets:narrow"], "role 'student' cannot take inputs of shape"),
        (["--student-weights", "nowhere.pt"], "the weights file nowhere.pt does not exist"),
        (["--method", "mean_teacher"], "digits has no unlabelled part, which this method needs: put"),
        (["--method", "similarity", "--set", "train.accumulate=2"], "gradient accumulation would change"),
        (["--recipe", "nowhere.toml"], "cannot read the recipe nowhere.toml"),
        (["--set", "data.limit=0"], "data.limit = 0"),
        (["--data-path", "/nowhere", "--data", "cifar10"], "/nowhere does not exist"),
        (["--data", "cifar10", "--set", "data.download=false"], "put .* there, or allow the download"),
    ],
)
def test_one_sentence(words, expected, refused):
    import re

    sentence = refused(*words)
    assert re.search(expected, sentence), sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[trian]\nepochs = 1\n", "'trian'; did you mean 'train'"),
        ("[train]\nepohcs = 1\n", "'train.epohcs'; did you mean 'train.epochs'"),
        ("[roles.peer]\nmodle = 'mlp'\n", "'roles.peer.modle'; did you mean 'roles.peer.model'"),
        ("[train\n", "is not valid TOML"),
        ("seed = -1\n", "seed = -1"),
        ("[method]\nname = 'kd'\n[method.arguments]\ntempreature = 2\n", "did you mean 'temperature'"),
        ("train = 3\n", "train"),
    ],
)
def test_recipes(text, expected, refuse, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    assert expected in refuse("distill", "--recipe", path, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def arrays(path, x, y, **more):
    np.savez(path, x_train=x, y_train=y, **more)
    return path


def images(count=40, classes=4):
    generator = np.random.default_rng(0)
    return generator.integers(0, 255, (count, 8, 8), dtype=np.uint8), np.arange(count) % classes


def test_labels_out_of_range(refused, tmp_path):
    x, y = images()
    assert "out of range" in refused("--data", arrays(tmp_path / "d.npz", x, y - 1))


def test_empty_data(refused, tmp_path):
    x, y = images()
    assert "has 0 class" in refused("--data", arrays(tmp_path / "d.npz", x[:0], y[:0]))
    named = arrays(tmp_path / "named.npz", x[:0], y[:0], classes=np.array(["a", "b"]))
    assert "is empty" in refused("--data", named)
    (tmp_path / "folder").mkdir()
    refused("--data", tmp_path / "folder")


def test_inputs_that_are_not_finite(refused, tmp_path):
    x, y = images()
    x = x.astype(np.float32) / 255
    x[3, 2, 2] = np.nan
    assert "not finite" in refused("--data", arrays(tmp_path / "d.npz", x, y))


def test_one_class(refused, tmp_path):
    x, y = images()
    assert "class" in refused("--data", arrays(tmp_path / "d.npz", x, y * 0))


def test_weights_of_another_network(refused, tmp_path):
    models.save_weights(models.build("cnn", classes=10, shape=(1, 8, 8)), tmp_path / "w.safetensors")
    assert "holds weights of another network" in refused("--teacher-weights", tmp_path / "w.safetensors")
    bad = models.build("mlp", classes=10, shape=(1, 8, 8))
    bad.linear.bias.data[0] = torch.nan
    models.save_weights(bad, tmp_path / "nan.safetensors")
    assert "not finite" in refused("--teacher-weights", tmp_path / "nan.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    assert "not a weights file" in refused("--teacher-weights", tmp_path / "junk.safetensors")


def test_a_teacher_at_chance_is_warned_of_and_the_run_goes_on(limbeck, tmp_path):
    torch.manual_seed(0)
    models.save_weights(models.build("mlp", classes=10, shape=(1, 8, 8)), tmp_path / "w.safetensors")
    code, out, err = limbeck(
        "distill",
        *TINY,
        "--teacher-weights",
        tmp_path / "w.safetensors",
        "--set",
        "onnx=false",
        "--set",
        "baseline=false",
        "--out",
        tmp_path / "run",
    )
    assert code == 0 and err == "" and "the teacher is at chance level: usually its preprocessing" in " ".join(out.split())
    assert "chance level" in (tmp_path / "run" / "card.json").read_text()


def test_an_existing_run_is_never_overwritten(limbeck, refuse, tmp_path):
    folder = tmp_path / "run"
    words = [*TINY, "--quiet", "--set", "onnx=false", "--set", "baseline=false", "--out", folder]
    assert limbeck("distill", *words)[0] == 0
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert "exists already; add --resume to continue it, or give another folder" in refuse("distill", *words)
    assert "has other settings" in refuse("distill", *words, "--epochs", "3", "--resume")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    assert "exists and is not a run" in refuse("distill", *words[:-1], other)
    assert "exists and is not a run" in refuse("distill", *words[:-1], other, "--resume")
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before and os.listdir(other) == ["mine.txt"]


def test_a_folder_that_cannot_be_written(refuse, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "cannot write" in refuse("distill", *TINY, "--out", tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(refuse, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "cannot write" in refuse("distill", *TINY, "--out", tmp_path / "closed" / "run")


@pytest.mark.parametrize("fills_at", ["recipe.toml", "metrics.jsonl", "teacher.safetensors", "student.safetensors", "card.json"])
def test_a_disk_that_fills_up(fills_at, refuse, limbeck, tmp_path, monkeypatch):
    """The disk is full when one file is written; once there is space, --resume finishes the run."""
    folder = tmp_path / "run"
    words = ["distill", *TINY, "--quiet", "--set", "onnx=false", "--set", "baseline=false", "--out", folder]
    real, append = files._seal, Path.open

    def seal(file, aside, target):
        if target.name == fills_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, aside, target)

    def opened(path, mode="r", *more, **named):
        if mode == "a+b" and path.name == fills_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(path, mode, *more, **named)

    monkeypatch.setattr(files, "_seal", seal)
    monkeypatch.setattr(Path, "open", opened)
    sentence = refuse(*words)
    assert "no space left on device; free some space" in sentence and fills_at in sentence
    assert not list(folder.rglob("*.part")) and not (folder / "card.json").exists()
    monkeypatch.undo()
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    code, _, err = limbeck(*words, *(["--resume"] if (folder / "recipe.toml").exists() else []))
    assert code == 0 and err == "" and (folder / "card.json").exists()


def test_a_stop_by_the_user_says_how_to_go_on(limbeck, tmp_path, monkeypatch):
    from limbeck.runs.session import Session

    def stopped(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "steps", stopped)
    code, _, err = limbeck("distill", *TINY, "--out", tmp_path / "run")
    assert code == 130 and "--resume" in err and err.count("\n") == 1


def test_a_refusal_is_one_line_of_at_most_300_characters(refuse, tmp_path):
    said = refuse("distill", "--set", f"store.top_k={'x' * 2000}")
    assert len(said) <= len("limbeck: ") + 300 + 1 and said.rstrip().endswith("unable to parse string as an integer")
    (tmp_path / "notes.bin").write_bytes(b"\x00\x01")
    said = refuse("plan", "--data", tmp_path)
    assert "holds no data of a known layout" in said and len(said) <= len("limbeck: ") + 300 + 1


def test_plan_refuses_what_distill_refuses(refuse):
    said = [refuse(*words, *TINY, "--method", "attention") for words in (["plan"], ["distill", "--quiet"])]
    assert said[0] == said[1] and "term 'attention layer1': its inputs do not fit together" in said[0]


def test_a_recipe_may_begin_with_a_byte_order_mark(refused, tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xef\xbb\xbf[trian]\nepochs = 1\n")
    assert "did you mean 'train'" in refused("--recipe", tmp_path / "r.toml")


def test_a_fault_of_our_own_is_one_sentence_that_names_the_traceback(limbeck, monkeypatch):
    from limbeck.cli import methods

    monkeypatch.setattr(methods, "find", lambda *_: 1 / 0, raising=False)
    monkeypatch.setattr("limbeck.methods.find", lambda *_: 1 / 0)
    code, _, err = limbeck("methods", "kd")
    path = Path(err.split("traceback in ")[1].strip())
    assert code == 2 and "unexpected error (division by zero)" in err and "ZeroDivisionError" in path.read_text()
    path.unlink()


def test_budgets_and_sizes_beyond_any_machine_are_refused_at_once(refused):
    assert "more than can ever be taken; give fewer" in refused("--set", "teacher.epochs=99999999999999999999")
    assert "student.classes" in refused("--set", "student.classes=1e9")
    for key in ("train.weight_decay", "train.lr", "train.clip", "teacher.lr"):
        assert f"{key} = 1e+308" in refused("--set", f"{key}=1e308")
    from limbeck.data.splits import size_of
    from limbeck.errors import UserError

    with pytest.raises(UserError, match="must be a share of 0 to below 1"):
        size_of(float("inf"), 10, "test")
