"""The store filled beforehand: a run then asks nothing, and what cannot be filled is said."""

import json

import pytest

from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.runs import recipes
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources
from limbeck.runs.stored import fill
from tests.folder_of_lm import sentences, student, trained


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    tokens, _ = trained(folder / "big", sentences(60), steps=2)
    student(folder / "small", tokens)
    (folder / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in sentences(60)))
    return folder


def recipe(folder, at, **more):
    return recipes.make(
        {
            "data": {"name": str(folder / "train.jsonl"), "longest": 32},
            "teacher": {"model": str(folder / "big")},
            "student": {"model": str(folder / "small")},
            "method": {"name": "lm_kd"},
            "train": {"epochs": 1, "batch": 8},
            "store": {"path": str(at), **more.pop("store", {})},
            "baseline": False,
            "onnx": False,
            "device": "cpu",
            **more,
        }
    )


@pytest.mark.parametrize("store", [{}, {"draws": 8}])
def test_what_was_filled_is_not_asked_again(place, tmp_path, store):
    heard = []
    made = recipe(place, tmp_path / "store", store=store)
    asked = fill(made, heard.append)
    sources = open_sources(made)
    assert asked == len(sources.data["train"]) > 0
    assert any("is read from stored answers" in event.text for event in heard)
    assert fill(made) == 0
    session = Session(sources, tmp_path / "run")
    last(session.steps())
    assert not sources.cast.filled  # the run found all of it


def test_what_cannot_be_filled_is_said(place, tmp_path):
    for more, what in (
        ({"store": {"use": False}}, "store.use = false"),
        ({"student": {"model": str(place / "big")}, "teacher": {"model": str(place / "small")}}, "has no weights"),
        ({"method": {"name": "on_policy"}}, "nothing that on_policy asks"),
    ):
        with pytest.raises(UserError, match=what):
            fill(recipe(place, tmp_path / "store", **more))
