"""Survey A regenerated: every row lies where the survey has it, its scores are the survey's, and what was measured here is
summed up as by hand."""

import importlib
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from scipy import stats

from bench import survey as driver
from bench.survey_rows.aggregate import summed
from limbeck.__main__ import run
from limbeck.catalogue.survey import EXAMPLE, SYSTEMS, as_json, score_of_paper
from limbeck.catalogue.survey.measured import relations, verdict
from limbeck.catalogue.survey.show import declared, example
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.errors import UserError
from limbeck.report.survey import svg

# surveys.md, section 1: rows 1-9 and 10-14 are soft labels alone, 15-22 and 23-27 other parts; each offline, then online
PLACES = dict.fromkeys(range(1, 10), ("soft labels", "offline")) | dict.fromkeys(range(10, 15), ("soft labels", "online"))
PLACES |= dict.fromkeys(range(15, 23), ("other parts", "offline")) | dict.fromkeys(range(23, 28), ("other parts", "online"))
# section 3: the scores that can be computed, at alpha = 0.5
SCORES = {11: 0.0058, 26: 0.0233, 17: 0.0334, 21: 0.0579, 19: 0.0637, 6: 0.0919, 20: 0.1157, 22: 0.1362, 23: 0.1750}
SCORES |= {12: 0.1949, 9: 0.2115, 4: 0.2366, 5: 0.2379, 27: 0.2411, 15: 0.2740, 8: 0.3029, 14: 0.3365}


def test_there_are_27_rows_in_the_surveys_order():
    assert [system.row for system in SYSTEMS] == list(range(1, 28))


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: f"{s.row}-{s.method}")
def test_its_declaration_lies_where_the_survey_has_it(system):
    assert (system.knowledge, system.scheme) == PLACES[system.row]
    method = declared(system)
    assert method is not None, f"{system.method} is not in the catalogue"
    place = taxonomy(method)
    assert (place.knowledge, place.scheme) == PLACES[system.row]
    first = system.reference.replace(",", " ").split()[0].removesuffix("'")
    assert first.lower() in method.paper.lower(), "the row's method is another paper's"


def test_the_papers_scores_are_the_surveys():
    found = {s.row: score_of_paper(s) for s in SYSTEMS}
    assert {row: round(score, 4) for row, score in found.items() if score is not None} == SCORES


def test_the_surveys_example_and_its_best_ratio():
    scores = [student["score"] for student in example(0.5)]
    assert [round(score, 4) for score in scores] == [0.3326, 0.2097, 0.1382, 0.2183]
    assert EXAMPLE[scores.index(min(scores))] == (0.1525, 62.87)
    by_size = [student["score"] for student in example(1.0)]
    assert by_size.index(min(by_size)) == 3  # only size counts: the smallest


def test_percentages_of_a_measured_row_by_hand():
    found = {
        "teacher": {"mean": 80.0},
        "baseline": {"mean": 60.0},
        "student": {"mean": 72.0},
        "teacher_size": 400,
        "student_size": 100,
    }
    made = relations(found, 0.25)
    assert made["drop"] == pytest.approx(10) and made["gain"] == pytest.approx(20) and made["cut"] == pytest.approx(75)
    assert made["score"] == pytest.approx(0.25 * 0.25 + 0.75 * 0.1)
    none = relations(found | {"teacher": None, "baseline": None, "student_size": None}, 0.5)
    assert none == {"drop": None, "gain": None, "cut": None, "score": None}


def record(seed, student, baseline, **more):
    keys = ("method", "arguments", "data", "budget", "metric", "networks", "teacher_size", "student_size")
    return {"seed": seed, "teacher": None, "student": student, "baseline": baseline, **dict.fromkeys(keys, 1), **more}


def test_seeds_are_summed_with_students_t_and_the_gap_is_paired():
    students, baselines = [71.0, 73.0, 75.5], [70.0, 71.5, 73.0]
    made = summed([record(k, s, b) for k, (s, b) in enumerate(zip(students, baselines, strict=True))])
    gaps = np.array(students) - np.array(baselines)
    half = stats.t.ppf(0.975, 2) * gaps.std(ddof=1) / 3**0.5
    assert made["gap"] == pytest.approx({"mean": gaps.mean(), "low": gaps.mean() - half, "high": gaps.mean() + half}, abs=1e-4)
    assert made["student"]["mean"] == pytest.approx(73.1667, abs=1e-4) and made["teacher"] is None and made["seeds"] == 3
    one = summed([record(0, 71.0, 70.0)])
    assert one["gap"] == {"mean": 1.0, "low": None, "high": None}


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        ({"mean": 1.5, "low": 0.5, "high": 2.5}, "better by 1.50 points"),
        ({"mean": -1.5, "low": -2.5, "high": -0.5}, "worse by 1.50 points"),
        ({"mean": 0.5, "low": -0.5, "high": 1.5}, "+0.50 points, 3 seeds settle nothing"),
        ({"mean": -0.5, "low": None, "high": None}, "-0.50 points, one seed"),
        (None, "no baseline"),
    ],
)
def test_verdicts(gap, expected):
    assert verdict({"gap": gap, "seeds": 3}) == expected


