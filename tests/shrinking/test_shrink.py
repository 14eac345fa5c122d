"""A search within limits: what cannot fit is never trained, the verdict holds, and a killed search is continued."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from limbeck import data
from limbeck.__main__ import run
from limbeck.data import load
from limbeck.errors import UserError
from limbeck.models import build, save_weights
from limbeck.models.inherit import hand_down, share_of
from limbeck.runs.settings import ModelSettings
from limbeck.shrinking.candidates import parse_candidates, pieces, usual
from limbeck.shrinking.limits import Limits, parse_seconds, parse_share, parse_size
from limbeck.shrinking.search import Search
from limbeck.shrinking.verdict import Guess, choose, front, nothing

pytest.importorskip("optuna", reason='Optuna is not installed; pip install "limbeck[search]"')
pytestmark = pytest.mark.filterwarnings("ignore::Warning:optuna", "ignore::Warning:sqlalchemy", "ignore::Warning:alembic")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    return tmp_path


@pytest.fixture
def teacher(tmp_path):
    """A teacher of the digits with weights: a CNN taught for a moment."""
    words = ["--student", "cnn", "--set", "student.width=16", "--method", "alone", "--epochs", "3", "--no-baseline"]
    assert run(["distill", *words, "--set", "onnx=false", "--quiet", "--out", str(tmp_path / "big")]) == 0
    return ["--teacher", "cnn", "--set", "teacher.width=16", "--teacher-weights", str(tmp_path / "big/student.safetensors")]


def state_of(folder):
    return json.loads((folder / "shrink.json").read_text())


SMALL = ["--epochs", "2", "--trials", "2", "--quiet"]


def test_what_cannot_fit_is_not_trained_and_the_answer_holds(teacher, tmp_path, capsys):
    words = ["--candidates", "cnn:width=2|4|64,cnn:width=4:size=8", "--max-size", "40kB", "--max-latency", "50ms"]
    assert run(["shrink", *teacher, *SMALL, *words, "--min-score", "0.1", "--out", "s"]) == 0
    said = capsys.readouterr().out
    state = state_of(tmp_path / "s")
    rows = {row["name"]: row for row in state["candidates"]}
    assert list(rows) == ["cnn:width=2", "cnn:width=4", "cnn:width=64"], "least work first; size 8 is the data's own"
    assert "its weights alone are 1.49 MB is more than 40 kB" in rows["cnn:width=64"]["dropped"].replace("\u202f", " ")
    assert rows["cnn:width=64"].get("latency_ms") is None, "it was not even measured"
    assert {t["candidate"] for t in state["trials"]} <= {"cnn:width=2", "cnn:width=4"} and len(state["trials"]) == 2
    assert [t["candidate"] for t in state["trials"]] == ["cnn:width=4", "cnn:width=2"], "each once, the largest first"
    best = max((t for t in state["trials"] if t["state"] == "complete"), key=lambda t: t["validation"])
    chosen, folder = state["chosen"], tmp_path / "s" / best["folder"]
    assert state["verdict"]["chosen"]["number"] == best["number"]
    assert chosen["bytes"] == (folder / chosen["file"]).stat().st_size <= 40_000 and chosen["latency_ms"] <= 50
    card = json.loads((folder / "card.json").read_text())
    assert chosen["score"] == card["models"]["student"]["score"] and "Its file student.onnx" in said
    page = (tmp_path / "s" / "shrink.html").read_text()
    assert "Validation accuracy against latency" in page and "<svg" in page and (folder / "MODEL_CARD.md").exists()
    assert not (tmp_path / "s" / "trials" / "2").exists()
    before = time.monotonic()
    assert run(["shrink", *teacher, *SMALL, *words, "--min-score", "0.1", "--out", "s"]) == 0  # it is done already
    assert time.monotonic() - before < 60 and len(state_of(tmp_path / "s")["trials"]) == 2


def test_a_limit_that_nobody_can_meet_ends_before_anything_is_built(tmp_path, capsys):
    assert run(["shrink", *SMALL, "--max-latency", "0.1us", "--out", "s"]) == 0
    assert "even a file that computes almost nothing takes" in capsys.readouterr().out
    assert not list((tmp_path / "s").glob("teacher*")) and all(
        "not measured" in r["dropped"] for r in state_of(tmp_path / "s")["candidates"]
    )


def test_too_small_a_file_names_the_nearest_miss(tmp_path, capsys):
    assert run(["shrink", *SMALL, "--max-size", "3kB", "--candidates", "cnn:width=2|4", "--out", "s"]) == 0
    said = capsys.readouterr().out
    assert "The nearest miss is cnn:width=2" in said and "It would fit with --max-size" in said
    least = int(said.split("--max-size ")[1].split("kB")[0])
    assert 1000 * least >= state_of(tmp_path / "s")["candidates"][0]["bytes"], "the advice must be enough"


def test_too_high_an_accuracy_is_answered_with_what_was_reached(teacher, tmp_path, capsys):
    words = ["--candidates", "cnn:width=2", "--min-score", "100%", "--out", "s"]
    assert run(["shrink", *teacher, *SMALL[:2], "--trials", "1", "--quiet", *words]) == 0
    assert "Relax --min-score to 0." in capsys.readouterr().out and state_of(tmp_path / "s").get("chosen") is None


def test_the_time_is_kept_and_a_killed_search_goes_on(teacher, tmp_path):
    words = [
        sys.executable,
        "-m",
        "limbeck",
        "shrink",
        *teacher,
        "--candidates",
        "cnn:width=4",
        "--epochs",
        "400",
        "--trials",
        "1",
    ]
    words += ["--set", "checkpoint_seconds=0", "--out", "s", "--quiet"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list((tmp_path / "s").glob("trials/0/checkpoints/student/*")):
        time.sleep(0.2)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    spent = state_of(tmp_path / "s")["spent"]
    assert spent > 0
    done = subprocess.run([*words, "--time", f"{spent + 20:.0f}s"], capture_output=True, text=True, timeout=300)
    state = state_of(tmp_path / "s")
    assert done.returncode == 0 and spent < state["spent"] < spent + 40, done.stderr
    assert [t["folder"] for t in state["trials"]] == ["trials/0"], "the cut-off training is continued under its number"
    curve = (tmp_path / "s/trials/0/metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in curve]
    assert steps == sorted(set(steps)) and "No student was trained to the end" in done.stdout


def test_an_undefined_score_is_a_training_that_failed_with_a_sentence(tmp_path, capsys):
    """R2 of a validation part whose targets are all alike is undefined: no training has a score to be chosen by."""
    for name, rows in (("train", range(60)), ("validation", [7] * 20), ("test", range(20))):
        (tmp_path / f"{name}.csv").write_text("a,b,y\n" + "".join(f"{k},{k % 3},{k % 7}\n" for k in rows))
    data = ["--data", str(tmp_path), "--set", "data.task=numbers", "--set", "data.label=y"]
    words = ["--candidates", "mlp:width=4", "--no-guided", "--out", "s"]
    assert run(["shrink", *data, *SMALL, *words]) == 0
    said = capsys.readouterr().out
    assert "No student was trained to the end. The first training failed: R2 is undefined on the validation part of" in said
    state = state_of(tmp_path / "s")
    assert [(t["state"], t["validation"]) for t in state["trials"]] == [("fail", None)] * 2 and state["version"] == 1
    state["version"] = 7
    (tmp_path / "s" / "shrink.json").write_text(json.dumps(state))
    assert run(["shrink", *data, *SMALL, *words]) == 2
    assert "shrink.json has version '7', and this limbeck reads version 1" in capsys.readouterr().err


def test_a_front_of_scores_below_minus_one():
    rows = [{"validation": v, "bytes": c} for v, c in ((-3.0, 1), (-5.0, 2), (-2.0, 3))]  # R2 of very bad students
    assert [row["validation"] for row in front(rows, "bytes")] == [-3.0, -2.0]


def test_a_search_with_other_settings_is_refused(tmp_path, capsys):
    assert run(["shrink", *SMALL, "--max-latency", "0.1us", "--out", "s"]) == 0
    assert run(["shrink", *SMALL, "--max-latency", "0.2us", "--out", "s"]) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-latency", "5"], "with a unit"),
        (["--max-latency", "5 parsec"], "with a unit"),
        (["--max-latency", "-5ms"], "above 0"),
        (["--max-size", "1"], "1MB, 200kB"),
        (["--min-score", "1.2"], "between 0 and 1"),
        (["--min-score", "good"], "between 0 and 1"),
        (["--time", "0m"], "above 0"),
        (["--format", "onnx,torch"], "one runtime"),
        (["--trials", "0"], "at least 1"),
        (["--candidates", "cn:width=2", "--out", "x"], "or 'cnn'?"),
        (["--candidates", "cnn:size=big", "--out", "z"], "expected the pixels of a side"),
        (["--storage", "nowhere://x", "--candidates", "cnn:width=2", "--out", "y"], "check --storage"),
    ],
)
def test_wrong_options_are_one_sentence(words, said, capsys, tmp_path, request):
    if "--storage" in words:
        words = [*words, *request.getfixturevalue("teacher")]
    code = run(["shrink", "--quiet", *words])
    out, err = capsys.readouterr()
    assert said in out + err
    assert code == 2 and err.count("\n") == 1


def test_words_with_units():
    assert parse_seconds("x", "5ms") == 0.005 and parse_seconds("x", "30m") == 1800 and parse_seconds("x", "2H") == 7200
    assert parse_size("x", "1MB") == 10**6 and parse_size("x", "1MiB") == 2**20 and parse_size("x", "200 kb") == 200_000
    assert parse_share("x", "90%") == 0.9
    with pytest.raises(UserError):
        parse_size("x", "5ms")


def test_candidates_from_words_and_from_the_teacher():
    digits = load("digits")
    names = [c.name for c in parse_candidates("cnn:width=2|4:depth=1|2,mlp", digits)]
    assert names == ["cnn:depth=1:width=2", "cnn:depth=2:width=2", "cnn:depth=1:width=4", "cnn:depth=2:width=4", "mlp"]
    found = usual(digits, ModelSettings(model="cnn", arguments={"width": 16}))
    assert "cnn:width=8 from teacher" in [c.name for c in found] and len(found) == len({c.name for c in found})
    assert all(sum(p.numel() for p in c.build(digits).parameters()) for c in found)
    deep = [c.name for c in pieces(ModelSettings(model="resnet20", arguments={}), digits)]
    assert "resnet8 from teacher" in deep and "resnet20 from teacher" not in deep


def test_a_piece_of_the_teacher_is_a_piece_of_it():
    torch.manual_seed(0)
    wide, narrow = (build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": w}) for w in (8, 4))
    assert share_of(hand_down(wide, narrow)) == 1.0
    assert torch.equal(narrow.layer2[0][0].weight, wide.layer2[0][0].weight[::2, ::2])
    deep, shallow = (build(n, classes=10, shape=(3, 32, 32)) for n in ("resnet20", "resnet14"))
    assert share_of(hand_down(deep, shallow)) == 1.0
    assert torch.equal(shallow.layer2[1].conv1.weight, deep.layer2[2].conv1.weight), "the last of 2 is the last of 3"
    same = build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": 8})
    hand_down(wide, same)
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(same.eval()(x), wide.eval()(x))


def test_a_smaller_picture_is_its_mean_over_squares():
    digits = load("digits")
    assert digits.shape == (1, 8, 8)
    (candidate,) = parse_candidates("mlp:width=8:size=4", digits)
    torch.manual_seed(0)
    module, x = candidate.build(digits).eval(), torch.rand(5, 1, 8, 8)
    by_hand = x.view(5, 1, 4, 2, 4, 2).mean((3, 5))  # half the size: bilinear is the mean of 2 x 2 pixels
    assert torch.allclose(module(x), module.inner(by_hand), atol=1e-6)


def rows(*values):
    return [{"name": n, "latency_ms": ms, "bytes": b, "parameters": b // 4, "dropped": d} for n, ms, b, d in values]


def test_the_verdict_is_right_in_small_cases():
    limits = Limits(latency=0.001, size=1000, score=0.8)
    found = nothing(limits, rows(("a", 3.0, 900, "slow"), ("b", 1.2, 1500, "both"), ("c", 0.5, 4000, "large")), 0.01)
    assert found["nearest"] == "b" and "--max-latency 1.32ms and --max-size 2kB" in found["words"][1]
    common = {"latency_ms": 0.5, "bytes": 10, "settings": {}, "error": None, "state": "complete"}
    trials = [
        {**common, "number": 0, "candidate": "x", "validation": 0.85},
        {**common, "number": 1, "candidate": "y", "validation": 0.85, "latency_ms": 0.4},
        {**common, "number": 2, "candidate": "z", "validation": 0.99, "state": "pruned"},
    ]
    assert choose(limits, [], trials)["chosen"]["candidate"] == "y", "equal score: the faster; an unfinished one never"
    assert choose(Limits(score=0.9), [], trials)["chosen"] is None
    dog = {**common, "number": 3, "candidate": "dog", "validation": 0.0310}
    cut = {**common, "number": 4, "candidate": "cat", "validation": 0.1284, "state": "running"}
    said = choose(Limits(), [], [dog, cut], guess=Guess(0.007, 0.004), time_up=True)
    assert said["chosen"] is None and said["words"][0].startswith("Time ran out after 1 trained student;")
    assert "cat had already 12.84 % when it was cut off" in said["words"][1]
    said = choose(Limits(), [], [dog], guess=Guess(0.029, 0.004))
    assert said["chosen"] is None and said["words"][0].startswith("No student is better than chance: ")
    assert choose(Limits(), [], [dog], guess=Guess(0.007, 0.004), time_up=True)["words"][0].startswith("Time ran out")
    assert choose(Limits(), [], [dog], guess=Guess(0.007, 0.004))["chosen"] is dog
    assert choose(Limits(), [], [dog, {**cut, "validation": 0.02}])["chosen"] is dog
    assert choose(Limits(), [], [cut], time_up=True)["words"][0].startswith("Time ran out after 0 trained students")
    failed = {**cut, "error": "odd"}  # its score is of a training that broke
    assert choose(Limits(), [], [dog, failed])["chosen"] is dog
    x, y = torch.zeros(40, 2), torch.arange(40) % 4
    guess = Guess.on(data.from_datasets((x, y), validation=(x, y)))
    assert guess is not None and guess.score == 0.25 and guess.margin == pytest.approx(1.96 * (0.25 * 0.75 / 40) ** 0.5)
    assert limits.broken_by(1.0, 1000) == [] and len(limits.broken_by(1.1, 1001)) == 2


def test_nobody_waits_for_a_dead_process():
    from limbeck.files.locks import alive

    assert alive(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not alive(process.pid)


def test_a_teacher_that_changes_between_trainings_ends_the_search(tmp_path, monkeypatch, capsys):
    """Students of two teachers were compared with each other."""
    begun, go, file = [], Search._trial, tmp_path / "t.safetensors"

    def trial(self, *more):
        begun.append(1)
        if len(begun) == 2:
            save_weights(build("mlp", classes=10, shape=(1, 8, 8)), file)
        return go(self, *more)

    save_weights(build("mlp", classes=10, shape=(1, 8, 8)), file)
    monkeypatch.setattr(Search, "_trial", trial)
    words = ["--teacher", "mlp", "--teacher-weights", str(file), "--candidates", "mlp:width=2|4", "--max-size", "40kB"]
    assert run(["shrink", *SMALL, *words, "--epochs", "0.5", "--set", "data.limit=100", "--out", "s"]) == 2
    assert "the weights of the teacher have changed since the first runs of s; put that back" in capsys.readouterr().err
    assert [t["state"] for t in state_of(tmp_path / "s")["trials"]] == ["complete", "running"]
