"""Two processes over gloo see the losses of one, to rounding, and end with the same weights."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
WORKER = Path(__file__).with_name("ddp_worker.py")


def start(words, out):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([*words, str(WORKER), str(out)], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    start([sys.executable], folder / "one")
    start([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29611"], folder / "two")
    return [json.loads((folder / name).read_text()) for name in ("one.-1.json", "two.0.json", "two.1.json")]


@pytest.mark.parametrize("name", ["kd", "mutual", "assistant", "lm_kd"])
def test_losses_and_weights_are_those_of_one_process(name, seen):
    one, first, second = seen
    for terms in (first[name], second[name]):
        for alone, shared in zip(one[name], terms, strict=True):
            assert shared == pytest.approx(alone, rel=1e-6)  # float32 sums of other halves
    assert first[f"{name} weights"] == second[f"{name} weights"]
    flat = [
        [value for row in made[f"{name} weights"] for value in (row if isinstance(row[0], float) else sum(row, []))]
        for made in (one, first)
    ]
    assert flat[1] == pytest.approx(flat[0], abs=1e-6)


def test_terms_over_the_batch_are_refused(seen):
    assert all("so several processes would change its value" in made["dist"] for made in seen[1:])
    assert seen[0]["dist"] == "not refused"


def test_what_one_process_cannot_go_on_with_stops_all(seen):
    assert all("step 2" in made["nan"] and "is nan" in made["nan"] for made in seen)


RUN = shlex.split(
    "-m limbeck distill --teacher mlp --student mlp --set teacher.width=16 --set student.width=8 --epochs 2 --no-baseline "
    "--set data.limit=200 --set onnx=false --set device=cpu --set train.schedule=constant --lr 0.01"
)
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=2"]


def command(words, folder):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "LIMBECK_STORE": str(folder / "store")}
    return subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def test_the_command_writes_and_prints_once(tmp_path):
    one = command([*RUN, "--out", "one"], tmp_path)
    two = command([*TORCHRUN, "--master-port=29613", *RUN, "--out", "two"], tmp_path)
    assert one.returncode == two.returncode == 0, two.stderr[-3000:]
    assert two.stdout.count("distillation score") == 1
    files = [sorted(str(p.relative_to(tmp_path / run)) for p in (tmp_path / run).rglob("*")) for run in ("one", "two")]
    assert files[0] == files[1]
    curves = [
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()] for run in ("one", "two")
    ]
    assert [(c["who"], c["epoch"]) for c in curves[0]] == [(c["who"], c["epoch"]) for c in curves[1]]
    for alone, shared in zip(*curves, strict=True):
        assert shared["terms"] == pytest.approx(alone["terms"], rel=1e-4)


def test_a_mistake_is_said_once_and_only_runs_are_shared(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    refused = command([*TORCHRUN, "--master-port=29614", *RUN, "--out", "mine"], tmp_path)
    assert refused.returncode != 0 and refused.stderr.count("is not a run; give another folder") == 1
    other = command([*TORCHRUN, "--master-port=29615", "-m", "limbeck", "compare", "--methods", "kd"], tmp_path)
    assert other.returncode != 0 and "limbeck compare was started in several processes" in other.stderr
    assert not (tmp_path / "runs").exists()
