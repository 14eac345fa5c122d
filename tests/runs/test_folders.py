"""Folders of transformers as teachers and students: what they answer is what transformers answers, and nothing is guessed."""

import json
import os
import pickle
import shutil
import subprocess
import sys

import folder_of_bert as made
import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

import limbeck
from limbeck.__main__ import run as command
from limbeck.cli.options import recipe_of
from limbeck.data.tokens import TokenInputs, Tokenizer, numbered
from limbeck.deploy.student import Deployed, load_student
from limbeck.deploy.student_folder import save_folder
from limbeck.errors import UserError
from limbeck.face.data import data_of
from limbeck.face.run import run
from limbeck.files import saved
from limbeck.models import pretrained
from limbeck.plan.taps import Tap
from limbeck.runs.recipes import make
from limbeck.runs.sources import Given, open_sources

transformers = made.transformers
pytestmark = pytest.mark.filterwarnings("ignore")
FRESH = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
tokens, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModelForSequenceClassification.from_pretrained(sys.argv[1]).eval()
given = tokens(json.loads(sys.argv[2]), padding="max_length", truncation=True, return_tensors="pt")
with torch.no_grad():
    logits = model(**given).logits
assert not any(name.startswith("limbeck") for name in sys.modules)
print(json.dumps([logits.tolist(), [model.config.id2label[k] for k in range(2)]]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A teacher's folder, a student's configuration, and data with a test part, as CSV and as JSON Lines."""
    place = tmp_path_factory.mktemp("folders")
    train, test = made.rows(120), made.rows(41, seed=1)
    tokens = made.fine_tuned(place / "teacher", train)
    made.config(tokens, 2).save_pretrained(place / "small")
    for kind in ("csv", "jsonl"):
        (place / kind).mkdir()
        for part, every in (("train", train), ("test", test)):
            made.write(place / kind, part, every)
        for other in (place / kind).glob("*.csv" if kind == "jsonl" else "*.jsonl"):
            other.unlink()
    return place


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))


def recipe(place, **more):
    settings = {
        "data": {"name": str(place / "csv")},
        "teacher": {"model": str(place / "teacher")},
        "student": {"model": str(place / "small")},
        "train": {"epochs": 1, "optimizer": "adamw", "lr": 0.003},
        "onnx": False,
        "baseline": False,
    }
    return make(settings | more)


def opened(place, **more):
    return open_sources(recipe(place, **more))


@pytest.fixture(scope="module")
def done(place):
    """A run by a method that reads the inside of both."""
    heard = []
    card = run(recipe(place, method={"name": "tinybert", "arguments": {"heads": 2}}), place / "run", heard.append)
    return card, heard


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_teacher_answers_as_transformers_does_to_the_last_sample(place, tmp_path, kind):
    test = made.rows(41, seed=1)
    logits, said = made.plain(place / "teacher", [text for text, _ in test])
    right = sum(name == label for name, (_, label) in zip(said, test, strict=True))
    assert 25 < right < 41  # neither chance nor perfect: a wrong order of labels or of tokens would show
    card = run(recipe(place, data={"name": str(place / kind)}), tmp_path / "run")
    assert card["models"]["teacher"]["score"] * 41 == pytest.approx(right, abs=1e-9)
    sources = opened(place, data={"name": str(place / kind)})
    inputs, cast = sources.data["test"].inputs, sources.cast.eval()
    with torch.no_grad():
        ours = cast.adapter_of("teacher").find_logits(cast.feed("teacher", inputs.float()), "teacher")
    assert sources.data.classes == ("no", "yes") and sources.untrained() == []
    torch.testing.assert_close(ours, logits[:, [1, 0]], atol=1e-5, rtol=1e-5)


def test_a_folder_is_evaluated_without_a_run(place, capsys):
    words = ["evaluate", "--model", str(place / "teacher"), "--data", str(place / "csv"), "--json"]
    assert command(words) == 0
    found = json.loads(capsys.readouterr().out)
    _, said = made.plain(place / "teacher", [text for text, _ in made.rows(41, seed=1)])
    right = sum(name == label for name, (_, label) in zip(said, made.rows(41, seed=1), strict=True))
    assert found["score"] * 41 == pytest.approx(right, abs=1e-9) and "matched by name" in found["read"][0]
    assert command(["evaluate", "--model", str(place / "small"), "--data", str(place / "csv")]) != 0


def test_what_was_read_is_said_before_training(place, done):
    card, heard = done
    first = heard[0].text
    assert "texts as tokens of" in first and "at most 14 each and 14 here" in first
    cut = sum(len(text.split()) > 12 for text, _ in made.rows(120) + made.rows(41, seed=1))
    assert f"{cut} of 161 rows ({cut / 161:.1%}) were cut off" in first and 10 < cut < 150
    words = [note for note in card["notes"] if "matched by name" in note or "configuration alone" in note]
    assert len(words) == 2 and first in card["notes"]


def test_the_student_is_a_folder_that_transformers_loads_in_a_fresh_process(place, done):
    texts = ["the film is fine", "a dull story of two people is a film of the people and bad"]
    command = [sys.executable, "-c", FRESH, str(place / "run" / "student"), json.dumps(texts)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=place)
    logits, labels = json.loads(found.stdout.splitlines()[-1])
    student = limbeck.load(place / "run")
    with torch.no_grad():
        ours = student(student.encode(texts))
    assert labels == ["no", "yes"] == list(student.classes)
    assert torch.equal(torch.tensor(logits), ours)


def test_the_student_is_made_again_without_the_folders_that_it_came_of(place, done, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    text = (
        (tmp_path / "run" / "recipe.toml")
        .read_text()
        .replace(str(place / "teacher"), "/gone")
        .replace(str(place / "small"), "/gone")
    )
    (tmp_path / "run" / "recipe.toml").write_text(text)
    data = data_of(tmp_path / "run")
    back, info = load_student(tmp_path / "run")
    with torch.no_grad():
        score = (back(data["test"].inputs.float()).argmax(1) == data["test"].labels).double().mean().item()
    assert score == pytest.approx(done[0]["models"]["student"]["score"], abs=1e-12)
    assert info["tokens"]["fingerprint"] == Tokenizer(str(place / "teacher")).facts["fingerprint"]
    info["roles"]["student"]["folder"] = "../student"
    (tmp_path / "run" / "student.json").write_text(json.dumps(info))
    with pytest.raises(UserError, match="must lie beside it"):
        load_student(tmp_path / "run")


def test_the_onnx_file_takes_ids_and_mask_of_any_length(place, done, tmp_path):
    student, data = load_student(place / "run")[0], data_of(place / "run")
    notes = save_folder(tmp_path, student, "student", data, data["test"].inputs[:4].float(), onnx=True)
    assert "takes input_ids and attention_mask of any batch and length" in notes[1]
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "student")
    session = onnxruntime.InferenceSession(str(tmp_path / "student" / "onnx" / "model.onnx"))
    for texts in (["fine"], ["the film is fine", "bad"], ["a film of the people of the story"] * 5):
        given = {k: np.array(v) for k, v in tokens(texts, padding=True).items()}
        with torch.no_grad():
            ours = student(numbered(texts, tmp_path / "student"))
        np.testing.assert_allclose(session.run(None, given)[0], ours.numpy(), atol=1e-5)


def test_an_interrupted_run_is_resumed(place, done, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    for name in ("card.json", "student.json", "student/config.json"):
        (tmp_path / "run" / name).unlink()
    again = run(recipe(place, method={"name": "tinybert", "arguments": {"heads": 2}}), tmp_path / "run")
    assert again["models"]["student"]["score"] == done[0]["models"]["student"]["score"]
    assert (tmp_path / "run" / "student" / "config.json").exists()
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


def test_layers_of_the_teacher_are_where_a_student_starts(place):
    sources = opened(place, method={"name": "distilbert"})  # tinybert has a whole run above
    (start,) = sources.method.stages[0].before
    start(sources.cast, sources.method.stages[0].start())
    mine, theirs = (sources.cast[role].state_dict() for role in ("student", "teacher"))
    name = "bert.encoder.layer.1.output.dense.weight"
    assert torch.equal(mine[name], theirs[name.replace("layer.1.", "layer.2.")])


# ---------------------------------------------------------------- labels


def test_labels_are_matched_by_name_or_by_position_or_refused():
    assert pretrained.matched({0: "NEG", 1: "pos "}, ["neg", "pos"], "it") == pretrained.Matched()
    assert pretrained.matched({"10": "c", "2": "b", "1": "a"}, ["c", "a", "b"], "it").order == (2, 0, 1)
    for own, names in (({0: "LABEL_0", 1: "LABEL_1"}, ["no", "yes"]), ({0: "up", 1: "down"}, ["0", "1"])):
        found = pretrained.matched(own, names, "it")
        assert not found.order and "matched by position" in found.note and f"{own[0]} = {names[0]}" in found.note
    for own, names in (
        ({0: "up", 1: "down"}, ["no", "yes"]),
        ({0: "a", 1: "b", 2: "c"}, ["a", "b"]),
        ({0: "a", 1: "A"}, ["a", "b"]),
    ):
        assert "name the data's classes as" in pretrained.matched(own, names, "it").mismatch
    assert pretrained.labels_to_keep({0: "up", 1: "down"}, ["0", "1"]) == {0: "up", 1: "down"}
    assert pretrained.labels_to_keep({0: "yes", 1: "no"}, ["no", "yes"]) == {0: "yes", 1: "no"}
    assert pretrained.labels_to_keep({0: "up", 1: "down"}, ["no", "yes"]) == {0: "no", 1: "yes"}


def changed(place, target, **settings):
    """A copy of the teacher with another configuration; None removes a key."""
    shutil.copytree(place / "teacher", target)
    facts = json.loads((target / "config.json").read_text()) | settings
    (target / "config.json").write_text(json.dumps({k: v for k, v in facts.items() if v is not None}))
    return {"model": str(target)}


def test_a_teacher_of_other_labels_is_refused_unless_it_is_to_be_trained(place, tmp_path):
    other = changed(place, tmp_path / "other", id2label={"0": "up", "1": "down"}, label2id={"up": 0, "down": 1})
    with pytest.raises(UserError, match="knows the labels up, down, but the data has no, yes"):
        opened(place, teacher=other)
    assert opened(place, teacher=other | {"epochs": 1}).untrained() == ["teacher"]
    assert any("it learns the data's" in note for note in opened(place, student=other).notes)
    nameless = changed(place, tmp_path / "nameless", id2label=None, label2id=None)
    assert any("LABEL_0 = no, LABEL_1 = yes" in note for note in opened(place, teacher=nameless).notes)


def test_a_student_that_starts_from_the_teacher_keeps_its_own_order_of_labels(place, tmp_path):
    sources = opened(place, student={"model": str(place / "teacher")})
    student, inputs = Deployed(sources.cast, Tap("student")).eval(), sources.data["test"].inputs.float()
    save_folder(tmp_path, student, "student", sources.data, inputs[:4], onnx=False)
    logits, _ = made.plain(tmp_path / "student", [text for text, _ in made.rows(41, seed=1)])
    with torch.no_grad():
        torch.testing.assert_close(student(inputs), logits[:, [1, 0]], atol=1e-5, rtol=1e-5)


# ---------------------------------------------------------------- files from elsewhere


class Attack:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_weights_are_safetensors_unless_trusted_and_never_run(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = changed(place, tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    state = transformers.AutoModelForSequenceClassification.from_pretrained(place / "teacher").state_dict()
    torch.save(state, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(UserError, match="weights in a pickle only.*or add --trust"):
        opened(place, teacher=folder)
    chosen = {"data.name": str(place / "csv"), "teacher.model": folder["model"], "student.model": str(place / "small")}
    trusted = recipe_of(chosen, {}, [], "here", trust=True)
    assert trusted.teacher.arguments == {"use_safetensors": False} and trusted.student.arguments == {}
    assert open_sources(trusted).untrained() == []
    with pytest.raises(UserError, match="--trust"):  # what a file says needs trust, whoever wrote it
        recipe_of({}, trusted.model_dump(exclude_none=True), [], "a recipe")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(UserError, match="cannot be loaded"):
        open_sources(trusted)
    assert not (tmp_path / "ran").exists()


def test_code_of_a_folder_runs_only_where_it_is_trusted(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    auto = {"AutoConfig": "mine.Mine", "AutoModelForSequenceClassification": "mine.Net"}
    folder = changed(place, tmp_path / "code", model_type="mine_of_mine", auto_map=auto)
    (tmp_path / "code" / "mine.py").write_text("import os\nos.mkdir('ran')\n")
    with pytest.raises(UserError, match="brings code of its own.*--trust"):
        opened(place, teacher=folder)
    assert not (tmp_path / "ran").exists()
    assert saved.trusted(folder["model"]) == {"trust_remote_code": True} and saved.trusted("cnn") == {}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "cannot be loaded"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "no tokenizer at"),
        (lambda f: (f / "config.json").write_text("{"), "no tokenizer at|cannot be read"),
        (lambda f: (f / "model.safetensors").rename(f / "weights.safetensors"), "no model.safetensors"),
    ],
)
def test_damaged_folders_are_one_sentence(place, tmp_path, spoil, words):
    shutil.copytree(place / "teacher", tmp_path / "bad")
    spoil(tmp_path / "bad")
    with pytest.raises(UserError, match=words) as caught:
        opened(place, teacher={"model": str(tmp_path / "bad")})
    assert len(str(caught.value)) <= 300 and "\n" not in str(caught.value)


def test_models_that_are_not_here_are_refused_at_once(place, monkeypatch):
    monkeypatch.setattr(saved, "_reachable", lambda: False)
    for name in ("transformers:someone/some-model", "transformers:some-model-of-a-hub"):
        with pytest.raises(UserError, match="the hub cannot be reached"):
            opened(place, teacher={"model": name})
    with pytest.raises(UserError, match="no such folder with a config.json"):
        opened(place, teacher={"model": "./nowhere"})


# ---------------------------------------------------------------- what cannot fit


def test_a_model_that_reads_less_is_refused(place, tmp_path):
    facts = json.loads((place / "small" / "config.json").read_text())
    for key, value, words in (("max_position_embeddings", 9, "set data.longest = 9"), ("vocab_size", 20, "knows 20 tokens")):
        (tmp_path / key).mkdir()
        (tmp_path / key / "config.json").write_text(json.dumps(facts | {key: value}))
        with pytest.raises(UserError, match=words):
            opened(place, student={"model": str(tmp_path / key)})
    data = {"name": str(place / "csv"), "longest": 9}
    assert opened(place, student={"model": str(tmp_path / "max_position_embeddings")}, data=data).data.shape == (9,)
    with pytest.raises(UserError, match="reads at most 14 tokens"):
        opened(place, data={"name": str(place / "csv"), "longest": 15})


def test_a_student_by_type_gets_the_tokenizers_sizes(place):
    sizes = {"num_hidden_layers": 1, **made.SIZES}
    sources = opened(place, student={"model": "transformers:bert", "arguments": sizes})
    assert sources.cast["student"].config.vocab_size == len(transformers.AutoTokenizer.from_pretrained(place / "teacher"))


def test_a_role_with_another_tokenizer_is_refused(place, tmp_path):
    shutil.copytree(place / "small", tmp_path / "other")
    made.tokenizer(["quite other words"] * 5).save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match="is another than that of the data"):
        opened(place, student={"model": str(tmp_path / "other")})


# ---------------------------------------------------------------- numbers


def test_numbers_are_taken_apart_again():
    inputs = TokenInputs(10, 7, ("input_ids", "attention_mask", "token_type_ids"))
    found = inputs(torch.tensor([[1.0, 10.0, 11.0, 0.0]]))
    assert found["input_ids"].tolist() == [[0, 9, 0, 7]] and found["token_type_ids"].tolist() == [[0, 0, 1, 0]]
    assert found["attention_mask"].tolist() == [[1, 1, 1, 0]]


def test_pairs_are_read_as_transformers_reads_them(tmp_path):
    tokens = made.tokenizer(["the film is fine", "a dull story"] * 9, types=True)
    tokens.save_pretrained(tmp_path / "teacher")
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(made.config(tokens, 1)).eval()
    model.save_pretrained(tmp_path / "teacher")
    pairs = [(f"the film {k % 3}", f"is a dull story of film {k % 5}", ("no", "yes")[k % 2]) for k in range(40)]
    lines = [json.dumps({"premise": a, "id": k, "hypothesis": b, "label": y}) for k, (a, b, y) in enumerate(pairs)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(lines))
    data = limbeck.data.load(str(tmp_path / "pairs.jsonl"), tokenizer=tmp_path / "teacher")
    assert any("left out: 'id'" in note for note in data.notes) and any("'premise' and 'hypothesis'" in n for n in data.notes)
    small = {"model": "transformers:bert", "arguments": {"num_hidden_layers": 1, **made.SIZES}}
    sources = open_sources(
        make({"data": {"name": str(tmp_path / "pairs.jsonl")}, "teacher": {"model": str(tmp_path / "teacher")}, "student": small})
    )
    part, cast = sources.data["train"], sources.cast.eval()
    rows = part.inputs[:6]
    with torch.no_grad():
        ours = cast.adapter_of("teacher").find_logits(cast.feed("teacher", rows.float()), "teacher")
        every = [model(**tokens(a, b, truncation=True, return_tensors="pt")).logits[0] for a, b, _ in pairs]
    apart = (ours[:, None] - torch.stack(every)[None]).abs().amax(-1)
    assert apart.min(1).values.max() < 1e-5 and rows.max() > len(tokens)
    with pytest.raises(UserError, match="pairs of texts need a tokenizer"):
        limbeck.data.load(str(tmp_path / "pairs.jsonl"), text=["premise", "hypothesis"])


def test_columns_of_texts_are_found_named_or_asked_for(place, tmp_path):
    every = [f"{k},'quoted film {k}', is fine ,{'yes' if k % 2 else 'no'}" for k in range(40)]
    (tmp_path / "some.csv").write_text("\n".join(["id,title,review,label", *every]))
    with pytest.raises(UserError, match="Name it with data.text: 'id', 'title', 'review'"):
        limbeck.data.load(str(tmp_path / "some.csv"), tokenizer=place / "teacher")
    data = limbeck.data.load(str(tmp_path / "some.csv"), tokenizer=place / "teacher", text="title")
    tokens = transformers.AutoTokenizer.from_pretrained(place / "teacher")
    first = data["train"].inputs[0]
    text = tokens.decode(first[first > 0] - 1)
    assert len(first[first > 0]) == 7 and text.startswith("[CLS]")  # quotes are part of a text
    with pytest.raises(UserError, match="did you mean 'title'"):
        limbeck.data.load(str(tmp_path / "some.csv"), tokenizer=place / "teacher", text="titel")


# ---------------------------------------------------------------- images


def test_pictures_go_through_the_folders_image_processor(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("blue", "red"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(12):
            image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            image.save(tmp_path / "photos" / name / f"{k}.png")
    torch.manual_seed(0)
    sizes = {"image_size": 8, "patch_size": 4, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    labels = {"id2label": {0: "red", 1: "blue"}, "label2id": {"red": 0, "blue": 1}}
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(num_hidden_layers=1, **sizes, **labels)).eval()
    vit.save_pretrained(tmp_path / "vit")
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
    facts = {"image_mean": mean, "image_std": std, "size": {"height": 8, "width": 8}, "rescale_factor": 1 / 255}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(facts))
    transformers.ViTConfig(num_hidden_layers=1, **sizes).save_pretrained(tmp_path / "small")
    both = {"teacher": {"model": str(tmp_path / "vit")}, "student": {"model": str(tmp_path / "small")}}
    settings = make({"data": {"name": str(tmp_path / "photos")}, **both})
    assert settings.data.size == (8, 8) and settings.student.mean == (0.5, 0.4, 0.3) == settings.teacher.mean
    sources = open_sources(settings)
    part, cast = sources.data["test"], sources.cast.eval()
    x = part.inputs.float() / 255
    with torch.no_grad():
        ours = cast.adapter_of("teacher").find_logits(cast.feed("teacher", x), "teacher")
        plain = vit((x - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)).logits
    torch.testing.assert_close(ours, plain[:, [1, 0]], atol=1e-6, rtol=1e-5)
    save_folder(tmp_path, Deployed(cast, Tap("student")).eval(), "student", sources.data, x, onnx=False)
    kept = json.loads((tmp_path / "student" / "preprocessor_config.json").read_text())
    assert kept["image_mean"] == mean and kept["size"] == {"height": 8, "width": 8}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(facts | {"rescale_factor": 1.0}))
    with pytest.raises(UserError, match="does not divide pixels by 255"):
        make({"data": {"name": str(tmp_path / "photos")}, **both})


# ---------------------------------------------------------------- from Python


class Bag(nn.Module):
    """Takes the tokens of the tokenizer as they are."""

    def __init__(self, many):
        super().__init__()
        self.table, self.last = nn.EmbeddingBag(many, 4), nn.Linear(4, 2)

    def forward(self, ids):
        return self.last(self.table(ids))


def test_modules_from_python_read_the_teachers_tokens(place, tmp_path):
    teacher = transformers.AutoModelForSequenceClassification.from_pretrained(place / "teacher")
    data = limbeck.data.load(str(place / "csv"), tokenizer=place / "teacher")
    bag, inputs = Bag(data.tokens.facts["vocabulary"]), data["test"].inputs
    given = TokenInputs(data.tokens.facts["vocabulary"], 0, ("input_ids", "attention_mask"))(inputs)
    cast = open_sources(recipe(place), data=data, given=Given({"teacher": teacher, "student": bag})).cast
    with torch.no_grad():
        assert torch.equal(cast.feed("student", inputs.float()), bag(given["input_ids"]))
    sizes = transformers.BertConfig(vocab_size=data.tokens.facts["vocabulary"], num_hidden_layers=1, **made.SIZES)
    student = transformers.BertForSequenceClassification(sizes)
    card = limbeck.distill(teacher, student, data, epochs=1, baseline=False, onnx=False, out=tmp_path / "run").card
    _, said = made.plain(place / "teacher", [text for text, _ in made.rows(41, seed=1)])
    right = sum(name == label for name, (_, label) in zip(said, made.rows(41, seed=1), strict=True))
    assert card["models"]["teacher"]["score"] * 41 == pytest.approx(right, abs=1e-9)
    with torch.no_grad():
        assert torch.equal(limbeck.load(tmp_path / "run")(inputs), student.eval()(**given).logits)
    assert json.loads((tmp_path / "run" / "student" / "config.json").read_text())["id2label"] == {"0": "no", "1": "yes"}


def test_texts_are_predicted_as_by_the_folder_that_is_handed_out(place, done, tmp_path):
    texts = [text for text, _ in made.rows(7, seed=5)]
    (tmp_path / "new.txt").write_text("\n".join(texts))
    logits, names = made.plain(place / "run" / "student", texts)
    found = limbeck.predict(place / "run", tmp_path / "new.txt")
    assert [one["class"] for one in found] == names
    shares = torch.softmax(logits, 1).max(1).values
    assert [one["probability"] for one in found] == pytest.approx(shares.tolist(), abs=1e-5)
    (alone,) = limbeck.predict(place / "run", f"text:{texts[2]}")
    assert alone["probability"] == pytest.approx(found[2]["probability"], abs=1e-6)
