"""A tag for each word: entities against seqeval and by hand, files, first pieces, a whole run against plain transformers."""

import json
import random

import pytest
import torch
from folder_of_bert import SIZES, tokenizer, transformers
from typer.testing import CliRunner

from limbeck import methods
from limbeck.cli.app import app
from limbeck.data import load
from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.metrics import entities as metrics
from limbeck.plan import Cast, observe
from limbeck.tasks import Predictions, TokenClassification
from limbeck.tasks.bind import bind

NAMES = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")


def test_entities_by_hand():
    assert metrics.entities(["B-PER", "I-PER", "B-PER", "O", "I-LOC", "I-PER"]) == [
        ("PER", 0, 1),
        ("PER", 2, 2),
        ("LOC", 4, 4),
        ("PER", 5, 5),
    ]
    assert metrics.entities(["S-LOC", "E-PER", "B-LOC", "E-LOC", "I-LOC"]) == [
        ("LOC", 0, 0),
        ("PER", 1, 1),
        ("LOC", 2, 3),
        ("LOC", 4, 4),
    ]
    labels = torch.tensor([[-100, 1, 3, 4, 0, -100]])  # PER PER, O, LOC
    answers = torch.tensor([[0, 1, 4, 4, 0, 1]])  # a shorter PER, O, LOC; what stands outside of words does not count
    kinds, found = metrics.counts(answers, labels, NAMES)
    assert dict(zip(kinds, found[0].tolist(), strict=True)) == {"LOC": [1, 1, 1], "PER": [0, 1, 1]}
    measured = TokenClassification(NAMES).measure(Predictions(answers, labels, torch.arange(1)), NAMES)
    assert measured.score == pytest.approx(0.5) and measured.figures["word_accuracy"] == pytest.approx(3 / 4)
    plain = TokenClassification(("NOUN", "VERB")).measure(
        Predictions(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 0]]), torch.arange(1)), ("NOUN", "VERB")
    )
    assert plain.score == pytest.approx(2 / 3) == plain.figures["word_accuracy"], "without entities F1 is the share of words"
    nothing = Predictions(torch.full((1, 3), 4), torch.full((1, 3), 4), torch.arange(1))
    assert TokenClassification(NAMES).measure(nothing, NAMES).score is None


@pytest.mark.parametrize("letters", ["BI", "BIES", "I"])
def test_f1_is_seqevals(letters):
    scores = pytest.importorskip("seqeval.metrics", reason="seqeval is a tool of the tests")
    draw = random.Random(0)
    tags = ["O", *(f"{letter}-{kind}" for letter in letters for kind in ("PER", "LOC"))]
    sides = [[draw.choices(tags, weights=[4, *[1] * (len(tags) - 1)], k=9) for _ in range(60)] for _ in range(2)]
    sides[1] = [[a if draw.random() < 0.6 else b for a, b in zip(*pair, strict=True)] for pair in zip(*sides, strict=True)]
    labels, answers = (torch.tensor([[tags.index(t) for t in row] for row in side]) for side in sides)
    found = TokenClassification(tuple(tags)).measure(Predictions(answers, labels, torch.arange(60)), tags)
    assert found.score == pytest.approx(scores.f1_score(*sides)) and 0.1 < found.score < 0.9
    assert found.figures["entity_precision"] == pytest.approx(scores.precision_score(*sides))
    assert found.figures["entity_recall"] == pytest.approx(scores.recall_score(*sides))
    assert found.interval[0] < found.score < found.interval[1]


