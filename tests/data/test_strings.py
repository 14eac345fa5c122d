"""Strings of recordings: every one is made of whole sequences of its own part, with their labels, and stays the same."""

import pytest
import torch

from limbeck import data as D
from limbeck.data.made.strings import BLANK, strung
from limbeck.errors import UserError
from limbeck.tasks.transcribe import Transcribe


def recordings(n, seed):
    """Sequences (2, 9) that sound for 3 to 7 frames, each frame telling its class and its number."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    x = torch.full((n, 2, 9), -7.0)
    for row, length in enumerate(torch.randint(3, 8, (n,), generator=generator).tolist()):
        x[row, 0, :length], x[row, 1, :length] = labels[row].float(), 1 + row + 100.0 * seed
    return x, labels


DATA = D.from_datasets(recordings(30, 0), test=recordings(12, 1), classes=["a", "b", "c"])


def naive(part):
    """Which sequences each string is made of, read from its frames."""
    for x, labels in zip(part.inputs, part.labels.tolist(), strict=True):
        sounding = x[0] > -7
        pieces, before = [], None
        for frame in range(x.shape[1]):
            number = float(x[1, frame]) if sounding[frame] else None
            if number is not None and before is None:
                pieces.append([int(x[0, frame]), number, 0])
            if number is not None:
                assert number == pieces[-1][1]  # nothing is cut into
                pieces[-1][2] += 1
            before = number
        yield pieces, [c for c in labels if c != -100]


def test_a_string_is_whole_sequences_of_its_part_and_their_labels():
    made = strung(DATA, least=2, most=4, gap=1)
    assert made.classes == (BLANK, "a", "b", "c") and made.task == Transcribe() and made.shape[0] == 2
    lengths = set()
    for name, base in (("train", 0), ("test", 100)):
        whole = {float(x[1, 0]): int((x[0] > -7).sum()) for x in DATA[name].inputs}
        for pieces, labels in naive(made[name]):
            assert [c + 1 for c, _, _ in pieces] == labels
            assert all(whole[number] == length and base < number <= base + 30 for _, number, length in pieces)
            lengths.add(len(labels))
    assert lengths == {2, 3, 4}
    assert len(set(made["train"].index.tolist()) | set(made["test"].index.tolist())) == 42


def test_it_is_made_again_the_same_and_other_by_another_seed():
    assert strung(DATA).fingerprint == strung(DATA).fingerprint != strung(DATA, seed=1).fingerprint
    assert len(strung(DATA, times=2.0)["train"]) == 60


@pytest.mark.parametrize("arguments", [{"least": 4, "most": 3}, {"least": 0}, {"times": 0.0}, {"gap": -1}])
def test_what_makes_no_strings_is_one_sentence(arguments):
    with pytest.raises(UserError, match="strings need 1 <= least"):
        strung(DATA, **arguments)
    with pytest.raises(UserError, match="strings need sequences"):
        strung(D.load("digits"))
