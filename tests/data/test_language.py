"""Texts as rows of next tokens: what is a label, where documents end, what is held out, what is refused."""

import json

import pytest
import torch

from limbeck.data import load, understood
from limbeck.data.tokens import TokenInputs
from limbeck.errors import UserError
from tests.folder_of_lm import sentences, tokenizer


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    tokenizer(sentences(40)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def starting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starting")
    tokenizer(sentences(40), start=True).save_pretrained(folder)
    return folder


def lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def ids_of(data, part="train"):
    """(documents' sides, ids, labels), flat, of what stands in the rows."""
    inputs, labels = data[part].inputs, data[part].labels
    many, there = data.tokens.facts["vocabulary"], inputs != 0
    return ((inputs - 1) // many)[there], ((inputs - 1) % many)[there], labels[there]


def test_a_text_is_one_document_in_blocks_whose_labels_are_the_tokens_that_follow(tmp_path, plain):
    text = "\n".join(sentences(60))
    (tmp_path / "talk.txt").write_text(text, encoding="utf-8")
    data = load(str(tmp_path / "talk.txt"), tokenizer=plain, longest=16, test=0.25, validation=0.1)
    whole = tokenizer(sentences(40))(text)["input_ids"] + [0]
    count = round(0.25 * len(whole))
    held = [torch.cat([p.inputs for p in (data["train"], data["validation"])]).ne(0).sum(), data["test"].inputs.ne(0).sum()]
    assert [int(k) for k in held] == [len(whole) - count, count]
    _, ids, labels = ids_of(data, "test")
    assert ids.tolist() == whole[-count:]
    assert labels.tolist() == [*whole[-count + 1 :], -100]
    assert data.task.vocabulary == len(tokenizer(sentences(40))) and data.classes == ()
    said = understood(data)
    assert "the last" in said and "were held out" in said and "in blocks of 16" in said and "bytes" in said


def test_documents_share_blocks_and_no_label_crosses_a_border(tmp_path, plain, starting):
    found = sentences(30)
    for folder, begins in ((plain, False), (starting, True)):
        path = lines(tmp_path / f"docs{begins}.jsonl", [{"text": text} for text in found])
        data = load(str(path), tokenizer=folder, longest=16, test=5)
        tokens = tokenizer(sentences(40), start=begins)
        side, ids, labels = ids_of(data, "test")
        ends = ids == 0
        assert int(ends.sum()) == 5 and bool((labels[ends] == -100).all()), "nothing is learned behind an end"
        assert bool((labels[~ends] != -100).all())
        assert int((side[1:] != side[:-1]).sum()) == 4
        texts = tokens.decode(ids, skip_special_tokens=False).replace("<|begin|>", "").split("<|end|>")[:-1]
        assert len(texts) == 5 and all(text in found for text in texts)
        if begins:
            assert not bool((labels == 1).any()), "a token that begins every text is not learned"


def test_positions_begin_anew_with_every_document(tmp_path, plain):
    path = lines(tmp_path / "docs.jsonl", [{"text": text} for text in sentences(30)])
    data = load(str(path), tokenizer=plain, longest=32, test=5)
    given = TokenInputs(data.task.vocabulary, 0, ("input_ids", "position_ids"))(data["test"].inputs)
    first = given["position_ids"][0]
    border = int((given["input_ids"][0] == 0).nonzero()[0])
    assert first[: border + 1].tolist() == list(range(border + 1)) and first[border + 1] == 0


def test_of_prompts_only_the_completion_is_learned(tmp_path, plain):
    rows = [{"prompt": "the cat sees", "completion": f" {word}."} for word in ("a dog", "the fox", "one old fox", "the Größe")]
    data = load(str(lines(tmp_path / "pairs.jsonl", rows)), tokenizer=plain, test=1, validation=0.25)
    tokens = tokenizer(sentences(40))
    for part in data.partitions.values():
        for row, labels in zip(part.inputs, part.labels, strict=True):
            ids = (row[row != 0] - 1).tolist()
            learned = labels[labels != -100].tolist()
            assert tokens.decode(learned).endswith(".<|end|>") and tokens.decode(ids[:3]).startswith("the cat")
            asked = len(tokens("the cat sees")["input_ids"])
            assert bool((labels[: asked - 1] == -100).all()) and int(labels[asked - 1]) == learned[0]
            assert bool((labels[len(ids) :] == -100).all())


def test_of_conversations_only_the_assistant_is_learned(tmp_path, plain):
    talk = [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "the cat?"},
        {"role": "assistant", "content": "sees a dog"},
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": "the fox"},
    ]
    data = load(str(lines(tmp_path / "talk.jsonl", [{"messages": talk}] * 6)), tokenizer=plain, test=1)
    tokens = tokenizer(sentences(40))
    labels = data["train"].labels[0]
    assert tokens.decode(labels[labels != -100]) == "sees a dog<|end|>the fox<|end|>"
    assert data.task.bytes_per_token == pytest.approx(len("sees a dogthe fox") / int((labels != -100).sum()), abs=1e-5)


def test_bytes_of_a_part_are_those_of_its_text(tmp_path, starting):
    found = sentences(30)
    rows = {"train": found[:20], "test": found[20:]}
    for part, texts in rows.items():
        lines(tmp_path / f"{part}.jsonl", [{"text": text} for text in texts])
    data = load(str(tmp_path), tokenizer=starting, longest=16)
    count = int((data["test"].labels != -100).sum())
    assert data.task.bytes_per_token == pytest.approx(sum(len(t.encode()) for t in found[20:]) / count, abs=1e-5)


def test_a_long_text_is_numbered_piece_by_piece_as_a_whole(tmp_path, plain, monkeypatch):
    from limbeck.data import language

    text = "\n".join(sentences(200))
    whole = tokenizer(sentences(40))(text)["input_ids"]
    monkeypatch.setattr(language, "PIECE", 500)
    from limbeck.data.tokens import Tokenizer

    assert language.Encoder(Tokenizer(str(plain)), "it")._pieces(text) == whole


def test_parquet_is_read_alike(tmp_path, plain):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    talk = [[{"role": "user", "content": "the cat?"}, {"role": "assistant", "content": text}] for text in sentences(12)]
    parquet.write_table(pyarrow.table({"messages": talk}), tmp_path / "talk.parquet")
    lines(tmp_path / "talk.jsonl", [{"messages": each} for each in talk])
    first, second = (load(str(tmp_path / f"talk.{kind}"), tokenizer=plain) for kind in ("parquet", "jsonl"))
    assert torch.equal(first["train"].inputs, second["train"].inputs) and torch.equal(first["test"].labels, second["test"].labels)


REFUSED = {
    "an empty text": ([{"text": "a"}, {"text": " "}], "document 2 has a text that is empty"),
    "an empty completion": ([{"prompt": "a", "completion": ""}], "document 1 has a completion that is empty"),
    "other keys": ([{"text": "a"}, {"text": "b", "label": "c"}], "line 2 has text, label; expected text"),
    "no answer": ([{"messages": [{"role": "user", "content": "a"}]}], "has no answer of the assistant"),
    "another role": ([{"messages": [{"role": "owl", "content": "a"}]}], "a message needs a role"),
    "messages as text": ([{"messages": "hello"}], "messages must be a list"),
    "a number": ([{"text": 3}], "has a int at 'text'; expected a string"),
    "a prompt that fills the row": (
        [{"prompt": "the cat " * 30, "completion": "sees"}],
        "tokens before the first that is learned",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learned_from_is_refused_in_a_sentence(case, tmp_path, plain):
    rows, words = REFUSED[case]
    with pytest.raises(UserError, match=words) as raised:
        load(str(lines(tmp_path / "talk.jsonl", rows * 3 if len(rows) == 1 else rows)), tokenizer=plain, longest=16)
    assert "\n" not in str(raised.value) and len(str(raised.value)) <= 300 + len(str(tmp_path))


def test_without_a_tokenizer_it_says_what_to_give(tmp_path):
    (tmp_path / "talk.txt").write_text("a text", encoding="utf-8")
    with pytest.raises(UserError, match=r"needs a tokenizer; give a folder of transformers as teacher or student"):
        load(str(tmp_path / "talk.txt"))


def test_a_template_that_writes_earlier_turns_otherwise_is_refused(tmp_path):
    tokens = tokenizer(sentences(40))
    tokens.chat_template = "{{ messages | length }}" + tokens.chat_template
    tokens.save_pretrained(tmp_path / "tokens")
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    path = lines(tmp_path / "talk.jsonl", [{"messages": [*talk, {"role": "assistant", "content": "d"}]}] * 4)
    with pytest.raises(UserError, match="chat template writes earlier turns otherwise"):
        load(str(path), tokenizer=tmp_path / "tokens")


def test_an_object_with_a_key_twice_is_refused_like_everywhere(tmp_path, plain):
    (tmp_path / "talk.jsonl").write_text('{"text": "the cat", "text": "a dog"}\n' * 3, encoding="utf-8")
    with pytest.raises(UserError, match="line 1 is not JSON .a key occurs twice.; correct or remove it"):
        load(str(tmp_path / "talk.jsonl"), tokenizer=plain)
