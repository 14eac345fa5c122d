"""Language models distilled from folders: figures as plain transformers has them, a folder that opens without us, notes."""

import json
import subprocess
import sys

import pytest
import torch

from limbeck.cards.build import build
from limbeck.cards.schema import read_card
from limbeck.engine.turns import last
from limbeck.face.load import load as load_student
from limbeck.report.page import write_report
from limbeck.runs import recipes
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources
from tests.folder_of_lm import sentences, student, trained

OPEN = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
assert "limbeck" not in sys.modules
model, tokens = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval(), AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokens(sys.argv[2], return_tensors="pt")["input_ids"]
print(ids.tolist()[0])
print(model(input_ids=ids).logits[0, -1].tolist())
"""
FIT = {"epochs": 2, "batch": 8, "optimizer": "adamw", "lr": 5e-3}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    texts = sentences(240)
    tokens, model = trained(folder / "big", texts, padded=7)
    student(folder / "small", tokens)
    for part, some in {"train": texts[:200], "test": texts[200:]}.items():
        (folder / f"{part}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in some))
    return folder, tokens, model, texts[200:]


@pytest.fixture(scope="module")
def run(place):
    folder, *_ = place
    heard = []
    recipe = recipes.make(
        {
            "data": {"name": str(folder), "longest": 32},
            "teacher": {"model": str(folder / "big")},
            "student": {"model": str(folder / "small")},
            "method": {"name": "kd", "arguments": {"temperature": 1.0}},
            "train": FIT,
            "store": {"use": False},
            "device": "cpu",
        }
    )
    sources = open_sources(recipe, listen=heard.append)
    finished = last(Session(sources, folder / "run").steps())
    return build(finished), folder / "run", [str(getattr(each, "text", "")) for each in heard]


def test_the_teachers_perplexity_is_that_of_plain_transformers(run, place):
    card, _, _ = run
    _, tokens, model, held = place
    lost, count = 0.0, 0
    for text in held:
        ids = torch.tensor([[*tokens(text)["input_ids"], 0]])
        with torch.no_grad():
            z = model(input_ids=ids).logits[0, :-1, : len(tokens)]
        lost += float(torch.nn.functional.cross_entropy(z, ids[0, 1:], reduction="sum"))
        count += ids.shape[1] - 1
    figures = card["models"]["teacher"]["figures"]
    # blocks of 32 cut documents: the first tokens of a block lack what stood before, so ours is a little higher
    wanted = float(torch.tensor(lost / count).exp())
    assert wanted * 0.98 < figures["perplexity"] < wanted * 1.35
    assert figures["bits_per_byte"] == pytest.approx(
        float(torch.tensor(figures["perplexity"]).log2())
        * count
        / sum(len(t.encode()) - len(tokens.decode(tokens(t)["input_ids"][:1]).encode()) for t in held),
        rel=1e-3,
    )


def test_the_student_is_a_folder_that_transformers_opens_alone(run, place):
    _, folder, _ = run
    text = "the cat sees a naïve dog"
    found = subprocess.run(
        [sys.executable, "-c", OPEN, str(folder / "student"), text], capture_output=True, text=True, check=True
    )
    ids, logits = (json.loads(line) for line in found.stdout.splitlines())
    ours = load_student(folder)
    mine = ours(torch.tensor([ids]) + 1)[0, -1]
    assert torch.allclose(mine, torch.tensor(logits), atol=1e-5)
    assert json.loads((folder / "student" / "generation_config.json").read_text())["eos_token_id"] == 0


def test_the_baseline_and_the_teacher_stand_beside_the_student(run):
    card, _, _ = run
    figures = {who: entry["figures"] for who, entry in card["models"].items()}
    assert figures["teacher"]["perplexity"] < figures["student"]["perplexity"]
    assert set(figures) == {"teacher", "baseline", "student"}
    assert figures["teacher"]["agreement_with_teacher"] == 1.0 and figures["student"]["agreement_with_teacher"] < 1.0
    assert not any("looks across the borders" in note for note in card["notes"])
    assert not any("not those of one linear layer" in note for note in card["notes"])


def test_the_page_is_drawn_from_its_card(run):
    card, folder, _ = run
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Perplexity by context" in page and "1 / perplexity" in page
    assert len(page) < 150_000 and read_card(folder)["data"]["classes"] == []


def test_texts_are_those_that_plain_transformers_writes(run, place):
    from transformers import AutoModelForCausalLM

    card, folder, _ = run
    _, tokens, teacher, _ = place
    written = card["writing"]
    assert set(written["figures"]) == {"teacher", "baseline", "student"} and 0 < len(written["texts"]) <= 6
    student = AutoModelForCausalLM.from_pretrained(folder / "student").eval()
    for row in written["texts"][:2]:
        ids = tokens(row["prompt"], return_tensors="pt")["input_ids"]
        for who, model in (("teacher", teacher), ("student", student)):
            z, added = ids, []
            with torch.no_grad():
                for _ in range(written["new"]):  # naive, without a cache
                    added.append(int(model(input_ids=z).logits[0, -1, : len(tokens)].argmax()))
                    z = torch.cat([z, torch.tensor([[added[-1]]])], 1)
                    if added[-1] == 0:
                        break
            assert row["models"][who] == tokens.decode(added, skip_special_tokens=True)
    for each in written["figures"].values():
        assert 0 <= each["repeated"] <= 1 and each["rouge_l"] is None and each["exact"] is None


def test_completions_are_compared_with_what_is_written(place, tmp_path):
    from limbeck.data import load
    from limbeck.deploy.student import Deployed
    from limbeck.deploy.writing import write
    from limbeck.plan.roles import Cast
    from limbeck.plan.taps import Tap

    folder, tokens, teacher, held = place
    rows = [{"prompt": " ".join(text.split()[:3]), "completion": " " + " ".join(text.split()[3:])} for text in held[:12]]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = load(str(tmp_path / "pairs.jsonl"), tokenizer=folder / "big", test=0.5)
    found = write({"teacher": Deployed(Cast({"teacher": teacher}), Tap("teacher"))}, data)
    assert found["prompts"] == len(data["test"]) and found["figures"]["teacher"]["rouge_l"] is not None
    asked = {(row["prompt"], row["completion"]) for row in rows}
    assert all((row["prompt"], row["follows"]) in asked for row in found["texts"])


def test_predict_goes_on_with_texts(run, place, tmp_path):
    from limbeck.face.predict import predict

    _, folder, _ = run
    _, tokens, _, _ = place
    (tmp_path / "prompts.txt").write_text("the cat sees\none old fox\n", encoding="utf-8")
    first, second = predict(folder, tmp_path / "prompts.txt")
    assert first["input"].endswith(":1") and set(first) == {"input", "text", "ended"}
    assert first == predict(folder, "text:the cat sees")[0] | {"input": first["input"]}
    student = load_student(folder)
    ids = tokens("one old fox")["input_ids"]
    with torch.no_grad():
        for _ in range(64 - len(ids)):
            ids.append(int(student(torch.tensor([ids]) + 1)[0, -1].argmax()))
            if ids[-1] == 0:
                break
    asked = len(tokens("one old fox")["input_ids"])
    assert second["text"] == tokens.decode(ids[asked:], skip_special_tokens=True) and second["ended"] == (ids[-1] == 0)
    assert not (folder / "predict.py").exists()


def test_auto_takes_what_fits_next_tokens_and_leaves_weights_that_came(place):
    from limbeck.runs.auto import settled

    folder, *_ = place
    roles = {"teacher": {"model": str(folder / "big")}, "student": {"model": str(folder / "big")}}
    recipe, _ = settled(recipes.make({"data": {"name": str(folder), "longest": 32}, **roles}))
    assert recipe.method.name == "lm_kd" and recipe.student.start is None
    assert "the student starts from its own weights" in recipe.method.why


def test_a_teacher_that_is_no_better_than_the_baseline_is_said(place):
    from limbeck.cards.build import _warn_level
    from limbeck.data import load
    from limbeck.tasks.predictions import Predictions

    folder, *_ = place
    data = load(str(folder), tokenizer=folder / "big", longest=32)
    labels = data["test"].labels
    index = torch.arange(len(labels))

    def told(lost):
        return Predictions(torch.stack([torch.full(labels.shape, lost), labels.float()], -1), labels, index)

    heard = []
    _warn_level(heard.append, {"teacher": told(2.0), "baseline": told(3.0)}, data)
    assert heard == []
    _warn_level(heard.append, {"teacher": told(3.0), "baseline": told(2.9)}, data)
    assert len(heard) == 1 and "not clearly better than the baseline" in heard[0]
