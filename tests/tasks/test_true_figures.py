"""Figures are true: objects that do not count, parts without objects or classes, few samples, intervals within their range."""

import json
import math

import pytest
import torch
from PIL import Image

import limbeck
from limbeck import data
from limbeck.cards.model_card import write_model_card
from limbeck.cards.schema import marked_classes, read_card, write_card
from limbeck.cards.table import columns
from limbeck.errors import UserError
from limbeck.files import json_text, write_json
from limbeck.metrics import precision
from limbeck.models import build
from limbeck.runs.casting import few_in_parts
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.detect import Detect
from limbeck.tasks.figure import FigureInfo
from limbeck.tasks.numbers import Numbers
from limbeck.tasks.predictions import Predictions
from limbeck.transforms.boxes import DIFFICULT

NONE = [-100.0] * 5
EASY, HARD = [0.0, 0, 0, 10, 10], [DIFFICULT, 20.0, 20, 30, 30]


def found(*boxes):
    rows = [[c, score, *place] for c, score, place in boxes]
    return torch.tensor([[*rows, *[[-100.0] * 6] * (4 - len(rows))]])


ON_EASY, ON_HARD, AWAY = [0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(0, 0.9, ON_EASY)], 1.0),  # the difficult object is not missed
        ([(0, 0.9, ON_HARD), (0, 0.8, ON_EASY)], 1.0),  # nor is it a mistake to find it, even twice
        ([(0, 0.9, ON_HARD), (0, 0.85, ON_HARD), (0, 0.8, ON_EASY)], 1.0),
        ([(0, 0.9, AWAY), (0, 0.8, ON_EASY)], 0.5),
        ([(1, 0.9, ON_HARD), (0, 0.8, ON_EASY)], 1.0),  # of another class: its own has no object
        ([], 0.0),
    ],
)
def test_difficult_objects_do_not_count(boxes, expected):
    labels = torch.tensor([[EASY, HARD]])
    matched = precision.match(found(*boxes), labels, 2)
    assert precision.average_precision(matched)[0, 0].item() == pytest.approx(expected)
    assert matched.objects.tolist() == [[1, 0]]


def test_a_detector_that_finds_only_what_does_not_count_is_measured_as_nothing():
    labels = torch.tensor([[HARD, NONE]])
    measured = Detect((64, 64)).measure(Predictions(found((0, 0.9, ON_HARD)), labels, torch.arange(1)), ("dog",))
    assert (
        measured.score is None and measured.per_class == [None] and measured.interval is None or measured.interval == (0.0, 1.0)
    )
    json.loads(json_text(measured.entry()), parse_constant=pytest.fail)


def test_labels_with_difficult_objects_are_checked():
    task, inputs = Detect((64, 64)), torch.zeros(1, 3, 64, 64)
    task.check_labels("test", torch.tensor([[EASY, HARD]]), inputs, 1)
    with pytest.raises(UserError, match="no box that counts"):
        task.check_labels("test", torch.tensor([[HARD, NONE]]), inputs, 1)
    with pytest.raises(UserError, match="out of range"):
        task.check_labels("test", torch.tensor([[EASY, [DIFFICULT - 1, *HARD[1:]]]]), inputs, 1)
    with pytest.raises(UserError, match="out of range"):
        task.check_labels("test", torch.tensor([[EASY, [-7, *HARD[1:]]]]), inputs, 1)


@pytest.fixture
def one_class(tmp_path):
    """Pictures of one kind of object; the last of every five is marked difficult beside it, and every third has none."""
    (tmp_path / "all").mkdir()
    for k in range(30):
        Image.new("RGB", (32, 32), (10 * (k % 20), 40, 40)).save(tmp_path / f"all/{k}.png")
        box = "<bndbox><xmin>4</xmin><ymin>4</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
        one = f"<object><name>dog</name>{box}<difficult>0</difficult></object>" if k % 3 else ""
        hard = f"<object><name>dog</name><difficult>1</difficult>{box}</object>" if k % 5 == 4 else ""
        (tmp_path / f"all/{k}.xml").write_text(f"<annotation>{one}{hard}</annotation>")
    return str(tmp_path)


def test_detection_of_one_class_is_read_trained_and_measured(one_class, tmp_path):
    read = data.load(one_class, validation=0.3, test=0.3)
    assert read.classes == ("dog",) and any("6 objects are marked difficult" in note for note in read.notes)
    hard = sum(int((part.labels[..., 0] == DIFFICULT).sum()) for part in read.partitions.values())
    assert hard == 6
    torch.manual_seed(0)
    student = build("detector", classes=1, shape=(3, 32, 32), arguments={"width": 4, "blocks": 1, "stride": 4})
    card = limbeck.train(student, read, epochs=1, batch=8, out=tmp_path / "run").card
    assert card["models"]["student"]["score"] is not None


