"""A file of answers in place of a teacher: the same student as the network that gave them, in every command."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import limbeck
from limbeck import data, models
from limbeck.__main__ import run
from limbeck.errors import UserError
from limbeck.runs.recipes import make
from limbeck.runs.sources import open_sources

SMALL = ["--student", "mlp", "--set", "student.width=8", "--set", "onnx=false", "--quiet", "--epochs", "1"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A small trained network with its weights file, and what it answers to every sample, by number."""
    folder = tmp_path_factory.mktemp("network")
    words = ["--student", "mlp", "--set", "student.width=16", "--method", "alone", "--epochs", "2", "--no-baseline"]
    assert run(["distill", *words, "--set", "onnx=false", "--quiet", "--out", str(folder / "big")]) == 0
    weights = folder / "big" / "student.safetensors"
    sources = open_sources(make({"teacher": {"model": "mlp", "arguments": {"width": 16}, "weights": str(weights)}}))
    rows = np.zeros((1797, 10), np.float32)
    for part in sources.data.partitions.values():
        inputs = part.inputs.float() / 255 if part.inputs.dtype == torch.uint8 else part.inputs.float()
        with torch.no_grad():
            rows[part.index] = sources.cast.feed("teacher", inputs).numpy()
    np.save(folder / "answers.npy", rows)
    return ["--teacher", "mlp", "--set", "teacher.width=16", "--teacher-weights", str(weights)], folder / "answers.npy"


def student(folder):
    return load_file(folder / "student.safetensors")


def card(folder):
    return json.loads((folder / "card.json").read_text())


def test_the_student_is_the_one_that_the_network_teaches(network, tmp_path, capsys):
    live, file = network
    assert run(["distill", *live, *SMALL, "--method", "kd", "--no-baseline", "--out", "live"]) == 0
    assert run(["distill", "--teacher-answers", str(file), *SMALL, "--no-baseline", "--out", "file"]) == 0
    one, two = student(tmp_path / "live"), student(tmp_path / "file")
    assert all(torch.allclose(one[key], two[key], atol=1e-5) for key in one)
    shown = card(tmp_path / "file")["models"]["teacher"]
    assert shown["score"] == card(tmp_path / "live")["models"]["teacher"]["score"]
    assert shown["model"] == "answers in answers.npy" and shown["parameters"] is None and shown["latency_ms"] is None
    assert "1,797 answers, logits, columns in the order of the classes, in the order of all" in " ".join(
        card(tmp_path / "file")["notes"]
    )


def test_every_command_knows_it(network, tmp_path, capsys):
    file = ["--teacher-answers", str(network[1])]
    assert run(["compare", *file, *SMALL, "--methods", "kd,dkd", "--seeds", "2", "--out", "c"]) == 0
    assert {row["name"] for row in json.loads((tmp_path / "c" / "leaderboard.json").read_text())["rows"]} == {
        "baseline",
        "kd",
        "dkd",
    }
    assert run(["plan", *file, "--student", "mlp", "--epochs", "1"]) == 0
    assert run(["distill", *file, *SMALL, "--out", "r"]) == 0
    assert run(["distill", "--recipe", "r/recipe.toml", "--out", "r", "--resume"]) == 0
    assert run(["evaluate", "r"]) == 0
    assert run(["explain", "r", "--seeds", "0", "--quiet"]) == 2
    assert "is a file of answers" in capsys.readouterr().err


def test_answers_to_the_training_samples_alone_teach_and_are_not_measured(network, tmp_path, capsys):
    train = data.load("digits")["train"].index.numpy()
    rows = np.load(network[1])
    np.savez(tmp_path / "part.npz", logits=rows[train], ids=train)
    assert run(["distill", "--teacher-answers", "part.npz", *SMALL, "--no-baseline", "--out", "r"]) == 2
    assert "the data has no names of samples" in capsys.readouterr().err
    np.save(tmp_path / "few.npy", rows[:-1])
    assert run(["distill", "--teacher-answers", "few.npy", *SMALL, "--no-baseline", "--out", "r"]) == 2
    assert "has 1,796 answers, and the data has 1,797" in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_other_answers_are_not_resumed_with(network, tmp_path, capsys):
    rows = np.load(network[1])
    np.save(tmp_path / "mine.npy", rows)
    words = ["distill", "--teacher-answers", "mine.npy", *SMALL, "--no-baseline", "--out", "r"]
    assert run(words) == 0
    (tmp_path / "r" / "card.json").unlink()
    np.save(tmp_path / "mine.npy", rows[::-1].copy())
    assert run([*words, "--resume"]) == 2
    assert "was begun with other inputs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "fitnets"], "reads layers of the teacher, which is answers.npy"),
        (["--augment", "mixup:0.2"], "mixed samples are others than those that answers.npy answers"),
        (["--method", "zero_shot"], "makes samples of its own, to which answers.npy has no answers"),
        (["--teacher-weights", "some.pt"], "has no weights, views or classes of its own"),
    ],
)
def test_what_needs_the_network_is_refused_before_training(network, tmp_path, capsys, words, said):
    assert run(["distill", "--teacher-answers", str(network[1]), *SMALL, *words, "--out", "r"]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_an_array_of_votes_teaches_from_python_and_probabilities_are_no_labels():
    torch.manual_seed(0)
    x, y = torch.rand(60, 4), torch.arange(60) % 3
    votes = torch.nn.functional.one_hot(y, 3) * 2 + torch.randint(0, 2, (60, 3))
    student = models.build("mlp", classes=3, shape=(4,), arguments={"width": 4})
    done = limbeck.distill(votes, student, (x, y), epochs=1, onnx=False, baseline=False)
    assert "the teacher is the array: 60 answers, votes" in " ".join(done.card["notes"])
    rows = held_out(x, y)
    right = (votes[rows].argmax(1) == y[rows]).float().mean()
    assert done.card["models"]["teacher"]["score"] == pytest.approx(float(right))
    with pytest.raises(UserError, match="the labels are probabilities of 3 classes"):
        limbeck.distill(votes, student, (x, votes / votes.sum(1, keepdim=True)), epochs=1)


def held_out(x, y):
    """The rows that are held out for validation, on which a run without a test part is judged."""
    return data.from_datasets((x, y), validation=0.1)["validation"].index
