"""`limbeck explain` on a small run of digits: what it leaves, what it says, what it refuses."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from limbeck.__main__ import run
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.explanation import explain
from limbeck.explanation.corrupt import under_corruption
from limbeck.explanation.page import write_page
from limbeck.explanation.subject import Subject, open_run
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Tap
from limbeck.runs.events import StageBegins

TINY = ("--epochs", "2", "--set", "teacher.width=4", "--set", "student.width=2", "--student", "cnn", "--set", "data.limit=400")
TINY = ("--teacher", "cnn", "--method", "kd", *TINY)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_STORE", str(tmp_path_factory.mktemp("store")))
        assert run(["distill", *TINY, "--quiet", "--set", "onnx=false", "--out", str(folder)]) == 0
        assert run(["explain", str(folder), "--seeds", "1", "--quiet"]) == 0
    return folder


@pytest.fixture
def found(done):
    return json.loads((done / "explain.json").read_text())


def test_it_agrees_with_the_card_of_the_run(done, found):
    models = json.loads((done / "card.json").read_text())["models"]
    for who, facts in models.items():
        assert found["agreement"]["overall"]["accuracy"][who] == pytest.approx(facts["score"], abs=1e-9)
        assert [r["accuracy"][who] for r in found["agreement"]["per_class"]] == pytest.approx(facts["per_class"])
    for who in ("baseline", "student"):
        assert found["agreement"]["overall"]["agreement"][who] == pytest.approx(models[who]["figures"]["agreement_with_teacher"])
    assert found["corruptions"][0]["accuracy"] == found["agreement"]["overall"]["accuracy"]  # all samples: fewer than the limit


def test_labels_alone_is_the_baseline_and_the_whole_answer_the_student(found):
    arms, overall = found["gain"]["arms"], found["agreement"]["overall"]["accuracy"]
    assert arms["labels"]["accuracy"] == [overall["baseline"]]
    assert arms["full"]["accuracy"][0] == pytest.approx(overall["student"], abs=0.02)  # float32: two ways to write one loss


def test_the_layers_of_every_model_are_compared(found):
    inside = found["inside"]
    assert set(inside["similarity"]) == {"baseline", "student"} and set(inside["keeps"]) == {"teacher", "baseline", "student"}
    pair = inside["similarity"]["student"]
    assert pair["columns"][-1] == "linear" and all(0 <= v <= 1 for row in pair["cka"] for v in row)
    assert inside["input_itself"]["input"] > 0.99 and inside["input_itself"]["label"] > 0.7
    first, last = inside["keeps"]["teacher"][0], inside["keeps"]["teacher"][-1]
    assert first["input"] > last["input"]  # ten logits cannot hold 64 pixels


def test_the_page_is_whole_and_says_the_verdict_first(done, found):
    page = (done / "explain.html").read_text()
    assert page.index(found["verdict"][0].replace("'", "&#39;")) < page.index('<svg class="chart"')
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count('<svg class="chart"') == 11  # parts, 2 classes, 2 confidence, 2 corruption, 2 heat maps, 2 read back


def test_without_a_record_the_models_are_asked_again(done, tmp_path):
    own = open_run(done).answers()
    shutil.copytree(done, tmp_path / "copy")
    (tmp_path / "copy" / "predictions.safetensors").unlink()
    again = open_run(tmp_path / "copy").answers()
    for who in ("teacher", "baseline", "student"):
        assert torch.allclose(own[who].logits, again[who].logits, atol=1e-4) and torch.equal(own[who].labels, again[who].labels)


def test_a_moved_run_is_not_trained_again(done, tmp_path):
    shutil.copytree(done, tmp_path / "moved")
    heard = []
    found = explain(tmp_path / "moved", seeds=1, listen=lambda event: heard.append(type(event)))
    assert StageBegins not in heard and found == json.loads((done / "explain.json").read_text())


def test_without_seeds_nothing_is_trained_and_it_says_so(done, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(done, folder)
    shutil.rmtree(folder / "explain")
    assert run(["explain", str(folder), "--seeds", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["gain"] == {"skipped": "--seeds is 0"} and not (folder / "explain").exists()
    assert "that is one seed" in said["verdict"][0]


class Silent(nn.Module):
    """Always the same answer, whatever it is shown."""

    def forward(self, x):
        return torch.tensor([[0.0, 1.0] + [0.0] * 8]).expand(len(x), 10)


def test_a_model_that_ignores_its_input_is_not_touched_by_corruption(done):
    own = open_run(done)
    silent = Deployed(Cast({"student": Silent()}), Tap("student")).eval()
    subject = Subject(own.folder, own.recipe, own.data, own.card, {**own.entries, "student": silent})
    rows = under_corruption(subject)
    assert len(rows) == 9 and len({row["accuracy"]["student"] for row in rows}) == 1
    assert len({row["accuracy"]["teacher"] for row in rows}) > 1


def test_a_run_made_of_python_objects(tmp_path, monkeypatch):
    import limbeck
    from limbeck import data, models

    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    digits = data.load("digits", limit=200)
    teacher, student = (models.build("cnn", classes=10, shape=digits.shape, arguments={"width": w}) for w in (3, 2))
    result = limbeck.distill(teacher, student, digits, out=tmp_path / "run", epochs=1, onnx=False)
    with pytest.raises(limbeck.UserError, match="cannot be rebuilt by name"):
        explain(result.folder, seeds=0, data=digits)
    found = explain(result.folder, data=digits, given={"teacher": teacher, "student": student})
    assert found["agreement"]["overall"]["accuracy"]["baseline"] == result.card["models"]["baseline"]["score"]
    assert found["agreement"]["overall"]["accuracy"]["student"] == result.card["models"]["student"]["score"]
    assert "Python object" in found["gain"]["skipped"]


def complaint(capsys, *words):
    assert run(list(words)) == 2
    return capsys.readouterr().err


def test_what_is_refused(done, tmp_path, capsys):
    assert "give the folder that `limbeck distill` made" in complaint(capsys, "explain", str(tmp_path / "nothing"))
    assert "greater than or equal to 0" in complaint(capsys, "explain", str(done), "--seeds", "-1")
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(done / "recipe.toml", half)
    assert "not a finished run" in complaint(capsys, "explain", str(half))
    other = tmp_path / "other"
    shutil.copytree(done, other)
    shutil.copy(other / "weights" / "baseline.safetensors", other / "student.safetensors")
    assert "no longer predicts as recorded" in complaint(capsys, "explain", str(other), "--seeds", "0")
    kept = load_file(other / "predictions.safetensors")
    about = {"task": "classify"}
    save_file(kept | {"labels": kept["labels"].roll(1)}, other / "predictions.safetensors", metadata=about)
    assert "has changed since the run" in complaint(capsys, "explain", str(other), "--seeds", "0")
    (other / "weights" / "teacher.safetensors").unlink()
    (other / "weights" / "student.safetensors").unlink()
    assert "does not hold the teacher" in complaint(capsys, "explain", str(other), "--seeds", "0")


def test_an_explanation_of_another_version_is_one_sentence(done, found, tmp_path):
    assert found["version"] == 1
    (tmp_path / "explain.json").write_text(json.dumps(found | {"version": 3}))
    with pytest.raises(UserError, match="explain.json has version '3', and this limbeck reads version 1"):
        write_page(tmp_path)
    (tmp_path / "explain.json").write_text(json.dumps(found | {"agreement": {}}))
    with pytest.raises(UserError, match="explain.json is damaged: agreement.samples: field required"):
        write_page(tmp_path)
