"""Pairs of sentences: words and numbers by hand, what is left out, packed files, and every way they can be wrong."""

import gzip
from pathlib import Path

import pytest
import torch

from limbeck.data.made.pairs import SPECIAL, translation
from limbeck.errors import UserError
from limbeck.tasks.translate import Translate

SHARED = Path(__file__).parents[3] / "shared" / "data" / "multi30k"
GERMAN = ["Ein Hund.", "Ein Hund läuft.", "Die Katze schläft sehr lange und tief.", "Ein Hund"]
ENGLISH = ["A dog.", "A dog runs.", "The cat sleeps very long and deep.", "A dog"]


def write(folder, packed=False):
    for name, lines in {"train.de": GERMAN, "train.en": ENGLISH, "test_1.de": ["Eine Katze."], "test_1.en": ["A cat."]}.items():
        content = ("\n".join(lines) + "\n").encode()
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_sentences_become_numbers_by_hand(tmp_path, packed):
    data = translation(write(tmp_path, packed), "de", "en", longest=4)
    assert data.classes == (*SPECIAL, "a", "dog", ".", "runs") and data.task == Translate() and data.shape == (4,)
    train = data["train"]  # source: ein 4, hund 5, . 6, läuft 7; the long pair is left out
    assert train.inputs.tolist() == [[4, 5, 6, 0], [4, 5, 7, 6], [4, 5, 0, 0]]
    assert train.labels.tolist() == [[4, 5, 6, 2, -100], [4, 5, 7, 6, 2], [4, 5, 2, -100, -100]]
    assert data["test"].inputs.tolist() == [[3, 3, 6, 0]] and data["test"].labels.tolist() == [[4, 3, 6, 2, -100]]
    assert data["test"].index.tolist() == [3] and data.words[4:] == ("ein", "hund", ".", "läuft")
    Translate().check_labels("it", train.labels, train.inputs, len(data.classes))


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_lines_end_at_newlines_only(tmp_path, odd):
    """Four pairs became five, and every one behind the first was shifted."""
    write(tmp_path)
    for language, lines in (("de", GERMAN), ("en", ENGLISH)):
        text = "\n".join([lines[0].replace(" ", odd), *lines[1:]]) + "\n"
        (tmp_path / f"train.{language}").write_text(text if language == "de" else "\n".join(lines) + "\n", encoding="utf-8")
    data = translation(tmp_path, "de", "en", longest=4)
    assert data["train"].labels.tolist() == [[4, 5, 6, 2, -100], [4, 5, 7, 6, 2], [4, 5, 2, -100, -100]]
    assert data["train"].inputs.tolist() == [[4, 5, 6, 0], [4, 5, 7, 6], [4, 5, 0, 0]]


def test_a_small_vocabulary_keeps_the_frequent_words_and_a_limit_draws(tmp_path):
    data = translation(write(tmp_path), "de", "en", longest=4, vocabulary=6)
    assert data.classes == (*SPECIAL, "a", "dog") and int(data["train"].labels.max()) == 5
    assert len(translation(tmp_path, "de", "en", longest=4, limit=2)["train"]) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: (p / "train.en").write_text("A dog.\n"), "has 4 lines and train.en 1"),
        (lambda p: (p / "train.en").unlink(), "has no train.de and train.en"),
        (lambda p: (p / "train.de").rename(p / "train.de.gz"), "cannot be read"),
        (lambda p: [f.write_text("word " * 9) for f in p.iterdir()], "at most 4 words"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, change, words):
    change(write(tmp_path))
    with pytest.raises(UserError, match=words) as caught:
        translation(tmp_path, "de", "en", longest=4)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not SHARED.exists(), reason="needs sentence pairs in ../shared/data/multi30k")
def test_real_sentences():
    data = translation(SHARED, "de", "en", longest=10, vocabulary=1500, limit=500)
    assert len(data["train"]) == 500 and {"validation", "test"} <= set(data.partitions)
    assert torch.equal((data["train"].labels == 2).sum(1), torch.ones(500, dtype=torch.int64))