def test_a_held_out_part_without_objects_has_no_score_and_a_strict_card(one_class, tmp_path):
    read = data.load(one_class, validation=0.3, test=0.3)
    empty = read["test"].labels
    empty[:] = -100.0
    torch.manual_seed(0)
    student = build("detector", classes=1, shape=(3, 32, 32), arguments={"width": 4, "blocks": 1, "stride": 4})
    result = limbeck.train(student, read, epochs=1, batch=8, out=tmp_path / "run")
    entry = result.card["models"]["student"]
    assert entry["score"] is None and entry["interval"] is None
    assert any(note.startswith("test lacks the class dog") for note in result.card["notes"])
    for file in result.folder.rglob("*.json*"):
        for line in file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]:
            json.loads(line, parse_constant=lambda word: pytest.fail(word))


def test_json_has_no_nan_anywhere(tmp_path):
    write_json(tmp_path / "x.json", {"a": [math.nan, (math.inf, -math.inf)], "b": {"c": 1.5}})
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == {
        "a": [None, [None, None]],
        "b": {"c": 1.5},
    }


def test_absent_and_rare_classes_are_said():
    x, y = torch.zeros(60, 2), torch.arange(60) % 3
    held = torch.tensor([0] * 9 + [1] * 2)
    given = data.from_datasets((x, y), validation=(x[:11], held))
    assert few_in_parts(given) == [
        "validation lacks the class 2: there is no score within it",
        "too few to tell in validation, fewer than 5 of each: the class 1 (2)",
    ]
    assert few_in_parts(data.from_datasets((x, y), validation=(x, y))) == []


def test_intervals_lie_within_what_there_can_be():
    r2, rmse, _ = (figure.facts() for figure in Numbers.figures[:3])
    assert FigureInfo().inside(-0.0535, 0.4089) == (0.0, 0.4089) and FigureInfo().inside(0.8, 1.2) == (0.8, 1.0)
    assert rmse.inside(-1.0, 2.0) == (0.0, 2.0) and r2.inside(-3.0, 1.7) == (-3.0, 1.0)
    assert FigureInfo(**r2.plain()).inside(0.5, 1.7) == (0.5, 1.0)
    low, high = FigureInfo().inside(math.nan, math.nan)
    assert math.isnan(low) and math.isnan(high)
    assert CLASSIFY.figures[0].facts().inside(-1, 2) == (0, 1)


class Fails(torch.nn.Module):
    """Answers NaN to inputs beyond 2, which training does not have."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(4, 3)

    def forward(self, x):
        found = self.inner(x)
        return torch.where(x.amax(1, keepdim=True) > 2, torch.full_like(found, math.nan), found)


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """A run whose student fails on validation and test, where two classes of three have few samples."""
    x, y = torch.rand(60, 4, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 3
    held, labels = x[:14].clone(), torch.tensor([0] * 9 + [1] * 4 + [2])
    held[5] += 5
    samples = data.from_datasets((x, y), validation=(held, labels), test=(held, labels))
    return limbeck.distill(
        torch.nn.Linear(4, 3), Fails(), samples, out=tmp_path_factory.mktemp("f") / "run", epochs=1, baseline=False
    )


def test_a_student_that_answers_nan_gets_a_card_with_a_note(failing):
    entry, notes = failing.card["models"]["student"], failing.card["notes"]
    assert (entry["samples"], entry["score"], entry["per_class"], entry["figures"]) == (14, None, None, {})
    assert entry["parameters"] == 15 and failing.card["models"]["teacher"]["score"] is not None
    why = "a model's outputs are not finite (first in row 5 of a batch of 14); check its weights and its inputs"
    assert f"the student is not measured: {why}" in notes and f"no score of the student on validation: {why}" in notes
    assert "student.onnx was written, but the student's outputs or its own are not finite: they cannot be compared" in notes
    names = {path.name for path in failing.folder.iterdir()}
    assert {"card.json", "report.html", "MODEL_CARD.md", "student.json", "student.onnx"} <= names
    assert read_card(failing.folder) == failing.card and "predictions.safetensors" not in names


def test_few_samples_of_a_class_are_marked_wherever_its_figures_stand(failing):
    """A class of one sample was the worst at 0 %, a class of four at 100 % the best."""
    page, card = (failing.folder / "report.html").read_text(), failing.card
    table = page[page.index('id="classes"') :]
    assert "1, too few to tell" in table and "2, too few to tell" in table and "0, too few" not in table
    assert marked_classes(card) == ["0", "1, too few to tell", "2, too few to tell"]
    teacher = card["models"]["teacher"] | {"worst": {"name": "2", "value": 0.0}}
    column = next(column for column in columns(card) if column.key == "worst")
    assert column.cell(teacher) == ("0.0 % (2, too few to tell)", 0.0)
    measured = {who: teacher | {"per_class": [1.0, 0.5, 0.0]} for who in ("teacher", "student")}
    write_card(failing.folder, card | {"models": measured})
    assert "| 2, too few to tell | 0.0 % |" in write_model_card(failing.folder).read_text()
    write_card(failing.folder, card)
