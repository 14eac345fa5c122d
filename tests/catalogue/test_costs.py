"""What methods cost and need, against counts by hand."""

import inspect
import json

import pytest

from limbeck import methods
from limbeck.catalogue import figures
from limbeck.catalogue.costs import costs
from limbeck.catalogue.facts import use_of
from limbeck.catalogue.purposes import by_need
from limbeck.cli import methods as listing
from limbeck.methods import CATALOGUE


def test_a_frozen_teacher():
    found = costs(methods.kd())
    assert (found.models, found.frozen, found.forwards, found.updates, found.parts, found.budgets) == (2, 1, 2, 1, 0, 1)
    assert found.stored == ("teacher",) and found.needs == ("teacher finished",) and found.labels and not found.whole_batch


def test_peers_in_turn():
    found = costs(methods.mutual(("student", "a", "b")))
    assert (found.models, found.frozen, found.forwards, found.updates) == (3, 0, 9, 3)  # all three, for each that learns
    assert found.stored == () and found.needs == ()


def test_teachers_that_take_turns():
    each, switch = costs(methods.teachers_each()), costs(methods.teachers_switch())
    assert (each.models, each.forwards) == (4, 4)
    assert switch.forwards == pytest.approx(2) and switch.models == pytest.approx(2)  # one of three in every step
    assert switch.stored == ("teacher", "teacher_2", "teacher_3")


def test_generations():
    found = costs(methods.born_again(generations=3))
    assert (found.models, found.frozen, found.budgets) == (2, 1, 3)
    assert found.stored == ()  # the teacher is made on the way


def test_a_fitted_student():
    found = costs(methods.soft_tree())
    assert found.fitted and found.brief == "fitted once" and not found.labels
    assert found.needs == ("teacher finished", "all samples of a partition in one batch")


def test_made_inputs_and_private_parts():
    made, private = costs(methods.zero_shot()), costs(methods.pate(teachers=3))
    assert made.budgets == 2 and made.stored == () and not made.labels
    assert made.needs == ("teacher finished and open, with layers and weights", "time to make inputs")
    assert (private.models, private.frozen, private.budgets) == (4, 3, 2)
    assert private.needs == ("unlabelled samples", "chosen training samples (train[1/3] train[2/3] train[3/3])")


def test_what_keeps_a_batch_whole():
    relations, masked, plain = costs(methods.rkd()), costs(methods.detection()), costs(methods.attention())
    assert relations.batchwise and relations.whole_batch
    assert not masked.batchwise and masked.whole_batch and "boxes" in masked.needs
    assert not plain.whole_batch
    assert "samples of a batch are compared" in str(relations) and "a model decides" in str(masked)


def test_branches_are_parts_and_not_models():
    found = costs(methods.okddip_branches())
    assert (found.models, found.forwards, found.parts, found.copies) == (1, 1, 4, 3)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_method_says_when_to_use_it(name):
    use = use_of(CATALOGUE[name])
    assert 60 < len(use) < 420 and use.endswith("."), f'the docstring of {name} needs a paragraph "Use it when ..."'
    assert not (inspect.getdoc(CATALOGUE[name]) or "").startswith("Use it when"), "the summary comes first"


def test_no_two_say_the_same():
    said = [sentence for name in CATALOGUE for sentence in use_of(CATALOGUE[name]).split(". ")]
    assert len(said) == len(set(said))


def test_one_method_is_shown_with_its_costs(capsys):
    listing.one("assistant", None, [])
    shown = capsys.readouterr().out
    assert "costs: each step 2 models" in shown and "2 times the run's budget" in shown and "  Use it when " in shown


def test_every_method_serves_a_need():
    found = by_need(declare() for declare in CATALOGUE.values())
    assert all(found.values()), [need for need, names in found.items() if not names]
    assert {name for names in found.values() for name in names} == set(CATALOGUE)
    assert found["Detection"][:3] == ["detection", "detection_gan", "fine_grained"]
    assert "kd" in found["Soft labels of one finished teacher"] and "kd" not in found["Several teachers"]
    assert found["Trees and models trained without gradients"] == ["alone_tree", "soft_tree"]


def test_figures_come_from_files(tmp_path):
    rows = [("alone", 0, 0.7), ("alone", 1, 0.8), ("kd", 0, 0.8), ("kd", 1, 0.9), ("dkd", 0, 0.75)]
    line = '{{"method": "{}", "seed": {}, "score": {}, "epochs": 3, "arguments": {{}}}}\n'
    (tmp_path / "board.jsonl").write_text("".join(line.format(*row) for row in rows))
    (kd,) = figures.lines("kd", tmp_path)
    assert kd == "board, 3 epochs, 2 seeds: 85.00 +- 63.53 against 75.00 +- 63.53 alone (bench/board.py)"  # 12.706 x 5
    (dkd,) = figures.lines("dkd", tmp_path)
    assert dkd.startswith("board, 3 epochs, 1 seed: 75.00 against 70.00 alone")  # the same seed
    assert figures.lines("simkd", tmp_path) == []


def test_the_gain_of_the_sweep_is_paired_by_seed(tmp_path):
    lines = [("alone", 0, 0.90), ("alone", 1, 0.80), ("kd", 0, 0.91), ("kd", 1, 0.83), ("dkd", 1, 0.70)]
    rows = [{"method": m, "arguments": {}, "seed": s, "epochs": 20, "score": a} for m, s, a in lines]
    (tmp_path / "catalogue.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert figures.gain("kd", tmp_path) == "+2.0 +- 12.7"  # t(1) 12.706, spread sqrt 2, over sqrt 2
    assert figures.gain("dkd", tmp_path) == "-10.0"
    assert figures.gain("alone", tmp_path) == figures.gain("fsp", tmp_path) == ""


def test_figures_of_the_survey_name_their_row(monkeypatch, tmp_path):
    row = {"method": "simkd", "arguments": {"at": "x"}, "data": "D", "networks": "a -> b", "budget": "1 epoch", "metric": "error"}
    row |= {"seeds": 2, "student": {"mean": 3, "low": 2, "high": 4}, "baseline": {"mean": 5, "low": None, "high": None}}
    monkeypatch.setattr(figures, "measured", lambda: {9: row})
    assert figures.lines("simkd", tmp_path) == [
        "D, a -> b, at=x, 1 epoch, 2 seeds: error 3.00 +- 1.00 against 5.00 without it (row 9 of `limbeck survey`)"
    ]


def test_costs_follow_the_settings():
    assert costs(methods.pate(teachers=3)) != costs(methods.pate(teachers=4))
    assert costs(methods.assistant(("teacher", "a", "b", "student"))).budgets == 3
