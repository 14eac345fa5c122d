"""Cases of the list of faults that no other file has: one sentence each, or the right value."""

import errno
import os
import shutil

import numpy as np
import pytest
import torch
from nets import TINY
from PIL import Image

import limbeck as package
from limbeck.data import from_datasets
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.store import rows

QUICK = [*TINY, "--set", "onnx=false", "--no-baseline", "--quiet"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--set", "method.temperature=-1"], "method kd: temperature must be above 0, got -1"),
        (["--set", "method.temperature=nan"], "method kd: temperature must be a number within 1e+30, got nan"),
        (["--method", "taid", "--set", "method.start=1e308"], "method taid: start must be a number within 1e+30, got 1e+308"),
        (["--set", "method.alpha={a=1}"], "method kd: alpha = {'a': 1} cannot be used: input should be a valid number"),
        (["--method", "dense_hints", "--set", "method.at=1"], "method dense_hints: at = 1 cannot be used: input should be a valid"),
        (["--method", "records_top", "--set", "method.rate=-1"], "the optimizer of replays cannot be made (Invalid learning rate: -1); correct"),
        (["--method", "gradual", "--set", "method.snapshots=99999999999999999999"], "should be less than or equal to 1000"),
        (["--student", "wrn_16_2", "--set", "student.width=2"], "unknown argument of model wrn_16_2 'width'"),
        (["--method", "mlkd", "--set", "method.temperatures=[2.0, 0]"], "method mlkd: temperatures must be above 0, got 0"),
        (["--set", "teacher.std=[inf]", "--set", "teacher.mean=[0.0]"], "teacher.std.0 = inf cannot be used: input should be a finite"),
        (["--epochs", "inf"], "train.epochs = inf cannot be used: input should be a finite number"),
        (["--set", "store.limit_gb=inf"], "store.limit_gb = inf cannot be used: input should be a finite number"),
        (["--set", "student.width=nan"], "mlp: width must be a number like 64, got nan"),
        (["--teacher", "cnn", "--set", "teacher.width=20000"], "parameters are more than 1,000,000,000; make it smaller"),
        (["--teacher", "wrn_406_99"], "parameters are more than 1,000,000,000; make it smaller"),
        (["--teacher", "wrn_99999_99999"], "unknown model 'wrn_99999_99999'"),
        (["--set", f"method.alpha={10**400}"], "method kd: alpha = 100000000000000000000000..."),
        (["--student", "mlp", "--set", "student.width=1e9"], "mlp: width must be a number like 64, got 1000000000.0"),
        (["--teacher", "wrn_16_1", "--set", "teacher.dropout=2"], "wrn_16_1: cannot be made with dropout = 2 for inputs (1, 8, 8)"),
        (["--data", "csv", "--data-path", "."], ". has no train.csv; give a folder with one, or the path of a table"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(refuse, tmp_path, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in refuse("distill", *QUICK, "--out", "run", *words)
    assert not (tmp_path / "run").exists()


def test_a_store_is_not_pruned_to_less_than_nothing(refuse):
    assert "'--limit-gb': Input should be greater than or equal to 0" in refuse("store", "prune", "--limit-gb", "-1")


def test_a_recipe_that_names_its_method_by_a_word(limbeck, tmp_path):
    (tmp_path / "r.toml").write_text('method = "kd"\n')
    words = ["--method", "dkd", "--epochs", "0.1", "--out", tmp_path / "run"]
    assert limbeck("distill", "--recipe", tmp_path / "r.toml", *QUICK, *words)[0] == 0
    assert 'name = "dkd"' in (tmp_path / "run" / "recipe.toml").read_text()


def test_names_of_files_that_are_no_text(refuse, tmp_path):
    """The page could not be written, after all training."""
    for k, name in enumerate((b"\xff\xfe", b"dog")):
        folder = tmp_path / "d" / os.fsdecode(name)
        folder.mkdir(parents=True)
        for n in range(12):
            Image.fromarray(np.full((8, 8), 100 * k + n, np.uint8)).save(folder / f"{n}.png")
    said = refuse("distill", *QUICK, "--data", tmp_path / "d", "--out", tmp_path / "run")
    assert r"the class '\udcff\udcfe' has a name that is not UTF-8; rename it" in said and not (tmp_path / "run").exists()
    with atomic_write(tmp_path / "page", text=True) as file:
        file.write("ü \udcff")
    assert (tmp_path / "page").read_bytes() == "ü \\udcff".encode()


def test_damaged_cards_and_students(limbeck, refuse, tmp_path):
    run = tmp_path / "run"
    assert limbeck("distill", *QUICK, "--epochs", "0.1", "--out", run)[0] == 0
    whole = {name: (run / name).read_text() for name in ("card.json", "student.json")}
    for damaged in (whole["student.json"][:200], "[]", "{}", '{"version": 1, "roles": []}'):
        (run / "student.json").write_text(damaged)
        for command in ("evaluate", "export"):
            assert "student.json" in refuse(command, run)
    (run / "student.json").write_text(whole["student.json"])
    for damaged in (whole["card.json"][:200], "[]", "{}", '{"version": 1, "models": []}'):
        (run / "card.json").write_text(damaged)
        assert limbeck("report", run)[0] == 0 and "There is no result table: " in (run / "report.html").read_text()
        assert "card.json" in refuse("distill", *QUICK, "--epochs", "0.1", "--out", run, "--resume")
    (run / "w.pt").write_bytes(b"PK\x03\x04 junk")
    assert "w.pt" in refuse("evaluate", "--model", "mlp", "--weights", run / "w.pt")


def test_a_teacher_that_answers_nan_is_a_sentence_with_the_store_on(tmp_path):
    class Teacher(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) * torch.nan

    samples = from_datasets((torch.rand(40, 4), torch.arange(40) % 2), validation=8)
    with pytest.raises(UserError, match="teacher.*(nan|not finite)"):
        package.distill(Teacher(4, 2), torch.nn.Linear(4, 2), samples, out=tmp_path / "r", epochs=1, onnx=False)


def test_a_run_goes_on_live_when_the_disk_of_the_store_is_full(limbeck, tmp_path, monkeypatch):
    """A bus error ended it."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(rows, "_all", full)
    code, out, err = limbeck("distill", *QUICK[:-1], "--out", tmp_path / "run")
    assert code == 0 and err == "" and "the store is full or read-only" in " ".join(out.split())


def test_what_cannot_be_removed_is_not_said_to_be(limbeck, refuse, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    assert limbeck("distill", *QUICK, "--out", tmp_path / "run")[0] == 0

    def closed(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(shutil, "rmtree", closed)
    monkeypatch.setattr(os, "rename", closed)
    said = refuse("store", "prune", "--limit-gb", "0")
    assert "read-only file system" in said and any((tmp_path / "store").glob("*/key.json"))


def test_a_run_of_made_data_is_evaluated(limbeck, tmp_path):
    """Arguments of the data were forgotten: a traceback. `export` loads data by the same call."""
    made = ["data.arguments.frames=2", "data.arguments.canvas=9", "data.arguments.size=8", "data.limit=40"]
    words = [word for each in made for word in ("--set", each)]
    run = tmp_path / "run"
    assert limbeck("distill", *QUICK, "--data", "moving", *words, "--epochs", "0.1", "--out", run)[0] == 0
    assert limbeck("evaluate", run)[0] == 0