def test_terms_read_the_tokens_that_have_a_tag():
    logits = {
        who: torch.randn(2, 3, 5, requires_grad=True, generator=torch.Generator().manual_seed(k)) for k, who in enumerate("st")
    }

    class Given(torch.nn.Module):
        def __init__(self, found):
            super().__init__()
            self.found = torch.nn.Parameter(found.detach())

        def forward(self, inputs):
            return self.found

    cast = Cast({"student": Given(logits["s"]), "teacher": Given(logits["t"])})
    labels = torch.tensor([[-100, 2, 0], [4, -100, -100]])
    batch = {"inputs": torch.ones(2, 3), "labels": labels, "index": torch.arange(2)}
    terms = [term for _, _, term in bind(methods.kd(temperature=2.0), TokenClassification(NAMES)).terms()]
    scene = observe(cast, batch, [source for term in terms for source in term.sources], learns=["student"])
    found = {term.name: (lambda total, count: float((total / count).detach()))(*evaluate_term(term, scene)) for term in terms}
    at = [(0, 1, 2), (0, 2, 0), (1, 0, 4)]
    plain = sum(-logits["s"][n, k].log_softmax(-1)[y] for n, k, y in at) / 3
    assert found["task"] == pytest.approx(float(plain.detach()), rel=1e-5)
    sides = [(logits["s"][n, k] / 2, logits["t"][n, k] / 2) for n, k, _ in at]
    soft = sum((t.softmax(-1) * (t.log_softmax(-1) - s.log_softmax(-1))).sum() for s, t in sides) / 3 * 4
    assert found["soft"] == pytest.approx(float(soft.detach()), rel=1e-5)


def sentences(count, seed=0):
    """Sentences in which `in` stands before places, and a title or nothing before persons."""
    draw = random.Random(seed)
    people, places = ["anna", "bertha", "carl", "doria"], ["rome", "paris", "ulm"]
    found = []
    for _ in range(count):
        rows = [("the", "O"), ("film", "O"), ("of", "O")]
        rows += [("old", "B-PER"), (draw.choice(people), "I-PER")] if draw.random() < 0.4 else [(draw.choice(people), "B-PER")]
        rows += (
            [("is", "O")] * draw.randint(0, 2) + [("in", "O"), (draw.choice(places), "B-LOC")] * draw.randint(0, 1) + [(".", "O")]
        )
        found.append(rows)
    return found


def conll(file, found, between=" "):
    text = "\n\n".join("\n".join(between.join((word, "x", tag)) for word, tag in rows) for rows in found)
    file.write_text("-DOCSTART- x O\n\n" + text + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A teacher that plain transformers fine-tuned, its tokenizer, which cuts names into pieces, and a student's configuration."""
    place, train = tmp_path_factory.mktemp("bert"), sentences(200)
    tokens = tokenizer([" ".join(word for word, _ in rows) for rows in train[:3]])
    torch.manual_seed(0)
    names = ["O", "I-PER", "B-PER", "B-LOC"]  # in another order than the data's
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: k for k, name in enumerate(names)}}
    sizes = SIZES | {"max_position_embeddings": 40}
    config = transformers.BertConfig(vocab_size=len(tokens), num_hidden_layers=2, **sizes, **labels)
    model = transformers.BertForTokenClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    tokens.model_max_length = 40
    given = tokens([[word for word, _ in rows] for rows in train], is_split_into_words=True, padding=True, return_tensors="pt")
    goal = torch.full_like(given["input_ids"], -100)
    for row, rows in enumerate(train):
        for place_, owner in reversed(list(enumerate(given.word_ids(row)))):
            if owner is not None:
                goal[row, place_] = names.index(rows[owner][1]) if given.word_ids(row).index(owner) == place_ else -100
    for _ in range(60):
        model(**given, labels=goal).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(place / "teacher"), tokens.save_pretrained(place / "teacher")
    transformers.BertConfig(vocab_size=len(tokens), num_hidden_layers=1, **sizes).save_pretrained(place / "small")
    return place


