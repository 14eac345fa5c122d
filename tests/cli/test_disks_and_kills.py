"""Two at once, kills, changed inputs, full and read-only disks: slices of `bench.kills` and `bench.disks`."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nets import TINY

from bench import kills
from limbeck import models
from limbeck.files.locks import alone_in, fresh, sweep
from limbeck.store.shelves import Key, Store

HOLD = "import sys, time, pathlib; from limbeck.files.locks import alone_in, used_by\n"
WORDS = ["distill", *TINY, "--no-baseline", "--no-onnx", "--quiet"]


@pytest.fixture
def held():
    """Another process that has a folder; `how` is the function that takes it."""
    started = []

    def hold(folder, how="alone_in(place)"):
        code = f"{HOLD}place = pathlib.Path({str(folder)!r}); kept = {how}; kept.__enter__(); print('held', flush=True); time.sleep(60)"
        started.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "held\n"

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_a_folder_that_somebody_has_is_refused(limbeck, refuse, held, tmp_path):
    run = tmp_path / "run"
    assert limbeck(*WORDS, "--out", run)[0] == 0
    for name in ("run", "c", "s"):
        held(tmp_path / name)
    assert "in use by another process" in refuse(*WORDS, "--out", run, "--resume")
    assert "in use by another process" in refuse("export", run)
    assert "in use by another process" in refuse("explain", run)
    assert "in use by another process" in refuse("compare", *TINY, "--methods", "kd", "--seeds", "1", "--out", tmp_path / "c")
    assert "in use by another process" in refuse(
        "shrink", "--epochs", "1", "--teacher", "mlp", "--trials", "1", "--out", tmp_path / "s"
    )


def test_two_at_once_without_out_get_two_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [sys.executable, "-m", "limbeck", *WORDS]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""] and not any(p.returncode for p in both)
    assert sorted(p.name for p in Path("runs").iterdir()) == ["digits-auto-1", "digits-auto-2"]
    assert all((p / "report.html").exists() for p in Path("runs").iterdir())


def test_an_empty_folder_does_not_stay_and_leftovers_are_swept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with alone_in(tmp_path / "deep" / "new"):
        assert (tmp_path / "deep" / "new").is_dir()
    assert not (tmp_path / "deep").exists()
    assert [fresh("a").name, fresh("a").name] == ["a-1", "a-2"]
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getppid()):
        (tmp_path / f".card.json.{pid}.aabb.part").write_text("half")
    sweep(tmp_path)
    assert [p.name for p in tmp_path.glob(".*.part")] == [f".card.json.{os.getppid()}.aabb.part"], "who lives still writes"


@pytest.mark.parametrize("name", ["method.svg", "environment.json", "MODEL_CARD.md", "report.html"])
@pytest.mark.parametrize("command", ["evaluate", "report", "resume"])
def test_what_a_kill_left_out_is_written_by_the_next_command(limbeck, tmp_path, name, command):
    run = tmp_path / "run"
    assert limbeck(*WORDS, "--out", run)[0] == 0
    drawn = (run / "method.svg").read_bytes()
    (run / name).unlink()
    words = [*WORDS, "--out", run, "--resume"] if command == "resume" else [command, run]
    assert limbeck(*words)[0] == 0 and (run / name).stat().st_size > 100
    assert (run / "method.svg").read_bytes() == drawn


def test_a_run_that_was_killed_at_its_first_write_is_begun_again(limbeck, refuse, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".recipe.toml.999999.aabb.part").write_text("half")
    (run / "environment.json").write_text("{}")
    assert limbeck(*WORDS, "--out", run, "--resume")[0] == 0 and not list(run.glob(".*"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    assert "is not a run" in refuse(*WORDS, "--out", tmp_path / "other", "--resume")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("weights", "the weights of the teacher have changed"),
        ("data", "the data has changed"),
        ("limbeck", "limbeck's own code has changed"),
        ("code", "the code or settings of the student have changed"),
    ],
)
def test_other_inputs_are_not_continued_with(limbeck, refuse, tmp_path, change, said):
    run, weights = tmp_path / "run", tmp_path / "w.safetensors"
    models.save_weights(models.build("mlp", classes=10, shape=(1, 8, 8)), weights)
    words = [*WORDS, "--teacher-weights", weights, "--out", run]
    assert limbeck(*words)[0] == 0
    (run / "card.json").unlink()
    kept = json.loads((run / "inputs.json").read_text())
    if change == "weights":
        models.save_weights(models.build("mlp", classes=10, shape=(1, 8, 8)), weights)
    elif change == "code":
        kept["roles"]["student"]["code"] = "0" * 64
    else:
        kept[{"data": "data", "limbeck": "code"}[change]] = "0" * 64
    (run / "inputs.json").write_text(json.dumps(kept))
    assert said in refuse(*words, "--resume")


def test_a_flipped_bit_in_weights_is_seen(refuse, limbeck, tmp_path):
    run = tmp_path / "run"
    assert limbeck(*WORDS, "--out", run)[0] == 0
    for path, words in ((run / "student.safetensors", ["evaluate", run]), (run / "weights" / "teacher.safetensors", None)):
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
        (run / "card.json").unlink(missing_ok=True)
        assert "checksum does not match" in refuse(*(words or [*WORDS, "--out", run, "--resume"]))


def test_the_same_weights_are_the_same_file(tmp_path):
    module = models.build("mlp", classes=10, shape=(1, 8, 8))
    for name in "ab":
        models.save_weights(module, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_prune_leaves_what_a_run_uses_and_removes_what_cannot_be_read(held, tmp_path):
    store, said = Store(tmp_path), []
    facts = {"source": "teacher", "data": "d", "view": "v"}
    for name in ("used", "idle"):
        store.shelf(Key(facts | {"n": name}), (3,), 5, 1)
    used = tmp_path / Key(facts | {"n": "used"}).name
    for number, text in enumerate(("{}", "[]", "null", '{"bytes": -1}', "half")):
        (tmp_path / f"bad{number}").mkdir()
        (tmp_path / f"bad{number}" / "key.json").write_text(text)
    held(used, "used_by(place)")
    assert len(list(store.shelves())) == 2 and store.size() == 160
    assert store.prune(0, said.append) == 80
    assert [p.name for p in tmp_path.iterdir()] == [used.name] and (used / "key.json").exists()
    assert sum("a run is using" in line for line in said) == 1 and sum("cannot be read" in line for line in said) == 5


def test_an_interrupted_export_is_in_the_manifest(limbeck, tmp_path, monkeypatch):
    from limbeck.deploy import shipment

    run = tmp_path / "run"
    assert limbeck(*WORDS, "--out", run)[0] == 0
    monkeypatch.setattr(shipment.Shipment, "_compare", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert limbeck("export", run)[0] == 130
    (row,) = shipment.exports(run)
    assert "interrupted" in row["error"] and json.loads((run / "exports.json").read_text())["version"] == 1
    monkeypatch.undo()
    assert limbeck("export", run)[0] == 0 and "error" not in shipment.exports(run)[0]


@pytest.mark.slow
def test_killed_distillations_end_the_same():
    assert kills.campaign(["distill"], 3) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_full_and_read_only_disks(limbeck, monkeypatch):
    from bench import disks

    def said(words, store):
        monkeypatch.setenv("LIMBECK_STORE", str(store))
        code, _, complaint = limbeck(*words)
        gc.collect()  # shelves that a run left open would keep a disk busy
        return code, complaint

    count, wrong = disks.tried(few=True, said=said)
    assert count >= 7 and wrong == []
