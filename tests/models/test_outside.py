"""Networks by import path and from the extras."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from limbeck import models
from limbeck.errors import UserError

SOURCE = """
from torch import nn
def plain(hidden=3): return nn.Linear(4, hidden)
def sized(num_classes, hidden=3): return nn.Linear(hidden, num_classes)
class Net(nn.Linear):
    def __init__(self, n_classes): super().__init__(2, n_classes)
ready = nn.Linear(2, 2)
number = 3
def breaks(): raise RuntimeError("no luck")
def wrong(): return "a string"
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "my_nets_for_test.py").write_text(SOURCE)
    (tmp_path / "my_broken_for_test.py").write_text("import not_there_at_all")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_nets_for_test", None)


def build(name, **arguments):
    return models.build(name, classes=5, shape=(2,), arguments=arguments)


def test_factories_classes_and_modules(package):
    assert build("my_nets_for_test:plain", hidden=7).out_features == 7
    assert build("my_nets_for_test:sized").out_features == 5
    assert build("my_nets_for_test:sized", num_classes=9).out_features == 9
    assert build("my_nets_for_test:Net").out_features == 5
    ready = build("my_nets_for_test:ready")
    assert isinstance(ready, nn.Linear) and ready is not sys.modules["my_nets_for_test"].ready


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("no_such_package_x:f", {}, "no Python module 'no_such_package_x'"),
        ("my_broken_for_test:f", {}, "needs the Python module 'not_there_at_all'"),
        ("my_nets_for_test:plian", {}, "did you mean 'plain'"),
        ("my_nets_for_test:number", {}, "is a int"),
        ("my_nets_for_test:breaks", {}, "RuntimeError: no luck"),
        ("my_nets_for_test:plain", {"x": 1}, "unexpected keyword"),
        ("my_nets_for_test:wrong", {}, "returned a str"),
        ("my_nets_for_test:ready", {"x": 1}, "takes no arguments"),
        (":f", {}, "both sides"),
    ],
)
def test_bad_paths_are_one_sentence(package, name, arguments, words):
    with pytest.raises(UserError, match=words) as caught:
        build(name, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("extra", ["transformers", "timm"])
def test_a_missing_extra_gives_the_install_line(extra, monkeypatch):
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(UserError) as caught:
        build(f"{extra}:anything")
    assert f'pip install "limbeck[{extra}]"' in str(caught.value)


def test_nothing_heavy_is_imported():
    code = "import sys, limbeck.models, limbeck.data\nprint(sorted({'transformers', 'sklearn', 'PIL'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore")
def test_transformers_by_type():
    pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    vit = models.build("transformers:vit", classes=5, shape=(1, 8, 8), arguments={**small, "patch_size": 4})
    assert vit(torch.rand(2, 1, 8, 8)).logits.shape == (2, 5)
    bert = models.build("transformers:BertConfig", classes=3, shape=(7,), arguments={**small, "vocab_size": 11})
    assert bert(torch.zeros(2, 7, dtype=torch.long)).logits.shape == (2, 3)
    with pytest.raises(UserError, match="transformers task"):
        models.build("transformers:vit", classes=5, shape=(1, 8, 8), arguments={**small, "task": "cooking"})
