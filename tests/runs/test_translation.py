"""Encoder-decoders are compared on the label's words, never on what their own searches wrote."""

import pytest
import torch

from limbeck import data, models
from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.methods import find
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.runs.recipes import make

WORDS = ["a", "b", "c", "d", "e"]


@pytest.fixture
def files(tmp_path):
    for part, count in (("train", 40), ("val", 8), ("test", 8)):
        lines = [" ".join(WORDS[(k + j) % 5] for j in range(1 + k % 3)) for k in range(count)]
        for language in ("de", "en"):
            (tmp_path / f"{part}.{language}").write_text("\n".join(lines) + "\n")
    return tmp_path


def recipe(files, method, **arguments):
    net = {"model": "seq2seq", "arguments": {"width": 8, "words": 9, "longest": 4}}
    made = {"source": "de", "target": "en", "longest": 3}
    return make(
        {
            "data": {"name": "translation", "path": str(files), "arguments": made},
            "teacher": net,
            "student": net,
            "method": {"name": method, "arguments": arguments},
            "train": {"epochs": 1, "batch": 8, "optimizer": "adamw", "lr": 0.01},
            "store": {"use": False},
            "onnx": False,
            "device": "cpu",
        }
    )


@pytest.mark.parametrize("name", ["dist", "skewed", "mean_teacher"])
def test_answers_of_a_search_are_not_compared_place_by_place(files, tmp_path, name):
    with pytest.raises(
        UserError, match=f"method '{name}' compares predictions word by word.*use sequence_level, or teacher forcing: skewed"
    ):
        run(recipe(files, name), tmp_path / "run")


@pytest.mark.parametrize("name", ["skewed", "adaptive", "between", "kd"])
def test_forced_answers_are_compared(files, tmp_path, name):
    chosen = {} if name == "kd" else {"forced": True, "labels": 1.0}  # kd is bound to the words of the label
    card = run(recipe(files, name, **chosen), tmp_path / "run")
    assert set(card["models"]) == {"teacher", "baseline", "student"} and card["task"]["figures"][0]["title"] == "BLEU"
    assert card["method"]["taxonomy"].startswith("soft labels; offline; 1-1")


def test_the_forced_divergence_by_a_loop_over_words(files):
    found = data.load("translation", path=files, arguments={"source": "de", "target": "en", "longest": 3})
    torch.manual_seed(0)
    make_net = lambda: models.build("seq2seq", classes=9, shape=(3,), arguments={"width": 8, "words": 9, "longest": 4})  # noqa: E731
    cast = Cast({"student": make_net(), "teacher": make_net().eval()})
    method = find("skewed")(alpha=0.2, forced=True, labels=0.5)
    part = found["train"]
    batch = {"inputs": part.inputs[:6], "labels": part.labels[:6], "index": part.index[:6]}
    (update,) = method.stages[0].updates
    scene = observe(cast, batch, [s for term in update.terms for s in term.sources], learns=["student"])
    sums = {term.name: evaluate_term(term, scene) for term in update.terms}
    values = {name: (total / count).item() for name, (total, count) in sums.items()}
    with torch.no_grad():
        p, q = (cast[who](batch["inputs"], batch["labels"]).softmax(-1) for who in ("teacher", "student"))
    terms, words = [], []
    for row, label in enumerate(batch["labels"].tolist()):
        own = []
        for place, word in enumerate(label):
            if word != -100:
                mixed = 0.8 * p[row, place] + 0.2 * q[row, place]  # KL(q || a q + (1 - a) p), a = 0.2
                terms.append(float((q[row, place] * (q[row, place] / mixed).log()).sum()))
                own.append(-float(q[row, place, word].log()))
        words.append(sum(own) / len(own))
    assert values["skew reverse"] == pytest.approx(sum(terms) / len(terms), rel=1e-4)
    assert values["words"] == pytest.approx(sum(words) / len(words), rel=1e-4)
