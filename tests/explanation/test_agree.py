"""Agreement by hand."""

import torch

from limbeck.explanation.agree import agreement, took_over
from limbeck.tasks.predictions import Predictions

LABELS = torch.tensor([0, 0, 0, 1, 1, 1])


def says(*answers, sure=0.8):
    logits = torch.full((len(answers), 2), (1 - sure)).log()
    logits[torch.arange(len(answers)), list(answers)] = torch.tensor(sure).log()
    return Predictions(logits, LABELS, torch.arange(len(answers)))


SEEN = {"teacher": says(0, 0, 1, 1, 1, 0), "baseline": says(1, 0, 0, 0, 0, 1), "student": says(0, 0, 1, 1, 0, 1)}


def test_by_class_and_overall():
    found = agreement(SEEN, ["no", "yes"])
    third = 1 / 3
    assert found["overall"]["accuracy"] == {"teacher": 4 / 6, "baseline": 0.5, "student": 4 / 6}
    assert found["overall"]["agreement"] == {"baseline": 1 / 6, "student": 4 / 6}
    first, second = found["per_class"]
    assert first["class"] == "no" and first["agreement"] == {"baseline": third, "student": 1.0}
    assert (
        second["accuracy"] == {"teacher": 2 / 3, "baseline": third, "student": 2 / 3} and second["agreement"]["student"] == third
    )
    assert [(b["low"], b["high"], b["samples"]) for b in found["confidence"]] == [(0.7, 0.9, 6)]
    assert found["groups"] == []  # too few samples to name a group


def test_what_passed_on():
    answers = {who: p.logits.argmax(1) for who, p in SEEN.items()}
    took = took_over(answers, LABELS)
    # the teacher is right and the baseline wrong on samples 0, 3, 4; the student is right on two of them
    assert took["baseline_alone_wrong"] == 3 and took["rescued"] == 2 / 3
    assert took["gained"] == 2 and took["lost"] == 1
    assert took["teacher_errors"] == 2 and took["same_errors"] == {"baseline": 0.0, "student": 0.5}


def test_confidence_bins_hold_every_sample_once():
    torch.manual_seed(0)
    logits = 3 * torch.randn(500, 4)
    logits[0] = torch.tensor([200.0, 0, 0, 0])  # certain
    p = Predictions(logits, torch.randint(0, 4, (500,)), torch.arange(500))
    found = agreement({"teacher": p, "student": p}, list("abcd"))
    assert sum(b["samples"] for b in found["confidence"]) == 500
    assert all(b["agreement"]["student"] == 1.0 for b in found["confidence"])
    worst = [g["accuracy"]["student"] for g in found["groups"]]
    assert worst == sorted(worst) and min(g["samples"] for g in found["groups"]) >= 10
    assert "baseline_alone_wrong" not in found["took"]
