"""Language models as GGUF: read by another program, they number texts alike and give the same answers."""

import json

import numpy as np
import pytest
import torch

from limbeck.cards.build import build
from limbeck.deploy.formats.gguf import _in_pairs, cut_by
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.face.export import export
from limbeck.runs import recipes
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources
from tests.folder_of_lm import config, sentences, trained, transformers

gguf = pytest.importorskip("gguf", reason="the format is that of the package gguf")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gguf")
    trained(folder / "big", sentences(60), steps=20, padded=7)
    (folder / "talk.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in sentences(60)))
    made = recipes.make(
        {
            "data": {"name": str(folder / "talk.jsonl"), "longest": 32},
            "teacher": {"model": str(folder / "big")},
            "student": {"model": "pieces:layers=1"},
            "method": {"name": "lm_kd"},
            "train": {"epochs": 0.5, "batch": 8},
            "store": {"use": False},
            "baseline": False,
            "onnx": False,
            "device": "cpu",
        }
    )
    build(last(Session(open_sources(made), folder / "run").steps()))
    return folder / "run", export(folder / "run", "gguf", int8=True).rows


def test_both_files_answer_as_the_student_does(run):
    _, (whole, int8) = run
    assert whole["largest_difference"] < 1e-4 and whole["same_predictions"] == 1.0
    assert 1e-4 < int8["largest_difference"] < 1.0 and int8["same_predictions"] > 0.9
    assert int8["bytes"] < 0.5 * whole["bytes"]
    assert int8["test"]["score"] == pytest.approx(whole["test"]["student"], rel=0.05)


def test_the_tokenizer_inside_numbers_texts_alike(run):
    folder, _ = run
    inside = transformers.AutoTokenizer.from_pretrained(str(folder), gguf_file="student.gguf")
    own = transformers.AutoTokenizer.from_pretrained(str(folder / "student"))
    for text in ("the cat sees a naïve dog — again", "Größe 12  x"):
        assert inside(text)["input_ids"] == own(text)["input_ids"]
    assert inside.eos_token_id == own.eos_token_id == 0
    fields = gguf.GGUFReader(folder / "student.gguf").fields
    assert fields["tokenizer.ggml.pre"].contents() == "gpt-2" and "tokenizer.chat_template" in fields
    facts = json.loads(fields["limbeck.facts"].contents())
    assert facts["kind"] == "text"


def test_a_model_that_transformers_reads_alone_writes_the_same_text(run):
    folder, _ = run
    theirs = transformers.AutoModelForCausalLM.from_pretrained(str(folder), gguf_file="student.gguf", dtype=torch.float32).eval()
    ours = transformers.AutoModelForCausalLM.from_pretrained(str(folder / "student")).eval()
    ids = torch.tensor([[5, 70, 80, 90]])
    how = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(theirs.generate(ids, **how), ours.generate(ids, **how))


def test_rows_of_heads_are_put_in_pairs_by_a_loop():
    rows = np.arange(2 * 6 * 3.0).reshape(12, 3)
    found = _in_pairs(rows, 2)
    for head in range(2):
        for k in range(3):
            for half in range(2):
                assert (found[head * 6 + 2 * k + half] == rows[head * 6 + half * 3 + k]).all()


def test_other_kinds_and_tokenizers_are_refused(run, tmp_path):
    odd = {"model": {"type": "BPE"}, "pre_tokenizer": {"type": "Whitespace"}}
    for written in (odd, {**odd, "model": {"type": "Unigram"}}):
        with pytest.raises(UserError, match="cuts texts by rules"):
            cut_by(written)
    from limbeck.deploy.formats.gguf import write_gguf
    from limbeck.deploy.student import load_student

    student, _ = load_student(run[0])
    tokens = transformers.AutoTokenizer.from_pretrained(run[0] / "student")
    student.cast["student"].config = config(tokens)
    student.cast["student"].config.model_type = "gpt_neox"
    with pytest.raises(UserError, match="gpt_neox"):
        write_gguf(student, tmp_path / "x.gguf", metadata={}, int8=False)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="only language models"):
        write_gguf(torch.nn.Linear(2, 2), tmp_path / "x.gguf", metadata={}, int8=False)


def test_measure_says_how_many_tokens_are_read_per_second(run, capsys):
    from limbeck.cli.tables import show_measured
    from limbeck.face.measure import measure

    (row,) = measure(run[0] / "student.gguf", batches=(2,), repeats=3, seconds=0.1)
    assert row["tokens"] == 32
    show_measured([row], as_json=False)
    rate = 2 * 32 / row["latency_ms"]["2"]["median"] * 1000
    assert f"{rate:,.0f}" in capsys.readouterr().out
