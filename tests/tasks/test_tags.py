"""Several labels at once: figures against scikit-learn, the terms by hand, whole runs from Python and from a table."""

import csv
import json

import numpy as np
import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, hamming_loss
from typer.testing import CliRunner

import limbeck
from limbeck import data, losses, methods, models
from limbeck.cli.app import app
from limbeck.comparison.pages import page_of
from limbeck.deploy.student import load_student
from limbeck.errors import UserError
from limbeck.metrics import tags as metrics
from limbeck.tasks.bind import bind
from limbeck.tasks.predictions import Predictions, predict
from limbeck.tasks.tags import Tags

RANDOM = torch.Generator().manual_seed(0)
LOGITS = torch.randn(40, 4, generator=RANDOM)
LOGITS[3] = LOGITS[2]  # equal scores are one step
LABELS = (torch.randn(40, 4, generator=RANDOM) + LOGITS > 0.4).long()
SEEN = Predictions(LOGITS, LABELS, torch.arange(40))


def test_figures_are_those_of_scikit_learn():
    found = Tags().measure(SEEN, list("abcd"), SEEN)
    said, there = (LOGITS > 0).int().numpy(), LABELS.numpy()
    assert found.score == pytest.approx(f1_score(there, said, average="micro"))
    assert found.figures["macro_f1"] == pytest.approx(f1_score(there, said, average="macro"))
    assert found.figures["average_precision"] == pytest.approx(average_precision_score(there, LOGITS.numpy(), average="macro"))
    assert found.figures["subset_accuracy"] == pytest.approx(accuracy_score(there, said))
    assert found.figures["hamming_loss"] == pytest.approx(hamming_loss(there, said))
    assert found.per_class == pytest.approx(f1_score(there, said, average=None).tolist())
    assert found.worst.value == min(found.per_class) and found.figures["agreement_with_teacher"] == 1.0
    assert found.interval[0] < found.score < found.interval[1]


def test_what_nobody_knows_does_not_count():
    hidden = LABELS.clone()
    hidden[:20, 1] = -100
    changed = LOGITS.clone()
    changed[:20, 1] *= -1
    first, second = (Tags().measure(Predictions(z, hidden, torch.arange(40)), list("abcd")) for z in (LOGITS, changed))
    assert first.figures == second.figures and first.score == second.score
    assert first.per_class[1] == pytest.approx(f1_score(LABELS[20:, 1], LOGITS[20:, 1] > 0))


def test_a_label_that_is_nowhere_has_no_f1_of_its_own():
    found = Tags().measure(Predictions(torch.tensor([[1.0, -1.0]]), torch.tensor([[1, 0]]), torch.arange(1)), ["a", "b"])
    assert found.per_class == [1.0, None] and found.figures["macro_f1"] == 1.0 and found.figures["average_precision"] == 1.0


def test_losses_by_a_loop():
    labels = torch.where(torch.rand(40, 4, generator=RANDOM) < 0.2, -100, LABELS)
    by_hand, divergence = [], []
    for row in range(40):
        p = LOGITS[row].sigmoid()
        by_hand.append(sum(-(p[c] if labels[row, c] else 1 - p[c]).log() for c in range(4) if labels[row, c] >= 0))
        t, s = ((z / 3.0).sigmoid() for z in (LABELS[row].float(), LOGITS[row]))
        divergence.append(9 * sum(a * (a / b).log() for a, b in zip([*t, *(1 - t)], [*s, *(1 - s)], strict=True)))
    torch.testing.assert_close(losses.binary_cross_entropy(LOGITS, labels), torch.tensor(by_hand), rtol=1e-4, atol=1e-5)
    found = losses.binary_soft_target(LOGITS, LABELS.float(), temperature=3.0)
    torch.testing.assert_close(found, torch.tensor(divergence), rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="labels must be 1 .present."):
        losses.binary_cross_entropy(LOGITS, LABELS + 1)


def test_kd_is_bound_to_each_label_by_itself():
    task, soft = (term for _, _, term in bind(methods.kd(temperature=2.0), Tags()).terms())
    assert task.by is losses.binary_cross_entropy and task.weight == pytest.approx(0.1)
    assert soft.by.func is losses.binary_soft_target and soft.by.keywords == {"temperature": 2.0}


@pytest.mark.parametrize("name", ["dkd", "dist", "mlkd", "ctkd"])
def test_methods_that_read_classes_say_what_works(name):
    with pytest.raises(UserError, match=f"method '{name}': term .* reads class probabilities.*use kd, or a method that"):
        bind(methods.find(name)(), Tags())


def multilabel(rows=300, labels=4):
    x, y = make_multilabel_classification(rows, n_features=12, n_classes=labels, n_labels=2, random_state=0)
    return torch.tensor(x).float(), torch.tensor(y)


def test_rows_of_true_and_false_are_tags_and_numbers_only_when_it_is_said():
    x, y = multilabel()
    assert data.from_datasets((x, y.bool()), validation=0.2).task == Tags()
    found = data.from_datasets((x, y), validation=0.2, task=Tags(), classes=["a", "b", "c", "d"])
    assert found.task == Tags() and found["train"].labels.dtype == torch.int64 and found.classes == ("a", "b", "c", "d")
    assert data.from_datasets((x, y[:, 0]), validation=0.2).task.name == "classify"
    one = data.from_datasets((x, y[:, 0].bool()), validation=0.2, task=Tags())
    assert len(one.classes) == 1 and one["train"].labels.shape == (240, 1)
    shares = [float((found[part].labels == 1).float().mean()) for part in ("train", "validation")]
    assert shares[0] == pytest.approx(shares[1], abs=0.06)
    with pytest.raises(UserError, match="a tag is 1 .present., 0 .absent. or -100"):
        data.from_datasets((x, y + 1), validation=0.2, task=Tags())


