"""`kill -9` at any moment, also while a checkpoint is written: --resume ends in the same bits."""

import os
import signal
import subprocess
import sys
import time

import pytest
from nets import TINY

from limbeck import models

MOMENTS = [("while the first checkpoints are made", 1), ("in the second stage", 14), ("near the end", 26)]


def command(folder, weights, *more):
    words = [
        "--method",
        "fitnets",
        "--teacher-weights",
        str(weights),
        "--quiet",
        "--set",
        "onnx=false",
        "--set",
        "checkpoint_seconds=0",
        "--set",
        "baseline=false",
    ]
    return [sys.executable, "-m", "limbeck", "distill", *TINY, *words, "--epochs", "6", "--out", str(folder), *more]


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    models.save_weights(models.build("mlp", classes=10, shape=(1, 8, 8)), folder / "w.safetensors")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "LIMBECK_STORE": str(folder / "store")}
    subprocess.run(command(folder / "whole", folder / "w.safetensors"), env=env, check=True, capture_output=True)
    return folder, env


def kill_at(process, checkpoints, step):
    """Kill when a checkpoint of step `step` or later is being written aside, or has just been (a loaded machine may
    not let this process look in between). False if the run was done before."""
    while process.poll() is None:
        try:
            names = os.listdir(checkpoints)
        except FileNotFoundError:
            time.sleep(0.01)
            continue
        if any(int(name.split("-")[1].split(".")[0]) >= step for name in names if "step-" in name):
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.002)
    return False


@pytest.mark.slow
def test_killed_three_times_it_ends_in_the_same_bits(setting):
    folder, env = setting
    cut, checkpoints = folder / "cut", folder / "cut" / "checkpoints" / "student"
    killed = 0
    for _, step in MOMENTS:
        more = ["--resume"] if (cut / "recipe.toml").exists() else []
        process = subprocess.Popen(
            command(cut, folder / "w.safetensors", *more), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        killed += kill_at(process, checkpoints, step)
        assert process.wait() in (0, -signal.SIGKILL), process.stderr.read().decode()
        process.stderr.close()
    assert killed, "the run was done before it could be killed"
    (checkpoints / ".step-000000003.safetensors.1.aa.part").write_bytes(b"half a file") if checkpoints.exists() else None
    done = subprocess.run(command(cut, folder / "w.safetensors", "--resume"), env=env, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    for name in ("student.safetensors", "metrics.jsonl", "recipe.toml"):
        assert (cut / name).read_bytes() == (folder / "whole" / name).read_bytes(), name
    assert not list(cut.rglob("*.part")), "what a kill left aside is swept away"
