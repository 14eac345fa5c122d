"""Figures come from where the command says, each from a fresh process, and nothing stays behind."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from limbeck.__main__ import run
from limbeck.deploy.device import Target, ask
from limbeck.deploy.formats import find
from limbeck.deploy.onnx_file import export_onnx


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("device") / "a.onnx"
    export_onnx(nn.Linear(4, 3), torch.zeros(2, 4), path, metadata={})
    return path


def measured(capsys, *words):
    assert run(["measure", *map(str, words), "--repeats", "20", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["measured"]


def test_a_prefix_reaches_the_target(file, python, tmp_path, capsys):
    seen = tmp_path / "seen"
    wrapper = tmp_path / "on-target"
    wrapper.write_text(f'#!/bin/sh\necho "$@" > {seen}\nexec "$@"\n')
    wrapper.chmod(0o755)
    (row,) = measured(capsys, file, "--on", str(wrapper), "--python", python, "--batch", "1,8")
    assert seen.read_text().split() == [python, "-"]
    assert row["on"] == str(wrapper) and set(row["latency_ms"]) == {"1", "8"}


@pytest.mark.parametrize("prefix", ["env X=1", "bash -c", "nice -n 5"])
def test_usual_prefixes(file, python, prefix, capsys):
    before = set(Path(tempfile.gettempdir()).glob("limbeck-*"))
    (row,) = measured(capsys, file, "--on", prefix, "--python", python)
    times = row["latency_ms"]["1"]
    assert 0 < times["low"] <= times["median"] <= times["high"] <= times["p95"] and times["repeats"] == 20
    assert row["bytes"] == file.stat().st_size and row["threads"] == 1
    assert set(Path(tempfile.gettempdir()).glob("limbeck-*")) <= before


def test_peak_memory_is_that_of_a_fresh_process(file):
    ballast = np.ones(60_000_000)  # 480 MB that a child of this process must not be charged with
    (seen,) = ask([find("onnx").job(file, np.zeros((1, 4), np.float32), batches=(1,), repeats=5)])
    assert ballast[0] == 1
    assert 10e6 < seen.figures["runtime_bytes"] <= seen.figures["peak_bytes"] < 300e6


def test_answers_are_those_of_the_module(file):
    torch.manual_seed(0)
    layer, inputs = nn.Linear(4, 3), torch.randn(7, 4)
    (seen,) = ask([find("onnx").job(file, inputs.numpy(), answers=True, batch=3)])
    with torch.no_grad():
        expected = layer(inputs).numpy()
    assert np.allclose(seen.answers, expected, atol=1e-6) and np.allclose(seen.alone, expected[:1], atol=1e-6)


def test_a_runtime_that_is_missing_is_a_row(file, tmp_path, python):
    (seen,) = ask(
        [find("executorch").job(file, np.zeros((1, 4), np.float32))],
        Target(("env", f"PYTHONPATH={tmp_path}", "LIMBECK=1"), python),
    )
    assert seen.error  # a file of another runtime, or a runtime that is not there: either way words
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('not here')")
    (seen,) = ask([find("onnx").job(file, np.zeros((1, 4), np.float32))], Target(("env", f"PYTHONPATH={tmp_path}"), python))
    assert seen.error == "onnxruntime is not installed there (not here)"


def test_a_runtime_that_dies_is_a_row(file, tmp_path, python):
    (tmp_path / "onnxruntime.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    job = find("onnx").job(file, np.zeros((1, 4), np.float32))
    (seen,) = ask([job], Target(("env", f"PYTHONPATH={tmp_path}"), python))
    assert "ended with code -11" in seen.error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--on", "no-such-command-here"], "no such command"),
        (["--on", "false"], "without results"),
        (["--on", ""], "--on is empty"),
        (["--on", "'"], "cannot be read as a command"),
        (["--batch", "1,x"], "whole numbers"),
        (["--batch", "0"], "at least 1"),
        (["--threads", "0"], "at least 1"),
    ],
)
def test_wrong_options_are_one_sentence(file, words, said, capsys):
    assert run(["measure", str(file), *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_folder_measures_what_it_holds(student_folder, tmp_path, capsys):
    assert run(["measure", str(student_folder)]) == 2
    assert "has no exports" in capsys.readouterr().err
    folder = shutil.copytree(student_folder, tmp_path / "run")
    assert run(["export", str(folder)]) == 0
    capsys.readouterr()
    (row,) = measured(capsys, folder)
    assert row["file"] == "student.onnx" and json.loads((folder / "measured.json").read_text())["rows"] == [row]
