"""Roles that are built by name: frozen and lazy layers, folders that come with weights, what was saved loaded again."""

import sys
import types

import pytest
import torch
from torch import nn

import limbeck
from limbeck import models
from limbeck.deploy.formats.torch import check_pt2, write_pt2
from limbeck.deploy.student import load_student
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.models import load_weights, outside
from limbeck.runs.recipes import make
from limbeck.runs.settings import ModelSettings
from limbeck.runs.sources import open_sources

NETS = """
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

def plain(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 10))

def frozen():
    net = plain()
    net[1].requires_grad_(False)
    net[2].eval()
    return net

def normed():
    net = plain()
    parametrizations.weight_norm(net[1])
    parametrizations.spectral_norm(net[4])
    return net

def pruned():
    net = plain()
    prune.l1_unstructured(net[1], "weight", 0.5)
    return net

def lazy(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(6), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(10))

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.third.weight = self.second.weight
        self.last = nn.Linear(8, 10)
    def forward(self, x): return self.last(self.third(torch.relu(self.second(self.first(x.flatten(1))))))

class Counted(nn.Module):
    made = 0
    def __init__(self):
        super().__init__()
        Counted.made += 1
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        if Counted.made > 1: self.more = nn.Linear(2, 2)
    def forward(self, x): return self.net(x)
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    (tmp_path / "nets_of_mine.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))

    def made(student="plain", **more):
        settings = {
            "data": {"limit": 100},
            "student": {"model": f"nets_of_mine:{student}"} if isinstance(student, str) else student,
            "teacher": {"model": "mlp", "arguments": {"width": 8}},
            "train": {"epochs": 1},
            "onnx": False,
            "baseline": False,
        }
        return make(settings | more)

    yield made
    sys.modules.pop("nets_of_mine", None)


@pytest.mark.parametrize("name", ["frozen", "normed", "pruned", "lazy", "Tied"])
def test_what_was_saved_is_loaded_again_and_answers_the_same(recipe, tmp_path, name):
    card = run(recipe(name), tmp_path / "run")
    assert not [note for note in card["notes"] if "loaded again" in note]
    loaded, _ = load_student(tmp_path / "run", trust=True)
    sources = open_sources(recipe(name))
    module, adapter = sources.role("student")
    load_weights(module, tmp_path / "run" / "student.safetensors", who="student")
    x = torch.rand(5, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(loaded(x), adapter.feed(module.eval(), x))


def test_a_student_as_torch_program_is_opened_again(recipe, tmp_path):
    run(recipe("plain"), tmp_path / "run")
    student, _ = load_student(tmp_path / "run", trust=True)
    write_pt2(student, torch.rand(2, 1, 8, 8), tmp_path / "student.pt2", metadata={})
    check_pt2(tmp_path / "student.pt2")


def test_frozen_layers_of_a_role_built_by_name_stay(recipe, tmp_path):
    torch.manual_seed(0)
    sources = open_sources(recipe("frozen", teacher={"model": "nets_of_mine:frozen"}))
    before = {role: sources.cast[role][1].weight.clone() for role in ("teacher", "student")}
    run(recipe("frozen", teacher={"model": "nets_of_mine:frozen"}, baseline=True), tmp_path / "run")
    for who, role in (("teacher", "teacher"), ("baseline", "student"), ("student", "student")):
        module, _ = sources.role(role)
        untouched = module[4].weight.clone()
        load_weights(module, tmp_path / "run" / "weights" / f"{who}.safetensors", who=role)
        assert torch.equal(module[1].weight, before[role]) and (module[2].running_mean == 0).all()
        assert not torch.equal(module[4].weight, untouched)


def test_lazy_layers_are_drawn_from_the_seed(recipe):
    first, second = (open_sources(recipe("lazy")).cast["student"].state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_network_that_is_another_when_made_again_is_noted_before_training(recipe, tmp_path):
    heard = []
    card = run(recipe("Counted"), tmp_path / "run", heard.append)
    assert [note for note in card["notes"] if "cannot be loaded again by its name" in note]
    kinds = [type(event).__name__ for event in heard]
    assert next(k for k, e in enumerate(heard) if "loaded again" in str(e)) < kinds.index("Phase")


# ---------------------------------------------------------------- folders with weights

BERT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 32}


@pytest.fixture
def texts(tmp_path):
    rows = [f"{'fine good nice' if k % 2 else 'bad poor ugly'} word{k % 5},{'yes' if k % 2 else 'no'}" for k in range(60)]
    (tmp_path / "text.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return {"data": {"name": str(tmp_path / "text.csv"), "test": 0.2}}


def saved_bert(folder, classes, vocab):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(**BERT, vocab_size=vocab, num_labels=classes)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return f"transformers:{folder}"


def text_recipe(recipe, texts, folder, **teacher):
    student = {"model": "transformers:bert", "arguments": BERT | {"vocab_size": 40}}
    return recipe(**texts, student=student, teacher={"model": folder, **teacher})


def test_a_fine_tuned_folder_is_not_trained_again_unless_asked(recipe, texts, tmp_path):
    folder = saved_bert(tmp_path / "bert", 2, 40)
    assert open_sources(text_recipe(recipe, texts, folder)).untrained() == []
    assert open_sources(text_recipe(recipe, texts, folder, epochs=1)).untrained() == ["teacher"]
    other = saved_bert(tmp_path / "three", 3, 40)  # its head is for other classes, and drawn anew
    assert open_sources(text_recipe(recipe, texts, other)).untrained() == ["teacher"]


GPT = {"n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 40}


@pytest.mark.parametrize(
    ("model", "arguments", "why"),
    [
        ("transformers:bert", BERT | {"vocab_size": 5}, "index out of range"),
        ("transformers:gpt2", GPT, "no padding token is defined"),
    ],
)
def test_a_text_model_that_cannot_be_fed_is_refused_before_training(recipe, texts, tmp_path, model, arguments, why):
    pytest.importorskip("transformers")
    with pytest.raises(UserError, match=f"role 'student' cannot take inputs of shape .32,. from text: .*{why}"):
        run(recipe(**texts, student={"model": model, "arguments": arguments}), tmp_path / "run", lambda event: None)
    assert not (tmp_path / "run").exists()


def test_a_folder_for_tokens_is_refused_where_texts_are_numbered_by_words(texts, tmp_path):
    folder = saved_bert(tmp_path / "bert", 2, 40)
    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.models.WordLevel({"<unk>": 0, "fine": 1}, unk_token="<unk>")
    tokenizers.Tokenizer(model).save(str(tmp_path / "bert" / "tokenizer.json"))
    data = limbeck.data.load(texts["data"]["name"])
    with pytest.raises(UserError, match="has its own tokenizer, but the data's texts are numbered by words") as caught:
        ModelSettings(model=folder).build("teacher", data, 0)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        ({}, False),
        ({"pretrained": True}, True),
        ({"pretrained": True, "num_classes": 7}, False),
        ({"checkpoint_path": "x"}, True),
    ],
)
def test_weights_of_timm(monkeypatch, arguments, whole):
    def create_model(model_name, num_classes, pretrained=False, checkpoint_path=""):
        net = nn.Linear(4, num_classes)
        net.pretrained_cfg = {"num_classes": 3}
        return net

    fake = types.ModuleType("timm")
    fake.is_model, fake.create_model = lambda name: True, create_model
    monkeypatch.setitem(sys.modules, "timm", fake)
    classes = arguments.pop("num_classes", 3)
    module = models.build("timm:net", classes=classes, shape=(4,), arguments=arguments)
    assert outside.came_trained(module) is whole
    assert not outside.came_trained(limbeck.models.build("mlp", classes=2, shape=(4,)))