@pytest.mark.parametrize("name", ["kd", "fitnets", "rkd", "similarity"])
def test_a_student_of_tags_learns(tmp_path, name):
    x, y = multilabel()
    found = data.from_datasets(((x - x.mean(0)) / x.std(0), y), validation=0.2, task=Tags())
    torch.manual_seed(0)
    teacher, student = (models.build("mlp", classes=4, shape=(12,), arguments={"width": w}) for w in (32, 8))
    plain = {"onnx": False, "epochs": 30, "lr": 0.05, "batch": 32}
    limbeck.distill(None, teacher, found, method=methods.alone(), baseline=False, out=tmp_path / "t", **plain)
    card = limbeck.distill(teacher, student, found, method=methods.find(name)(), out=tmp_path / "s", **plain).card
    entries = card["models"]
    assert entries["teacher"]["score"] > 0.6 and entries["student"]["figures"]["average_precision"] > 0.55  # 0.45 by chance
    assert card["task"]["item"] == "label" and set(entries["student"]["figures"]) >= {"micro_f1", "hamming_loss"}
    page = page_of(tmp_path / "s")
    assert "test micro F1" in page and "What the student finds" in page and "Label by label" in page


def table(path, rows=300):
    x, y = multilabel(rows)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*(f"f{k}" for k in range(12)), "red", "green", "blue", "dark"])
        out.writerows(np.concatenate([x.numpy(), y.numpy()], 1).tolist())
    return path


def test_the_whole_way_from_a_table(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    words = ["distill", "--data", str(table(tmp_path / "many.csv")), "--teacher", "mlp", "--student", "mlp", "--quiet"]
    for setting in ("data.task=tags", 'data.label=["red","green","blue","dark"]', "student.arguments.width=8", "train.batch=32"):
        words += ["--set", setting]
    words += ["--epochs", "12", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "run/card.json").read_text())
    assert card["data"]["classes"] == ["red", "green", "blue", "dark"] and card["models"]["student"]["score"] > 0.5
    assert card["export"]["onnx"]["same_predictions"] == 1.0
    said = CliRunner().invoke(app, ["evaluate", str(tmp_path / "run"), "--json"], catch_exceptions=False)
    assert json.loads(said.output)["score"] == pytest.approx(card["models"]["student"]["score"])
    student, info = load_student(tmp_path / "run")
    assert info["task"]["name"] == "tags" and "4 labels (sigmoid" in info["outputs"]
    found = data.load(str(tmp_path / "many.csv"), task="tags", label=["red", "green", "blue", "dark"])
    batches = data.Batches(found["test"], found, size=50, seed=0).ordered()
    assert found.task.score(predict(student, batches, found.task)) == pytest.approx(card["models"]["student"]["score"])
    text = (tmp_path / "run/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| micro F1" in text and "one logit for each of 4 labels" in text and "What each label lost" in text


def test_tables_that_hold_no_tags_are_refused(tmp_path):
    path = table(tmp_path / "many.csv", 40)
    with pytest.raises(
        UserError, match="column 'f0' holds .*; a column of tags holds only 1 and 0; correct it or choose another column"
    ):
        data.load(str(path), task="tags", label=["red", "f0"])
    with pytest.raises(UserError, match="2 label columns, but a sample has one class"):
        data.load(str(path), label=["red", "green"])
    with pytest.raises(UserError, match="did you mean 'green'"):
        data.load(str(path), label="gren")


def test_mixing_views_are_refused():
    x, y = multilabel(20)
    found = data.from_datasets((x, y), validation=0.2, task=Tags())
    with pytest.raises(UserError, match="labels of the task 'tags' cannot be mixed"):
        data.Batches(found["train"], found, size=4, seed=0, views={"inputs": data.parse("mixup:0.2")})


def test_the_counts_of_a_micro_figure():
    assert metrics.counts(LOGITS, LABELS).sum(0).sum(1).tolist() == [
        int(((LOGITS > 0) & (LABELS == 1)).sum()),
        int(((LOGITS > 0) & (LABELS == 0)).sum()),
        int(((LOGITS <= 0) & (LABELS == 1)).sum()),
    ]


class Yes(torch.nn.Module):
    """A network for one yes or no that gives (n,), as many do."""

    def __init__(self, width):
        super().__init__()
        self.body = models.build("mlp", classes=1, shape=(12,), arguments={"width": width})

    def forward(self, x):
        return self.body(x)[:, 0]


def test_one_logit_says_yes_or_no(tmp_path):
    x = torch.randn(300, 12, generator=torch.Generator().manual_seed(5))
    torch.manual_seed(0)
    found = data.from_datasets((x, (x[:, :2].sum(1, keepdim=True) > 0)), validation=0.2, classes=["there"])
    plain = {"baseline": False, "epochs": 15, "lr": 0.05, "batch": 32, "out": tmp_path / "run"}
    result = limbeck.distill(None, Yes(8), found, method=methods.alone(), **plain)
    student = result.card["models"]["student"]
    assert found.task == Tags() and student["figures"]["average_precision"] > 0.8  # 0.5 by chance
    assert student["worst"] is None and result.card["export"]["onnx"]["same_predictions"] == 1.0
