"""A language model that learns from one with another tokenizer, from folders: what is said, judged, written and refused."""

import json

import pytest
import torch

from limbeck.cards.build import build
from limbeck.data.batches import Batches
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.losses.heads import OnHeads
from limbeck.plan.observe import observe
from limbeck.plan.taps import Tap, leaves
from limbeck.runs import recipes
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources
from tests.folder_of_lm import sentences, student, tokenizer, trained


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    texts = sentences(240)
    tokens, model = trained(folder / "big", texts)
    small = tokenizer(texts, words=40)
    student(folder / "small", small)
    small.save_pretrained(folder / "small")
    for part, some in {"train": texts[:200], "test": texts[200:]}.items():
        (folder / f"{part}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in some))
    return folder, tokens, model, texts[200:]


def recipe(folder, name="lm_kd", **more):
    return recipes.make(
        {
            "data": {"name": str(folder), "longest": 48},
            "teacher": {"model": str(folder / "big")},
            "student": {"model": str(folder / "small")},
            "method": {"name": name, "arguments": more.pop("arguments", {})},
            "train": {"epochs": 2, "batch": 8, "optimizer": "adamw", "lr": 5e-3},
            "store": {"use": False},
            "onnx": False,
            "device": "cpu",
            **more,
        }
    )


@pytest.fixture(scope="module")
def run(place, tmp_path_factory):
    finished = last(Session(open_sources(recipe(place[0])), tmp_path_factory.mktemp("run") / "run").steps())
    return build(finished)


def test_the_teacher_is_judged_on_the_same_bytes(run, place):
    """Its bits per byte are those of plain transformers on its own tokens, but for rows that begin in the middle of a text, and
    for the places where it says nothing, of which all tokens are as likely."""
    _, tokens, model, held = place
    lost, size = 0.0, 0
    for text in held:
        ids = torch.tensor([[*tokens(text)["input_ids"], 0]])
        with torch.no_grad():
            z = model(input_ids=ids).logits[0, :-1]
        lost += float(torch.nn.functional.cross_entropy(z, ids[0, 1:], reduction="sum"))
        size += len(text.encode()) - len(tokens.decode(ids[0, :1]).encode())
    wanted = lost / size / torch.tensor(2.0).log().item()
    found = run["models"]["teacher"]["figures"]["bits_per_byte"]
    sources = open_sources(recipe(place[0]))
    test = sources.data["test"]
    with torch.no_grad():
        told = sources.cast["teacher"]._told(test.inputs)
    known = test.labels != -100
    silent = int((known & ~(told > -torch.inf).any(-1)).sum()) / int(known.sum())
    per_token = sources.data.task.bytes_per_token
    assert 0 < silent < 0.05
    nothing = silent * torch.tensor(float(sources.data.outputs)).log2().item() / per_token
    assert wanted * 0.9 < found - nothing < wanted * 1.8
    assert found < 0.5 * run["models"]["baseline"]["figures"]["bits_per_byte"]


def test_what_is_read_is_said(run):
    (note,) = [note for note in run["notes"] if "tokenizer of its own" in note or "its own tokenizer" in note]
    assert "reads the same bytes" in note and "inside one" in note
    assert run["models"]["student"]["figures"]["kl_to_teacher"] > 0


def test_the_teachers_texts_are_its_own_in_its_own_tokens(run, place):
    _, tokens, model, _ = place
    row = run["writing"]["texts"][0]
    z = tokens(row["prompt"], return_tensors="pt")["input_ids"]
    start = z.shape[1]
    with torch.no_grad():
        for _ in range(run["writing"]["new"]):  # naive, without a cache
            z = torch.cat([z, model(input_ids=z).logits[:, -1:].argmax(-1)], 1)
            if int(z[0, -1]) == 0:
                break
    assert row["models"]["teacher"] == tokens.decode(z[0, start:], skip_special_tokens=True)


@pytest.mark.parametrize("divergence", ["kl", "reverse", "skew", "jsd"])
def test_terms_on_heads_are_those_on_full_logits(place, divergence):
    sources = open_sources(recipe(place[0], arguments={"divergence": divergence, "labels": 0.0}))
    sources.cast.eval()["student"].requires_grad_(True)
    batch = next(Batches(sources.data["train"], sources.data, size=4, seed=0).ordered())
    plain = sources.method.stages[0].updates[0].terms
    lean = sources.lean(sources.method).stages[0].updates[0].terms
    read = [leaf for source in lean[0].sources for leaf in leaves(source) if isinstance(leaf, Tap) and leaf.role == "student"]
    assert isinstance(lean[0].by, OnHeads) and read and all(tap.path for tap in read)
    values, gradients = [], []
    for terms in (plain, lean):
        scene = observe(sources.cast, batch, [s for term in terms for s in term.sources], learns=("student",))
        value = _mean(terms[0], scene)
        sources.cast.zero_grad()
        value.backward()
        values.append(float(value.detach()))
        gradients.append(torch.cat([p.grad.flatten() for p in sources.cast["student"].parameters() if p.grad is not None]))
    assert values[0] == pytest.approx(values[1], rel=1e-5) and values[0] > 0
    assert torch.allclose(*gradients, atol=1e-6) and float(gradients[0].norm()) > 1e-4


def _mean(term, scene):
    """A term's mean over the places that count, from its values or its sum."""
    inputs = {key: scene(source) for key, source in term.inputs.items()}
    mask = scene(term.mask).bool()
    if isinstance(term.by, OnHeads):
        return term.by(mask=mask, **inputs) / mask.sum()
    return term.by(**inputs)[mask].mean()


def test_the_student_may_write_and_the_teacher_reads_it(place, tmp_path):
    made = recipe(place[0], "on_policy", baseline=False, train={"epochs": 0.2, "batch": 8, "optimizer": "adamw", "lr": 1e-3})
    sources = open_sources(made)
    before = [p.detach().clone() for p in sources.cast["student"].parameters()]
    last(Session(sources, tmp_path / "run").steps())
    assert any(not torch.equal(a, b) for a, b in zip(before, sources.cast["student"].parameters(), strict=True))


@pytest.mark.parametrize("name", ["pkd", "tinybert"])
def test_methods_that_need_more_than_answers_are_refused(place, name):
    with pytest.raises(UserError, match="has a tokenizer of its own") as error:
        open_sources(recipe(place[0], name))
    assert len(str(error.value)) < 300
