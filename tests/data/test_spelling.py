"""Two tokenizers on the same bytes: where their tokens end, what the one can say behind those of the other."""

import pytest

from limbeck.data.spelling import Prefixes, Spelling, places
from limbeck.data.tokens import Tokenizer
from limbeck.errors import UserError
from tests.folder_of_lm import sentences, tokenizer, tokenizers, transformers

TEXTS = sentences(200)


def sentencepiece(folder, words=120):
    """BPE on letters with a mark for a space before the text, and bytes for letters that it does not know."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token=None))
    made.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    made.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1, 0),
        ]
    )
    bytes_ = [f"<0x{k:02X}>" for k in range(256)]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=words + 256, special_tokens=["</s>", *bytes_], max_token_length=12)
    made.train_from_iterator([text.replace("ö", "o") for text in TEXTS], trainer)
    written = made.to_str().replace('"special":true', '"special":false').replace('"special": true', '"special": false')
    made = tokenizers.Tokenizer.from_str(written)
    found = transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", model_max_length=64)
    found.save_pretrained(folder)
    return Spelling(Tokenizer(str(folder)))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    root = tmp_path_factory.mktemp("two")
    for name, words in (("coarse", 160), ("fine", 30)):
        tokenizer(TEXTS, words=words).save_pretrained(root / name)
    return Spelling(Tokenizer(str(root / "fine"))), Spelling(Tokenizer(str(root / "coarse")))


@pytest.mark.parametrize("text", [*TEXTS[:5], "Größe — 12  x\n", "日本", ""])
def test_tokens_spell_the_bytes_of_a_text_and_end_where_these_end(two, text):
    for each in two:
        spelt = each.spell(text.encode())
        assert b"".join(each.words[k] for k in spelt.ids) == text.encode()
        assert list(spelt.ends) == [len(b"".join(each.words[k] for k in spelt.ids[: n + 1])) for n in range(len(spelt.ids))]
        assert list(spelt.ids) == each.outer(text, add_special_tokens=False)["input_ids"]


def test_a_letter_that_is_cut_is_spelt_byte_by_byte(two):
    text = "öö".encode()[1:]
    spelt = two[0].spell(text)
    assert spelt.ends[0] == 1 and b"".join(two[0].words[k] for k in spelt.ids) == text


def test_a_sentencepiece_tokenizer_too_without_the_space_that_it_puts_before_a_text(tmp_path):
    own = sentencepiece(tmp_path)
    assert own.spaced
    text = "the cat likes a naïve dog. Größe"
    spelt = own.spell(text.encode())
    assert spelt.ends[-1] == len(text.encode())
    assert b"".join(own.words[k] for k in spelt.ids) == b" " + text.encode()
    assert sum(own.outer.convert_ids_to_tokens(k).startswith("<0x") for k in spelt.ids) == 2  # ö as two bytes


def test_every_place_by_a_loop_over_bytes(two):
    """Against the definition, byte by byte: the last place of the teacher that has read no more, and what stands between."""
    fine, coarse = two
    for text in TEXTS[:20]:
        for first, second in ((fine, coarse), (coarse, fine)):
            raw = text.encode()
            a, b = first.spell(raw), second.spell(raw)
            for k, place in enumerate(places(a, b, first.words, raw)):
                read = a.ends[k]
                before = [j for j, end in enumerate(b.ends) if end <= read]
                if not before:
                    assert place is None
                    continue
                row = before[-1]
                assert place.row == row and place.inside == raw[b.ends[row] : read]
                if k + 1 == len(a.ids):
                    assert place.label == -1
                    continue
                stop = a.ends[k + 1]
                through = [(j - 1, b.ids[j]) for j in range(row + 1, len(b.ids)) if b.ends[j] < stop]
                assert place.label == a.ids[k + 1] and list(place.path) == through
                if place.inside or through:
                    last = through[-1][0] + 1 if through else row
                    assert place.rest == raw[b.ends[last] : stop]


def test_a_token_begins_with_what_the_other_tokenizer_makes_of_it(two):
    fine, coarse = two
    first = fine.first_of(coarse)
    for k, word in enumerate(coarse.words):
        if word:
            assert word.startswith(fine.words[first[k]]) and fine.words[first[k]]
    assert first[coarse.special["<|end|>"]] == fine.special["<|end|>"]


def test_tokens_by_their_beginning(two):
    words = two[1].words
    found = Prefixes(words)
    for prefix in (b" ", b" the", b"\xc3", b"\xff", b"zzz"):
        assert sorted(found.starting(prefix)) == [k for k, word in enumerate(words) if word and word.startswith(prefix)]


def test_a_tokenizer_that_lowers_case_is_refused(tmp_path):
    made = tokenizers.BertWordPieceTokenizer()
    made.train_from_iterator(TEXTS, vocab_size=100, show_progress=False)
    transformers.PreTrainedTokenizerFast(tokenizer_object=made._tokenizer, model_max_length=64).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="pieces of a text's bytes"):
        Spelling(Tokenizer(str(tmp_path)))
