"""The commands end to end, on digits with a tiny budget."""

import html
import json
import re
import shlex
import shutil

import pytest
import torch
from nets import TINY
from safetensors.torch import load_file

from limbeck.data import Batches, load
from limbeck.deploy.student import load_student
from limbeck.methods import CATALOGUE
from limbeck.runs import recipes as recipe
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.predictions import predict


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """One whole run, with export and page."""
    from limbeck.__main__ import run

    folder = tmp_path_factory.mktemp("runs") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_STORE", str(tmp_path_factory.mktemp("store")))
        assert run(["distill", *TINY, "--method", "kd", "--quiet", "--seed", "3", "--out", str(folder)]) == 0
    return folder


def card(folder):
    return json.loads((folder / "card.json").read_text())


def same_files(a, b, name="student.safetensors"):
    return (a / name).read_bytes() == (b / name).read_bytes()


def test_a_run_leaves_what_it_promises(done):
    assert {"recipe.toml", "environment.json", "metrics.jsonl", "student.safetensors", "student.json", "student.onnx", "card.json",
            "report.html", "method.svg"} <= {p.name for p in done.iterdir()}  # fmt: skip
    assert not list(done.rglob("*.part")) and not list(done.rglob("step-*"))
    page = (done / "report.html").read_text()
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    records = [json.loads(line) for line in (done / "metrics.jsonl").read_text().splitlines()]
    assert [(r["who"], r["epoch"]) for r in records] == [
        (who, e) for who in ("teacher", "baseline", "student") for e in (1.0, 2.0)
    ]


def test_the_card_says_what_was_measured(done):
    made = card(done)
    assert (
        made["method"]["name"] == "kd" and made["seed"] == 3 and made["method"]["arguments"] == {"temperature": 4.0, "alpha": 0.9}
    )
    for who, parameters in (("teacher", 64 * 64 + 64 + 2 * (64 * 64 + 64) + 650), ("baseline", 350), ("student", 350)):
        entry = made["models"][who]
        assert entry["parameters"] == parameters and entry["bytes"] == 4 * parameters
        assert 0 <= entry["score"] <= 1 and entry["interval"][0] <= entry["score"] <= entry["interval"][1]
        assert entry["latency_ms"]["median"] > 0 and entry["steps"] == 10 and entry["samples"] == 539
        assert {"macro_f1", "balanced_accuracy", "calibration_error", "agreement_with_teacher"} <= set(entry["figures"])
    assert made["models"]["teacher"]["figures"]["agreement_with_teacher"] == 1.0
    student, teacher, baseline = (made["models"][who] for who in ("student", "teacher", "baseline"))
    assert made["size_cut_percent"] == pytest.approx(100 * (1 - student["parameters"] / teacher["parameters"]))
    assert made["drop_percent"] == pytest.approx(100 * (teacher["score"] - student["score"]) / teacher["score"])
    assert made["gain_percent"] == pytest.approx(100 * (student["score"] - baseline["score"]) / baseline["score"])
    assert made["export"]["onnx"]["largest_difference"] < 1e-4 and made["export"]["onnx"]["same_predictions"] == 1.0


def printed(page):
    """The commands on a page, as words."""
    found = re.search(r'aria-label="Commands">(.*?)</pre>', page.read_text(), re.S)
    return [shlex.split(html.unescape(line)) for line in found[1].splitlines()]


