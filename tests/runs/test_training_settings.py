"""Settings of training: warm-up, smoothed labels, weights of classes, the best epoch. Each against a number derived elsewhere."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from limbeck import data, losses
from limbeck.__main__ import run
from limbeck.engine import Fit
from limbeck.runs.recipes import make
from limbeck.runs.sources import open_sources

TINY = [
    "--student",
    "mlp",
    "--set",
    "student.width=8",
    "--method",
    "alone",
    "--set",
    "data.limit=200",
    "--set",
    "onnx=false",
    "--quiet",
]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))


def rates(steps, **settings):
    fit = Fit(steps=steps, lr=2.0, **settings)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=fit.lr)
    schedule, found = fit.make_schedule(optimizer, steps), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_the_rate_rises_in_a_line_and_then_follows_its_schedule():
    assert rates(20, schedule="one_cycle", warmup=0.05) == rates(20, schedule="one_cycle", warmup=0.0), "one step is no rise"
    assert rates(4, schedule="constant", warmup=0.0) == [2.0] * 4
    assert rates(10, schedule="constant", warmup=0.4) == pytest.approx([0.5, 1.0, 1.5, 2.0] + [2.0] * 6)
    cosine = [0.5, 1.0, 1.5, 2.0] + [1 + math.cos(math.pi * k / 6) for k in range(6)]
    assert rates(10, schedule="cosine", warmup=0.4) == pytest.approx(cosine)
    steps = rates(20, schedule="multistep", warmup=0.2)  # 16 steps behind the rise: 0.625, 0.75 and 0.875 of them
    assert steps == pytest.approx([0.5, 1.0, 1.5, 2.0] + [2.0] * 10 + [0.2] * 2 + [0.02] * 2 + [0.002] * 2)
    peak = rates(101, schedule="one_cycle", warmup=0.1)
    assert peak.index(max(peak)) == pytest.approx(0.1 * 101 - 1, abs=1) and rates(101, schedule="one_cycle") == rates(
        101, schedule="one_cycle", warmup=0.3
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weighted_and_smoothed_labels_are_torchs(smoothing):
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(7, 4), torch.tensor([0, 1, 2, 3, 3, 0, 1]), (0.5, 2.0, 1.0, 0.0)
    ours = losses.cross_entropy(logits, labels, label_smoothing=smoothing, weights=weights)
    theirs = nn.functional.cross_entropy(logits, labels, torch.tensor(weights), reduction="none", label_smoothing=smoothing)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_balanced_classes_weigh_alike_and_the_baseline_gets_the_same():
    y = torch.tensor([0] * 30 + [1] * 10)
    known = data.from_datasets((torch.rand(40, 3), y), validation=0.2)
    recipe = make({"student": {"model": "mlp"}, "teacher": {"model": "mlp"}, "train": {"class_weights": "balanced"}})
    sources = open_sources(recipe, data=known)
    counts = torch.bincount(known["train"].labels)
    weights = sources.labels.keywords["weights"]
    assert weights == pytest.approx([32 / (2 * int(c)) for c in counts]) and sum(
        w * int(c) for w, c in zip(weights, counts, strict=True)
    ) == pytest.approx(32)
    told = [term for _, _, term in sources.method.terms() if "labels" in term.inputs]
    assert told and all(term.by.keywords["weights"] == weights for term in told)


def test_other_tasks_have_no_classes_to_weigh(tmp_path, capsys):
    lines = ["a,b,y", *(f"{k},{k % 5},{k / 3}" for k in range(40))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    words = [
        "--data",
        "t.csv",
        "--set",
        "data.task=numbers",
        "--teacher",
        "mlp",
        "--student",
        "mlp",
        "--epochs",
        "1",
        "--quiet",
        "--out",
        "r",
    ]
    assert run(["distill", *words, "--set", "train.class_weights=balanced"]) == 2
    assert "has none that can be counted" in capsys.readouterr().err
    assert run(["distill", *words, "--set", "train.label_smoothing=0.1"]) == 2
    assert "are for classes, not for numbers" in capsys.readouterr().err and not (tmp_path / "r").exists()


def curve(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["validation"]["score"] for line in lines if line["who"] == "student"]


def test_the_best_epoch_is_the_one_that_a_shorter_run_ends_with(tmp_path):
    """With a constant rate the first epochs of a long run are a short run."""
    words = ["distill", *TINY, "--no-baseline", "--set", "train.schedule=constant", "--lr", "0.4", "--set", "data.validation=0.3"]
    assert run([*words, "--epochs", "6", "--set", "train.best=true", "--out", "best"]) == 0
    scores = curve(tmp_path / "best")
    epoch = scores.index(max(scores)) + 1
    assert epoch < 6, "the last epoch is the best: the test shows nothing"
    assert run([*words, "--epochs", str(epoch), "--out", "short"]) == 0
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in ("best", "short"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    card = json.loads((tmp_path / "best" / "card.json").read_text())
    assert f"student: the weights are those of epoch {epoch}, the best on validation (train.best)" in card["notes"]
    assert not list((tmp_path / "best").rglob("best-*.safetensors"))


def test_a_run_that_was_stopped_goes_on_to_the_same_best_epoch(tmp_path, monkeypatch):
    from limbeck.engine import loop

    words = ["distill", *TINY, "--no-baseline", "--set", "train.schedule=constant", "--lr", "0.4", "--set", "train.best=true"]
    words += ["--set", "data.validation=0.3", "--epochs", "6", "--set", "checkpoint_seconds=0"]
    assert run([*words, "--out", "whole"]) == 0
    step = loop.Loop._step

    def stopping(self, number, turn, learner, progress):
        if progress.step == 9:
            raise KeyboardInterrupt
        return step(self, number, turn, learner, progress)

    monkeypatch.setattr(loop.Loop, "_step", stopping)
    assert run([*words, "--out", "cut"]) == 130
    monkeypatch.setattr(loop.Loop, "_step", step)
    assert run([*words, "--out", "cut", "--resume"]) == 0
    one, two = (load_file(tmp_path / name / "student.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_patience_ends_where_nothing_more_is_gained(tmp_path):
    words = ["distill", *TINY, "--no-baseline", "--set", "train.schedule=constant", "--lr", "0.4", "--set", "data.validation=0.3"]
    assert run([*words, "--epochs", "12", "--set", "train.best=true", "--out", "whole"]) == 0
    scores, patience = curve(tmp_path / "whole"), 2
    ends = next(k for k in range(len(scores)) if k - scores[: k + 1].index(max(scores[: k + 1])) >= patience)
    assert ends < 11, "it never waits that long: the test shows nothing"
    assert run([*words, "--epochs", "12", "--set", f"train.patience={patience}", "--out", "short"]) == 0
    assert curve(tmp_path / "short") == scores[: ends + 1]
    card = json.loads((tmp_path / "short" / "card.json").read_text())
    best = scores.index(max(scores[: ends + 1])) + 1
    said = f"student: the weights are those of epoch {best}, the best on validation (train.best); training ended after epoch {ends + 1}"
    assert f"{said} (train.patience)" in card["notes"]
    assert card["models"]["student"]["steps"] == (ends + 1) * (card["models"]["student"]["steps"] // (ends + 1))


def test_a_teacher_that_was_trained_here_and_knows_nothing_is_to_be_trained_longer(tmp_path):
    words = [
        "--teacher",
        "mlp",
        "--set",
        "teacher.width=4",
        "--set",
        "teacher.epochs=0.1",
        "--student",
        "mlp",
        "--set",
        "student.width=4",
    ]
    assert run(["distill", *words, "--set", "onnx=false", "--quiet", "--epochs", "0.1", "--no-baseline", "--out", "r"]) == 0
    notes = json.loads((tmp_path / "r" / "card.json").read_text())["notes"]
    assert any(note.startswith("the teacher is at chance level: it was trained here, so give it more epochs") for note in notes)