def test_conll_and_json_lines_are_the_same_sentences(tmp_path, folder):
    found = sentences(40)
    conll(tmp_path / "a.conll", found), conll(tmp_path / "b.txt", found, "\t")
    lines = [json.dumps({"tokens": [w for w, _ in rows], "ner_tags": [t for _, t in rows]}) for rows in found]
    (tmp_path / "c.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    read = [load(str(tmp_path / name), tokenizer=folder / "teacher") for name in ("a.conll", "b.txt", "c.jsonl")]
    assert read[0].task.name == "token_classification" and read[0].classes == ("B-LOC", "B-PER", "I-PER", "O")
    for other in read[1:]:
        assert other.fingerprint == read[0].fingerprint and other.classes == read[0].classes
    known = transformers.AutoTokenizer.from_pretrained(folder / "teacher")
    part, seen = read[0]["train"], 0
    for numbers, labels, number in zip(part.inputs, part.labels, part.index.tolist(), strict=True):
        rows, there = found[number], numbers != 0
        given = known([word for word, _ in rows], is_split_into_words=True)
        assert (numbers[there] - 1).tolist() == given["input_ids"]
        for place, owner in enumerate(given.word_ids()):
            first = owner is not None and given.word_ids().index(owner) == place
            assert int(labels[place]) == (read[0].classes.index(rows[owner][1]) if first else -100)
            seen += owner is not None and not first
        assert bool((labels[~there] == -100).all())
    assert seen > 20, "names are in pieces"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a O\nb\n", "line 2 has 1 columns where 2"),
        ("a O\n\n\nb B-PER x\n", "line 4 has 3 columns"),
        ("\n\n", "has no sentences"),
    ],
)
def test_damaged_columns_are_refused(tmp_path, folder, text, why):
    (tmp_path / "a.conll").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=why):
        load(str(tmp_path / "a.conll"), tokenizer=folder / "teacher")


def test_words_need_a_tokenizer_and_tags(tmp_path, folder):
    conll(tmp_path / "a.conll", sentences(10))
    with pytest.raises(UserError, match="needs a tokenizer"):
        load(str(tmp_path / "a.conll"))
    (tmp_path / "b.jsonl").write_text('{"tokens": ["a", "b"], "tags": ["O"]}\n', encoding="utf-8")
    with pytest.raises(UserError, match="2 words and 1 tags"):
        load(str(tmp_path / "b.jsonl"), tokenizer=folder / "teacher")
    with pytest.raises(UserError, match="one tag each"):
        load(str(tmp_path / "a.conll"), tokenizer=folder / "teacher", task="numbers")


def test_a_run_agrees_with_plain_transformers_to_the_last_word(tmp_path, folder):
    (tmp_path / "data").mkdir()
    conll(tmp_path / "data" / "train.conll", sentences(120)), conll(tmp_path / "data" / "test.conll", sentences(40, seed=9))
    words = ["distill", "--data", tmp_path / "data", "--teacher", folder / "teacher", "--student", folder / "small"]
    words += [
        "--epochs",
        8,
        "--batch",
        8,
        "--lr",
        0.01,
        "--set",
        "train.optimizer=adamw",
        "--no-baseline",
        "--no-onnx",
        "--out",
        tmp_path / "run",
    ]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    test = sentences(40, seed=9)
    for who, place in (("teacher", folder / "teacher"), ("student", tmp_path / "run" / "student")):
        model = transformers.AutoModelForTokenClassification.from_pretrained(place).eval()
        known = transformers.AutoTokenizer.from_pretrained(place)
        right = total = there = 0
        for rows in test:
            given = known([word for word, _ in rows], is_split_into_words=True, return_tensors="pt")
            with torch.no_grad():
                tags = [model.config.id2label[int(k)] for k in model(**given).logits[0].argmax(-1)]
            owners = given.word_ids()
            said = set(metrics.entities([tags[owners.index(k)] for k in range(len(rows))]))
            goal = set(metrics.entities([tag for _, tag in rows]))
            right, total, there = right + len(said & goal), total + len(said), there + len(goal)
        assert card["models"][who]["score"] == pytest.approx(2 * right / (total + there))
    assert card["models"]["teacher"]["score"] > 0.9 and card["models"]["student"]["score"] > 0.5
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "run"), "text:the film of anna in rome", "--json"])
    found = json.loads(done.output)[0]
    assert found["words"] == ["the", "film", "of", "anna", "in", "rome"] and len(found["tags"]) == 6
