"""What files name runs only where the user trusts them; what they say is shown as text."""

import json
import sys

import pytest
from nets import TINY

from bench import attacks
from limbeck import load, models
from limbeck.errors import UserError
from limbeck.models.trust import Named, need_trust

OWN = ["--student", "nets:ten"]


@pytest.fixture
def own_run(limbeck, tmp_path):
    """A run whose student is somebody's own factory."""
    words = [*TINY[:4], "--teacher", "mlp", *OWN, "--no-baseline", "--quiet", "--out", tmp_path / "run"]
    assert limbeck("distill", *words, "--set", "data.limit=200")[0] == 0
    return tmp_path / "run"


def test_no_attack_of_the_slice_succeeds():
    count, reached = attacks.tried(every=9, start=2)
    assert count >= 12 and reached == []


def test_an_own_factory_is_typed_freely_and_trusted_from_the_folder(limbeck, refuse, own_run, monkeypatch):
    for command in (["evaluate", own_run], ["export", own_run], ["plan", "--recipe", own_run / "recipe.toml"]):
        said = refuse(*command)
        assert "nets:ten" in said and "--trust" in said and "a run of your own" in said and len(said) < 310, said
        assert limbeck(*command, "--trust")[0] == 0
    assert limbeck("plan", "--recipe", own_run / "recipe.toml", *OWN)[0] == 0, "what is typed is the user's own"
    assert limbeck("plan", "--recipe", own_run / "recipe.toml", "--set", "student.model=nets:ten")[0] == 0
    with pytest.raises(UserError, match="trust=True"):
        load(own_run)
    assert load(own_run, trust=True).classes[0] == "0"
    assert json.loads((own_run / "card.json").read_text())["command"].endswith("recipe.toml --trust")
    assert f"evaluate {own_run} --trust" in (own_run / "report.html").read_text()


def test_an_unfinished_run_of_ones_own_goes_on_without_trust(limbeck, own_run):
    (own_run / "card.json").unlink()
    words = [*TINY[:4], "--teacher", "mlp", *OWN, "--no-baseline", "--quiet", "--out", own_run, "--resume"]
    assert limbeck("distill", *words, "--set", "data.limit=200")[0] == 0, "the same words were typed again"


@pytest.mark.parametrize(
    "model", ["subprocess:check_output", "os:system", "builtins:exec", "torch:load", "torch.hub:load", "limbeck.models:build",
              "numpy:load", "json:JSONDecoder", "nets:nn.functional.relu", "nets:TINY", "nets:nn.init.os.system"],
)  # fmt: skip
def test_even_a_trusted_file_names_networks_only(model):
    with pytest.raises(UserError, match="refused even with --trust|unknown attribute"):
        need_trust([Named("student", model, {})], "student.json", trust=True)


def test_a_class_of_networks_may_be_anybodys():
    for model in ("torch.nn:Identity", "nets:ten"):
        need_trust([Named("student", model, {})], "student.json", trust=True)


def test_nothing_is_imported_before_it_is_trusted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange_module.py").write_text("1 / 0")
    with pytest.raises(UserError, match="strange_module:net.*--trust"):
        need_trust([Named("student", "strange_module:net", {})], "student.json", trust=False)
    assert "strange_module" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "fine"),
    [
        ({"hidden_size": 8, "hidden_act": "gelu", "layer_sizes": [2, 3], "trust_remote_code": False}, True),
        ({"trust_remote_code": True}, False),
        ({"text_config": {"trust_remote_code": True}}, False),
        ({"weights_only": False}, False),
        ({"attn_implementation": "stranger/kernel"}, False),
        ({"checkpoint_path": "a.pth"}, False),
        ({"name": "../folder"}, False),
    ],
)
def test_arguments_of_libraries_are_plain(arguments, fine):
    for model in ("transformers:bert", "timm:resnet18"):
        if fine:
            need_trust([Named("student", model, arguments)], "recipe.toml", trust=False)
        else:
            with pytest.raises(UserError, match="would run code of others"):
                need_trust([Named("student", model, arguments)], "recipe.toml", trust=False)


def test_a_configuration_that_names_a_kernel_is_refused(tmp_path):
    pytest.importorskip("transformers")
    small = {"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
             "intermediate_size": 8, "attn_implementation": "stranger/kernel"}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(small))
    with pytest.raises(UserError, match="names a kernel"):
        models.build(f"transformers:{tmp_path}", classes=2, shape=(4,))
