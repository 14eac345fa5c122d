"""Students whose adapters alone are trained: what moves, what is saved, what is refused."""

import json

import pytest
import torch

from limbeck.cards.build import build
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.models import lora
from limbeck.runs import recipes
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources, reopened
from tests.folder_of_lm import sentences, student, trained, transformers

peft = pytest.importorskip("peft", reason="adapters are those of peft")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    tokens, _ = trained(folder / "big", sentences(60), steps=30)
    trained(folder / "own", sentences(60), steps=5)
    student(folder / "bare", tokens)
    (folder / "talk.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in sentences(60)))
    return folder


def recipe(folder, model="own", **more):
    return recipes.make(
        {
            "data": {"name": str(folder / "talk.jsonl"), "longest": 32},
            "teacher": {"model": str(folder / "big")},
            "student": {"model": model if ":" in model else str(folder / model), "lora": 4, **more},
            "method": {"name": "lm_kd"},
            "train": {"epochs": 2, "batch": 8, "optimizer": "adamw", "lr": 1e-2},
            "store": {"use": False},
            "onnx": False,
            "device": "cpu",
        }
    )


@pytest.fixture(scope="module")
def run(place):
    folder = place / "run"
    return build(last(Session(open_sources(recipe(place)), folder).steps())), folder


def load(path):
    return transformers.AutoModelForCausalLM.from_pretrained(path).eval()


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")  # of peft about transformers
def test_the_folder_is_merged_and_the_adapters_alone_make_the_same_of_the_model_it_began_with(run, place):
    card, folder = run
    x = torch.arange(12)[None]
    whole, before = load(folder / "student"), load(place / "own")
    beside = peft.PeftModel.from_pretrained(load(place / "own"), folder / "adapter").eval()
    with torch.no_grad():
        assert torch.allclose(whole(input_ids=x).logits, beside(input_ids=x).logits, atol=1e-4)
        assert not torch.allclose(whole(input_ids=x).logits, before(input_ids=x).logits, atol=1e-2)
    assert not any("lora" in key for key in whole.state_dict())
    (note,) = [note for note in card["notes"] if "LoRA" in note]
    assert card["models"]["student"]["parameters"] == sum(p.numel() for p in whole.parameters())


def test_nothing_but_the_adapters_moves(run, place):
    _, folder = run
    whole, before = load(folder / "student").state_dict(), load(place / "own").state_dict()
    for key, value in before.items():
        assert torch.equal(value, whole[key]) == ("proj" not in key), key


def test_the_baseline_has_adapters_too_and_a_run_is_opened_again(run):
    card, folder = run
    assert card["models"]["baseline"]["parameters"] == card["models"]["student"]["parameters"]
    again = reopened(folder)
    x = again.data["test"].inputs[:2]
    with torch.no_grad():
        logits = again.cast.adapter_of("student").find_logits(again.cast.feed("student", x), "student")
    own = load(folder / "student")
    ids = (x - 1)[:, :8] % again.data.outputs
    with torch.no_grad():
        first = own(input_ids=ids).logits
    assert torch.allclose(logits[:, :1], first[:, :1, : logits.shape[-1]], atol=1e-4)


def test_what_is_trained_is_said(run, place):
    made = lora.adapted(load(place / "own"), 4, "the student")
    some, every = lora.counted(made)
    assert some == sum(4 * (part.in_features + part.out_features) for _, part in lora.adapters_of(made))
    assert any(f"{some:,} of {every:,} parameters" in note for note in run[0]["notes"])


@pytest.mark.parametrize(
    "model, what", [("bare", "drawn at random"), ("pieces:layers=1", "comes with weights of its own")], ids=["bare", "pieces"]
)
def test_students_without_weights_of_their_own_are_refused(place, model, what):
    with pytest.raises(UserError, match=what):
        open_sources(recipe(place, model))
