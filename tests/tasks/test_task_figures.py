"""A figure is declared once and seen everywhere: card, terminal, page, model card, board; and two of them by hand."""

import json
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from sklearn.metrics import balanced_accuracy_score, f1_score

from limbeck.cards.model_card import write_model_card
from limbeck.cards.table import card_table
from limbeck.comparison.board_table import board_table
from limbeck.comparison.leaderboard import leaderboard
from limbeck.comparison.pages import page_of
from limbeck.errors import UserError
from limbeck.metrics import balanced_accuracy, macro_f1
from limbeck.runs.recipes import make
from limbeck.tasks import registry
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.detect import Detect
from limbeck.tasks.figure import FigureInfo, figures_in, score_in
from limbeck.tasks.keeping import read_predictions, write_predictions
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.segment import Segment
from limbeck.tasks.transcribe import Transcribe

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from synthetic_run import make_run  # noqa: E402

ANSWERS = torch.tensor([0, 0, 0, 1, 1, 2])
LABELS = torch.tensor([0, 0, 1, 1, 3, 3])  # nobody is a 2, and a 3 is never found


def logits_for(answers, classes):
    return 5.0 * torch.nn.functional.one_hot(answers, classes).float()


def test_two_figures_by_hand_and_by_scikit_learn():
    logits = logits_for(ANSWERS, 5)
    # class 0: 2 right, 1 too many: 4/5; class 1: 1 right, 1 missed, 1 too many: 1/2; 2 and 3: 0; class 4 occurs nowhere
    assert macro_f1(logits, LABELS) == pytest.approx((0.8 + 0.5 + 0 + 0) / 4)
    assert balanced_accuracy(logits, LABELS) == pytest.approx((1 + 0.5 + 0) / 3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        labels, answers = torch.randint(0, 6, (2, 50), generator=generator)
        logits = logits_for(answers, 7)
        assert macro_f1(logits, labels) == pytest.approx(f1_score(labels, answers, average="macro", zero_division=0))
        assert balanced_accuracy(logits, labels) == pytest.approx(balanced_accuracy_score(labels, answers))


def shown(what):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(what)
    console.file.close()
    return " ".join(console.export_text().split())


STUDENT = {"version": 1, "limbeck": "0", "method": {"name": "kd", "arguments": {}}, "roles": {}, "classes": list("0123456789")}
STUDENT |= {
    "shape": [1, 8, 8],
    "kind": "image",
    "task": {"name": "classify", "settings": {}},
    "inputs": "x",
    "outputs": "y",
    "data": "d",
}


@pytest.mark.parametrize("key", ["macro_f1", "balanced_accuracy"])
def test_a_figure_is_seen_in_every_place(tmp_path, key):
    folder = make_run(tmp_path / "run")
    card = json.loads((folder / "card.json").read_text())
    facts = next(figure for figure in figures_in(card) if figure.key == key)
    words = facts.text(card["models"]["student"]["figures"][key])
    assert facts.title in shown(card_table(card)) and words in shown(card_table(card))
    page = page_of(folder)
    assert facts.title in page and words in page
    (folder / "student.json").write_text(json.dumps(STUDENT))
    text = write_model_card(folder).read_text(encoding="utf-8")
    assert f"| {facts.title} |" in text and words in text and f"- {facts.title}: {facts.words[:20]}" in text
    found = leaderboard([{"entry": "kd", "seed": 0, "card": card}], make({}), ["kd"], [0])
    assert found["rows"][0]["figures"][key] == card["models"]["student"]["figures"][key]
    assert words in shown(board_table(found))


def test_a_score_that_is_no_share_is_told_as_a_number():
    facts = FigureInfo("r2", "R2", form=".3f")
    assert facts.text(0.5) == "0.500" and facts.bounds((-0.1, 0.2)) == " [-0.100, 0.200]" and facts.gap(-0.25) == "0.25"
    assert (facts.scale, facts.unit, facts.points, facts.places) == (1, "", "", 3)
    assert score_in({"task": {"figures": [{"key": "x", "title": "X", "later": 1}]}}).title == "X" and score_in({}).key == "score"


@pytest.mark.parametrize("name", sorted(registry.TASKS))
def test_the_score_of_every_task_is_better_when_higher_and_everything_is_told(name):
    figures = registry.TASKS[name].figures
    assert figures[0].better == "higher" and len({f.key for f in figures}) == len(figures)
    assert all(f.title and f.words.endswith(".") for f in figures)


RANDOM = torch.Generator().manual_seed(0)
MASKS = torch.randint(0, 3, (5, 4, 4), generator=RANDOM)
RECORDS = {
    CLASSIFY: (torch.randn(6, 3, generator=RANDOM), torch.tensor([0, 1, 2, 0, 1, 2])),
    Segment(pieces=1): (torch.randn(5, 4, 4, 3, generator=RANDOM), MASKS),
    Transcribe(): (torch.randn(4, 5, 3, generator=RANDOM), torch.tensor([[1, 2], [2, -100], [1, 1], [2, 1]])),
}


@pytest.mark.parametrize("about", RECORDS, ids=lambda task: task.name)
def test_what_is_kept_says_its_task_and_comes_back(tmp_path, about):
    said, labels = RECORDS[about]
    numbers = torch.arange(len(said)) + 7
    seen = {who: Predictions(*about.keep(said.clone(), labels), numbers) for who in ("student", "teacher")}
    pictures = torch.zeros(len(said), 1, 4, 4, dtype=torch.uint8) if about.name != "transcribe" else None
    write_predictions(tmp_path, about, seen, pictures)
    task, kept = read_predictions(tmp_path)
    assert task == about and list(kept.predictions) == ["teacher", "student"] and kept.other == "teacher"
    if about.name != "segment":  # which keeps the pictures that it shows
        assert torch.equal(kept.predictions["student"].answers, seen["student"].answers)
        assert torch.equal(kept.predictions["student"].index, seen["student"].index)
    else:
        assert int(kept.counts["student"].sum()) == MASKS.numel() and kept.width == 3
    assert about.sections(kept, ["a", "b", "c"])[-1].id == "differ"


def test_a_file_of_an_unknown_task_is_one_sentence(tmp_path, monkeypatch):
    seen = {"student": Predictions(*RECORDS[CLASSIFY], torch.arange(6))}
    write_predictions(tmp_path, CLASSIFY, seen, None)
    monkeypatch.setattr(registry, "TASKS", {"detect": Detect})
    with pytest.raises(UserError, match="unknown task 'classify'"):
        read_predictions(tmp_path)
