"""Sentences: numbers by hand, parts by file, and every way the files can be wrong."""

from pathlib import Path

import pytest
import torch

from limbeck import data as D
from limbeck.data.text import LONGEST, SPECIAL, Words, numbered
from limbeck.deploy.student import load_student
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.face.run import conclude
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sst2"
TRAIN = "sentence\tlabel\nA fine film.\t1\nA film\t0\n" + "good good\t1\nbad\t0\n" * 6


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.tsv").write_text(text, encoding="utf-8")
    return folder


def test_sentences_become_numbers_by_hand(tmp_path):
    data = D.load("sst2", path=write(tmp_path, glue_train=TRAIN, glue_dev='sentence\tlabel\nA "new" film\t1\n'), validation=0)
    assert data.classes == ("negative", "positive") and data.kind == "text" and data.shape == (LONGEST,) and data.mean == ()
    first = data["train"].inputs[0].tolist()  # good 4, bad 5, a 6, film 7, then . and fine in their order
    assert first[:7] == [2, 6, 9, 7, 8, 3, 0] and not any(first[6:])
    assert data["train"].labels[:2].tolist() == [1, 0]
    assert data["test"].inputs[0, :7].tolist() == [2, 6, 1, 1, 1, 7, 3] and SPECIAL[1] == "<unk>"


def test_a_single_file_is_split_and_long_sentences_are_cut(tmp_path):
    write(tmp_path, some="sentence\tlabel\n" + ("word " * 40 + "\tx\nshort\ty\n") * 10)
    data = D.load("sentences", path=tmp_path / "some.tsv", validation=0)
    assert data.classes == ("x", "y") and len(data["test"]) == 4 and any("10 were cut" in note for note in data.notes)
    longest = data["train"].inputs[data["train"].labels == 0][0]
    assert longest[-1] == 3 and (longest != 0).all()


def test_a_student_comes_back_with_its_words_and_reads_new_sentences(tmp_path):
    pytest.importorskip("transformers", reason="the text models are those of transformers")
    data = D.load("sentences", path=write(tmp_path, train=TRAIN, dev=TRAIN), validation=2)
    sizes = {"vocab_size": len(data.words), "num_attention_heads": 2, "intermediate_size": 8, "hidden_size": 8}
    bert = {"model": "transformers:bert", "arguments": sizes | {"max_position_embeddings": LONGEST, "num_hidden_layers": 2}}
    settings = {"teacher": bert, "student": bert, "train": {"epochs": 1, "batch": 4}, "store": {"use": False}, "onnx": False}
    arguments = {"layers": ((0, 0), (1, 1)), "last": 1}
    recipe = make(settings | {"method": {"name": "distilbert", "arguments": arguments}})
    left = last(Session(open_sources(recipe, data=data), tmp_path / "run").steps())
    conclude(left)
    back, info = load_student(tmp_path / "run")
    again = numbered(["A fine film.", "A film", "good good"], info["words"])
    assert torch.equal(again, data["test"].inputs[:3])
    torch.testing.assert_close(back(again.float()), left.entries["student"](data["test"].inputs[:3].float()))


def test_words_are_what_text_models_take():
    found = Words()(torch.tensor([[2.0, 7.0, 0.0]]))
    assert found["input_ids"].tolist() == [[2, 7, 0]] and found["attention_mask"].tolist() == [[1, 1, 0]]
    assert found["input_ids"].dtype == torch.int64


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"dev": TRAIN}, "has no train.tsv"),
        ({"train": "text\tlabel\na\t1\n"}, "columns sentence and label"),
        ({"train": "sentence\tlabel\na\t1\nb\t\n"}, "line 3 lacks"),
        ({"train": "sentence\tlabel\na\t1\nb\t1\n"}, "1 class"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, files, words):
    with pytest.raises(UserError, match=words) as caught:
        D.load("sentences", path=write(tmp_path, **files))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="sst2 is not in"):
        D.load("sst2", path=tmp_path / "nowhere")


@pytest.mark.skipif(not SHARED.exists(), reason="needs the sentences in ../shared/data/sst2")
def test_the_real_sentences():
    data = D.load("sst2", path=SHARED, limit=500)
    assert len(data["test"]) == 872 and data["test"].labels.bincount().tolist() == [428, 444]