@pytest.mark.parametrize("name", ["one", "it's one"])
def test_the_lines_of_the_page_run_as_printed(done, limbeck, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(done, tmp_path / "runs" / name)
    assert limbeck("report", f"runs/{name}")[0] == 0
    lines = printed(tmp_path / "runs" / name / "report.html")
    assert [words[:2] for words in lines] == [["limbeck", command] for command in ("distill", "evaluate", "report")]
    for _, *words in lines:
        assert limbeck(*words, *(["--quiet", "--set", "onnx=false"] if words[0] == "distill" else []))[0] == 0, words
    assert same_files(done, tmp_path / "runs" / f"{name}-again")


def test_the_resolved_recipe_runs_again_to_the_same_bits(done, limbeck, tmp_path):
    again = tmp_path / "again"
    code, _, err = limbeck("distill", "--recipe", done / "recipe.toml", "--quiet", "--set", "onnx=false", "--out", again)
    assert code == 0 and err == ""
    assert same_files(done, again) and same_files(done, again, "metrics.jsonl")
    assert card(again)["models"]["student"]["score"] == card(done)["models"]["student"]["score"]
    first, second = ({k: v for k, v in recipe.load(f / "recipe.toml").items() if k != "onnx"} for f in (done, again))
    found = [settings.pop("decided") for settings in (first, second)]
    assert first == second
    assert found[0]["pulls"] == found[1]["pulls"] and found[0]["of"] != found[1]["of"], "`of` names all settings, onnx too"


def test_a_finished_run_that_is_resumed_stays_as_it_is(done, limbeck):
    before = {p.name: p.read_bytes() for p in done.iterdir() if p.name in ("student.safetensors", "metrics.jsonl", "recipe.toml")}
    code, _, _ = limbeck("distill", *TINY, "--quiet", "--seed", "3", "--out", done, "--resume")
    assert code == 0 and all((done / name).read_bytes() == content for name, content in before.items())


VARIANTS = {
    "own_teacher": [
        "--student",
        "cnn",
        "--set",
        "student.width=2",
        "--method",
        "own_teacher",
        "--set",
        "method.deploy=0",
        "--set",
        "baseline=false",
    ],
    "born_again": [
        "--method",
        "born_again",
        "--set",
        "method.ensemble=true",
        "--set",
        "method.generations=2",
        "--set",
        "baseline=false",
    ],
    "mutual": ["--method", "mutual", "--set", "roles.peer.model=mlp", "--set", "baseline=false"],
    "soft_tree": ["--student", "tree", "--method", "soft_tree", "--set", "student.depth=4"],
}


@pytest.mark.parametrize("name", VARIANTS)
def test_what_was_deployed_is_loaded_with_equal_logits(name, limbeck, tmp_path):
    words = [w for w in TINY if not (name in ("own_teacher", "soft_tree") and w == "student.width=4")]
    if name in ("own_teacher", "soft_tree"):
        words = ["--epochs", "1", "--batch", "32", "--teacher", "mlp", "--set", "data.limit=100"]
    folder = tmp_path / name
    code, _, err = limbeck("distill", *words, *VARIANTS[name], "--quiet", "--set", "onnx=false", "--out", folder)
    assert code == 0, err
    student, info = load_student(folder)
    data = load("digits", limit=100 if name in ("own_teacher", "soft_tree") else 200)
    seen = predict(student, Batches(data["test"], data, size=256, seed=0).ordered(), CLASSIFY)
    stored = load_file(folder / "predictions.safetensors")
    assert torch.equal(seen.logits, stored["student"]) and torch.equal(seen.labels, stored["labels"])
    assert info["method"]["name"] == name and len(info["classes"]) == 10
    code, out, err = limbeck("evaluate", folder, "--json")
    assert code == 0 and json.loads(out)["score"] == card(folder)["models"]["student"]["score"]


def test_evaluate_a_run_and_bare_weights(done, limbeck):
    code, out, _ = limbeck("evaluate", done, "--json")
    facts = json.loads(out)
    expected = card(done)["models"]["student"]
    assert code == 0 and facts["score"] == expected["score"] and facts["parameters"] == 350
    assert facts["worst"] == expected["worst"]
    assert facts["figures"]["calibration_error"] == expected["figures"]["calibration_error"]
    code, out, _ = limbeck("evaluate", done, "--part", "validation")
    assert code == 0 and "accuracy" in out


def test_evaluate_export_and_report_refuse_what_they_cannot_use(done, refuse, tmp_path):
    assert "holds no student.json" in refuse("evaluate", tmp_path)
    assert "holds no student.json" in refuse("export", tmp_path)
    assert "tset" in refuse("evaluate", done, "--part", "tset")
    assert "either a run folder or --model" in refuse("evaluate")
    assert "--model needs --weights" in refuse("evaluate", "--model", "mlp")
    assert "weights of another network" in refuse(
        "evaluate", "--model", "cnn", "--weights", done / "weights" / "student.safetensors"
    )
    refuse("report", tmp_path)


def test_export_and_report_write_their_files_again(done, limbeck, tmp_path):
    code, out, _ = limbeck("export", done, "--out", tmp_path / "s.onnx")
    assert code == 0 and (tmp_path / "s.onnx").stat().st_size > 1000 and "largest difference" in out
    (done / "report.html").unlink()
    code, out, _ = limbeck("report", done)
    assert code == 0 and (done / "report.html").exists() and "report.html" in out


def test_methods_lists_shows_and_draws(limbeck, refuse, tmp_path):
    code, out, _ = limbeck("methods")
    assert code == 0 and all(name in out for name in CATALOGUE)
    code, out, _ = limbeck("methods", "--table")
    assert code == 0 and "soft labels @ output" in out
    code, out, _ = limbeck("methods", "kd", "--set", "temperature=2", "--svg", tmp_path / "kd.svg")
    assert code == 0 and "temperature=2" in out and "trains student" in out
    assert "<svg" in (tmp_path / "kd.svg").read_text()
    assert "unknown method 'kdd'; did you mean 'kd'" in refuse("methods", "kdd")
    assert "did you mean 'temperature'" in refuse("methods", "kd", "--set", "temprature=2")
    assert "write KEY=VALUE" in refuse("methods", "kd", "--set", "temperature")


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_method_is_shown(name, limbeck):
    code, out, _ = limbeck("methods", name)
    assert code == 0 and out.startswith(f"{name}(")


def test_models_are_listed(limbeck):
    code, out, _ = limbeck("models")
    assert code == 0 and "resnet8\n" in out


def test_it_runs_as_a_module_and_quietly_where_there_is_no_terminal(done):
    import os
    import subprocess
    import sys

    shown = subprocess.run(
        [sys.executable, "-m", "limbeck", "methods", "kd"], capture_output=True, text=True, env=os.environ, check=True
    )
    assert shown.stderr == "" and shown.stdout.startswith("kd(")