def test_rows_that_miss_stay_and_say_why(monkeypatch, capsys):
    missed = summed([record(0, 60.0, 61.0, data="some data", budget="some time", method="irg")]) | {"cause": "because of that"}
    module = importlib.import_module("limbeck.catalogue.survey.show")  # the package has a function of that name
    monkeypatch.setattr(module, "measured", lambda: {22: missed})
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["survey"]) == 0
    said = capsys.readouterr().out
    assert "-1.00 points, one seed" in said and "22: because of that" in said and "Not measured yet: rows 1, 2," in said


def test_the_command_as_json_is_what_the_library_says(capsys):
    assert run(["survey", "--json", "--alpha", "0.8"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(as_json(0.8)) and len(found["rows"]) == 27
    score = next(r["paper"]["score"] for r in found["rows"] if r["row"] == 22)
    assert score == pytest.approx(0.8 * (1 - 0.7359) + 0.2 * 0.00831)


def test_the_figure_is_one_drawing_that_says_the_best_ratio(tmp_path, capsys):
    assert run(["survey", "--figure", str(tmp_path / "scores.svg")]) == 0
    root = ElementTree.parse(tmp_path / "scores.svg").getroot()
    text = " ".join(root.itertext())
    assert "the best size ratio is 0.1525" in text and "17 published rows" in text
    assert "row 11" in text and "best size ratio is 0.0374" in " ".join(ElementTree.fromstring(svg(1.0)).itertext())


def test_an_alpha_out_of_range_is_refused(capsys):
    assert run(["survey", "--alpha", "2"]) != 0
    with pytest.raises(UserError, match="alpha must be between"):
        example(2.0)


# ------------------------------------------------------------------------------------------ the bench that measures


def test_the_bench_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    """What is there is not run again, a row that fails is not the others' end, and lines are whole and in order."""
    ran = []

    def row(number, fails=False):
        def measure(seed):
            ran.append((number, seed))
            if fails and len(ran) < 6:
                raise RuntimeError("broken")
            return dict.fromkeys(driver.KEYS, seed)

        return measure

    monkeypatch.setattr(driver, "RESULTS", tmp_path / "survey.jsonl")
    monkeypatch.setattr(driver, "rows", lambda: {3: row(3), 5: row(5, fails=True)})
    monkeypatch.setenv("LIMBECK_DATA", "")
    monkeypatch.setenv("LIMBECK_SURVEY_WORK", "")
    monkeypatch.setattr("sys.argv", ["bench.survey", "--data", str(tmp_path), "--seeds", "2"])
    driver.main()
    assert ran == [(3, 0), (5, 0), (3, 1), (5, 1)]  # every row once before any row twice
    assert "row 5 seed 0 failed" in capsys.readouterr().err
    driver.main()
    assert ran[4:] == [(5, 0), (5, 1)]
    driver.main()
    kept = [(r["row"], r["seed"]) for r in driver.done()]
    assert kept == [(3, 0), (3, 1), (5, 0), (5, 1)] and len(ran) == 7


def test_every_row_of_the_survey_has_a_function():
    assert list(driver.rows()) == list(range(1, 28))


@pytest.mark.parametrize("width", [80, 200])
def test_measured_figures_fit_into_a_narrow_terminal(width):
    import importlib
    import io

    from rich.console import Console

    module = importlib.import_module("limbeck.catalogue.survey.show")
    said = io.StringIO()
    found = [(r, r["measured"]) for r in module.rows(0.5) if r["measured"]]
    Console(file=said, width=width, color_system=None).print(module._measured(found, wide=width > 100))
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for row, seen in found:  # a figure is never broken
        assert any(line.startswith(str(row["row"])) and module._interval(seen["student"]) in line for line in lines)
    assert ("score" in lines[0] + lines[1]) == (width > 100)
