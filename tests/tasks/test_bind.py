"""Methods bound to tasks: what becomes of labels and soft labels, and that one class is left exactly as it was."""

from dataclasses import dataclass

import pytest
import torch
from toy import Toy, as_boxes, as_frames, as_words, build, fit_of

from limbeck import engine, losses, methods
from limbeck.errors import UserError
from limbeck.methods._terms import soft, task
from limbeck.models import build as build_model
from limbeck.models.fitted import fit_role
from limbeck.plan import Cast, Field, Labels, Soft, Tap, Term
from limbeck.plan.method import single_stage
from limbeck.runs.supervised import supervised
from limbeck.tasks import registry
from limbeck.tasks.bind import bind
from limbeck.tasks.classify import CLASSIFY, Classify
from limbeck.tasks.detect import Detect
from limbeck.tasks.segment import Segment
from limbeck.tasks.transcribe import Transcribe
from limbeck.tasks.translate import Translate


def names(method):
    return [term.name for _, _, term in method.terms()]


@pytest.mark.parametrize("about", [CLASSIFY, Segment()])
@pytest.mark.parametrize("name", ["kd", "fitnets", "mutual", "assistant", "temporal_ensembling"])
def test_one_class_leaves_every_term_as_it_was(name, about):
    method = methods.find(name)()
    bound = bind(method, about)
    assert [str(t) for _, _, t in bound.terms()] == [str(t) for _, _, t in method.terms()]
    assert all(type(term) is Term for _, _, term in bound.terms())
    assert bound.but(stages=()) == method.but(stages=())


def test_a_changed_copy_knows_whether_it_still_speaks_of_labels():
    own = task("peer", weight=0.5)
    assert isinstance(own.but(weight=2.0, name="x"), Labels) and own.but(weight=2.0, name="x").name == "x"
    assert type(own.but(by=losses.mse, inputs={"student": Tap("peer"), "teacher": Tap("peer")})) is Term
    assert isinstance(soft("a", "b").but(weight=0.1), Soft) and soft("a", "b").but(weight=0.1).mentor == "b"


def test_each_task_has_labels_of_its_own():
    assert names(bind(methods.alone(), Detect())) == ["classes", "boxes"]
    (ctc,) = [term for _, _, term in bind(methods.alone(role="peer"), Transcribe()).terms()]
    assert ctc == Term("ctc peer", losses.ctc, student=Tap("peer"), labels=Field("labels"))
    (words,) = [term for _, _, term in bind(methods.alone(), Translate()).terms()]
    assert words.by is losses.sequence_nll and words.inputs["student"] == Field("inputs").via("student", Field("labels"))
    follow = bind(methods.kd(), Translate()).stages[0].updates[0].terms[1]
    assert follow.inputs["teacher"] == Field("inputs").via("teacher", Field("labels")).detach()
    with pytest.raises(UserError, match=r"method 'kd': a detector .* use detection"):
        bind(methods.kd(), Detect())


@pytest.mark.parametrize(
    ("about", "model", "shape", "change"),
    [
        (Detect((8, 8)), ("detector", {"width": 2, "stride": 4}), (1, 8, 8), as_boxes),
        (Transcribe(), ("lstm", {"width": 3, "per_frame": 1}), (8, 8), as_frames),
        (Translate(), ("seq2seq", {"width": 4, "longest": 4}), (4,), as_words),
    ],
)
def test_the_baseline_of_a_task_trains(about, model, shape, change):
    torch.manual_seed(0)
    cast = Cast({"student": build(model[0], shape=shape, **model[1])})
    bound = supervised(about, cast)
    made = engine.train(bound, cast, Toy(change=change), fit_of(steps=3), device="cpu")
    assert made.history and all(0 < value < float("inf") for value in made.history[-1]["terms"].values())


def test_a_model_without_gradient_is_fitted_at_once():
    tree = build_model("tree", classes=3, shape=(2,), arguments={"depth": 2})
    method = supervised(CLASSIFY, Cast({"student": tree}))
    assert method.stages == methods.alone_tree().stages and method.stages[0].updates[0].apply is fit_role


def test_a_package_adds_a_task(monkeypatch):
    monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))

    @dataclass(frozen=True)
    class Shy(Segment):
        name = "shy"
        least: int = 3

    assert registry.register(Shy) is Shy and registry.task_of("shy", Shy(least=5).settings()) == Shy(least=5)
    with pytest.raises(UserError, match="two tasks are called 'classify'"):
        registry.register(type("Other", (Segment,), {"name": "classify"}))
    with pytest.raises(UserError, match="did you mean 'shy'"):
        registry.task_of("shi")
    with pytest.raises(UserError, match="a subclass of limbeck.tasks.Task"):
        registry.register(Term)
    assert registry.register(Classify) is Classify


def test_an_entry_point_is_found_by_its_name(monkeypatch):
    class Entry:
        name = "told"

        def load(self):
            return type("Told", (Segment,), {"name": "told"})

    monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()] if group == "limbeck.tasks" else [])
    assert registry.task_of("told").name == "told"


def test_settings_of_a_task_come_back():
    for about in (Segment(pieces=4), Detect((32, 48)), Translate(end=3), CLASSIFY):
        assert registry.task_of(about.name, about.settings()) == about


def test_a_mask_of_samples_is_refused_where_cells_learn():
    with pytest.raises(UserError, match="cannot be masked"):
        bind(single_stage(task(mask=Field("labelled"))), Detect())
