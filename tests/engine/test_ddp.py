"""Two processes over gloo see the losses of one, to rounding, and end with the same weights."""

import json
import os
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


@pytest.mark.parametrize("name", ["kd", "mutual", "assistant"])
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
