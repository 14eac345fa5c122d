"""A baseline that trains for as long as the student: how many steps that are, from where it starts, and what is said of it."""

import json

import pytest

from limbeck import data, distill, methods, models
from limbeck.report.page import write_report
from limbeck.tasks.keeping import LONGER


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    digits = data.load("digits", limit=200)
    teacher, student = (models.build("cnn", classes=10, shape=digits.shape, arguments={"width": w}) for w in (16, 2))
    out = tmp_path_factory.mktemp("runs") / "one"
    return distill(teacher, student, digits, method=methods.kd(), epochs=3, equal_time=True, out=out, onnx=False)


def test_it_takes_the_steps_that_fit_into_the_students_time(result):
    entries, folder = result.card["models"], result.folder
    facts = {who: json.loads((folder / "weights" / f"{who}.json").read_text()) for who in ("baseline", "student", LONGER)}
    wanted = max(1, round(facts["baseline"]["steps"] * facts["student"]["seconds"] / facts["baseline"]["seconds"]))
    assert entries[LONGER]["steps"] == facts[LONGER]["steps"] == wanted
    assert list(entries) == ["teacher", "baseline", LONGER, "student"]
    assert any(f"{LONGER}: {wanted:,} steps, in the time in which the student took" in note for note in result.card["notes"])


def test_the_page_speaks_of_it(result):
    page = write_report(result.folder).read_text(encoding="utf-8")
    assert "the baseline that was trained for as long" in page and f"key {LONGER}" in page
