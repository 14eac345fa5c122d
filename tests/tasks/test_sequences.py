"""Strings: edits against a naive recursion, BLEU against sacreBLEU, CTC's collapse, and what the tasks keep and refuse."""

import functools

import pytest
import torch

from limbeck.errors import UserError
from limbeck.metrics import strings
from limbeck.tasks.predictions import Predictions, predict
from limbeck.tasks.registry import task_of
from limbeck.tasks.transcribe import Transcribe
from limbeck.tasks.translate import Translate

SEEDED = torch.Generator().manual_seed(0)


def some(n, length, classes=6, low=1):
    """(n, length) strings of 1 .. length class numbers."""
    made = torch.randint(low, classes, (n, length), generator=SEEDED)
    lengths = torch.randint(1, length + 1, (n, 1), generator=SEEDED)
    return made.masked_fill(torch.arange(length) >= lengths, -100)


@functools.cache
def naive(one, other):
    if not one or not other:
        return len(one) + len(other)
    change = naive(one[1:], other[1:]) + (one[0] != other[0])
    return min(change, naive(one[1:], other) + 1, naive(one, other[1:]) + 1)


def test_edits_are_those_of_a_naive_recursion():
    for one, other in zip(strings.lists(some(200, 6, 4)), strings.lists(some(200, 6, 4)), strict=True):
        count, kept = strings.edits(one, other)
        assert count == naive(tuple(one), tuple(other))
        assert len(kept) == len(other) and sum(kept) >= len(other) - count
    assert strings.edits([], [1, 2]) == (2, [False, False]) and strings.edits([1], [])[0] == 1


def test_collapse_is_that_of_a_loop():
    frames = torch.randint(0, 3, (50, 9), generator=SEEDED)
    for row, found in zip(frames.tolist(), strings.lists(strings.collapse(frames)), strict=True):
        expected, before = [], None
        for c in row:
            if c not in (0, before):
                expected.append(c)
            before = c
        assert found == expected


@pytest.mark.parametrize("classes", [4, 30])  # 30: orders without any match, smoothed
def test_bleu_is_that_of_sacrebleu(classes):
    sacrebleu = pytest.importorskip("sacrebleu", reason="the other implementation")
    labels = some(25, 12, classes)
    said = torch.where(torch.rand(labels.shape, generator=SEEDED) < 0.4, some(25, 12, classes), labels)
    said = strings.packed(said, said != -100)
    texts = [[" ".join(map(str, words)) for words in strings.lists(s)] for s in (said, labels)]
    theirs = sacrebleu.corpus_bleu(texts[0], [texts[1]], tokenize="none", force=True)
    assert strings.bleu(strings.bleu_counts(said, labels)) == pytest.approx(theirs.score / 100, rel=1e-9)


def test_bleu_of_what_is_short_wrong_and_right():
    label = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]])
    half = label.clone()
    half[:, 4:] = -100
    assert strings.bleu(strings.bleu_counts(label, label)) == 1.0
    assert strings.bleu(strings.bleu_counts(half, label)) == pytest.approx(torch.tensor(-1.0).exp().item(), rel=1e-6)
    assert strings.bleu(strings.bleu_counts(label + 10, label)) == 0.0


def logits_of(frames, classes):
    return 5.0 * torch.nn.functional.one_hot(frames, classes).float()


def test_a_transcription_is_scored_by_its_edits():
    labels = torch.tensor([[1, 2, 2], [3, -100, -100]])
    frames = torch.tensor([[1, 1, 0, 2, 0, 2], [0, 3, 3, 0, 1, 0]])  # right; one too many
    found = predict(lambda x: x, [{"inputs": logits_of(frames, 4), "labels": labels}], Transcribe())
    facts = Transcribe().measure(found, ["-", "a", "b", "c"])
    assert facts.score == pytest.approx(1 - 1 / 4) and facts.figures["whole_strings"] == 0.5
    assert facts.per_class == [None, 1.0, 1.0, 1.0] and Transcribe.figures[0].title == "1 - label error rate"
    silent = predict(lambda x: x, [{"inputs": logits_of(0 * frames, 4), "labels": labels}], Transcribe())
    assert Transcribe().score(silent) == 0.0 and Transcribe().near_chance(silent, 4)
    assert Transcribe().agreement(found, silent) == 0.0 and Transcribe().agreement(found, found) == 1.0
    many = Predictions(strings.collapse(torch.tensor([[1, 2, 3, 1]])), torch.tensor([[2, -100, -100, -100]]), torch.arange(1))
    assert Transcribe().score(many) == 0.0  # never below


def test_a_translation_ends_at_its_end():
    words = torch.tensor([[4, 5, 6, 7, 2, 9], [5, 5, 2, 4, 4, 4]])
    labels = torch.tensor([[4, 5, 6, 7, 2], [5, 5, 2, -100, -100]])
    found = predict(lambda x: x, [{"inputs": logits_of(words, 10), "labels": labels}], Translate())
    assert strings.lists(found.answers) == [[4, 5, 6, 7], [5, 5]] == strings.lists(found.labels)
    facts = Translate().measure(found, [str(k) for k in range(10)])
    assert facts.score == 1.0 and facts.interval[1] == 1.0 and facts.figures["whole_strings"] == 1.0


def test_the_interval_draws_strings():
    counts = torch.tensor([[k, 10] for k in range(10)])
    low, high = strings.interval(counts, strings.right_rate)
    assert (low, high) == strings.interval(counts, strings.right_rate)
    assert low < strings.right_rate(counts) < high and high - low > 0.1
    assert strings.interval(counts[:1], strings.right_rate) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.tensor([1, 2]), "a string of class numbers"),
        (torch.tensor([[1, -100, 2]]), "behind the last"),
        (torch.tensor([[-100, -100]]), "at least one"),
        (torch.tensor([[1, 7]]), "out of range"),
        (torch.tensor([[0, 1]]), "is the blank"),
    ],
)
def test_bad_labels_are_one_sentence(labels, words):
    with pytest.raises(UserError, match=words):
        Transcribe().check_labels("it", labels, len(labels), 4)


def test_bad_answers_are_one_sentence():
    for task in (task_of("transcribe"), task_of("translate")):
        with pytest.raises(UserError, match="steps, classes"):
            task.keep(torch.zeros(2, 4), torch.ones(2, 3, dtype=torch.int64))
        with pytest.raises(UserError, match="has 4 classes"):
            task.check_output("student", torch.zeros(2, 5, 3), torch.ones(2, 3), "it", 4)
