"""The translator: its search against trying everything, several targets at once against one by one, what it refuses."""

import itertools

import pytest
import torch

from limbeck import models
from limbeck.errors import UserError
from limbeck.models.seq2seq import BEGIN, END, PAD
from limbeck.transforms.combine import n_best_labels, n_best_shares

CLASSES, LONGEST = 6, 3


def build(seed=0, **arguments):
    torch.manual_seed(seed)
    net = models.build("seq2seq", classes=CLASSES, shape=(4,), arguments={"width": 8, "longest": LONGEST, "words": 9} | arguments)
    for parameter in net.parameters():
        parameter.data *= 3  # far from uniform, so that the order is clear
    return net.eval()


SOURCES = torch.tensor([[4, 7, 5, PAD], [8, PAD, PAD, PAD], [3, 3, 6, 8]])


def every_target():
    """All that can be written in LONGEST words: up to END, or cut off."""
    words = [c for c in range(CLASSES) if c not in (PAD, BEGIN)]
    for target in itertools.product([*words, PAD], repeat=LONGEST):
        end = next((k for k, c in enumerate(target) if c == END), LONGEST - 1)
        if PAD not in target[: end + 1] and all(c == PAD for c in target[end + 1 :]):
            yield target


def scores(net, source):
    """log P of every target, word by word with the given ones before it; PAD and BEGIN can be written, so they cost."""
    targets = torch.tensor(list(every_target()))
    with torch.no_grad():
        logs = net(source[None].repeat(len(targets), 1), targets).log_softmax(-1)
    each = logs.gather(-1, targets[..., None])[..., 0].masked_fill(targets == PAD, 0.0)
    return {tuple(t): v for t, v in zip(targets.tolist(), each.sum(1).tolist(), strict=True)}


def test_with_enough_beams_the_search_finds_the_likeliest_of_all():
    net = build(beams=4)  # as many as there are words to write: nothing of two words is lost
    net.search.beams = 200
    with torch.no_grad():
        listed = net.search(net.decoder, *read(net, SOURCES))
    for row, source in enumerate(SOURCES):
        expected = sorted(scores(net, source).items(), key=lambda item: -item[1])[:5]
        for place, (target, score) in enumerate(expected):
            assert tuple(listed[row, place, 1:].long().tolist()) == target
            assert float(listed[row, place, 0]) == pytest.approx(score, abs=1e-4)  # the same sums in another order


def read(net, source):
    seen = {}
    hook = net.search.register_forward_hook(lambda module, inputs, output: seen.update(inputs=inputs))
    net(source)
    hook.remove()
    return seen["inputs"][1:]


@pytest.mark.parametrize("beams", [1, 3])
def test_its_answer_spells_the_first_of_its_list(beams):
    net, seen = build(beams=beams), {}
    net.search.register_forward_hook(lambda module, inputs, output: seen.update(listed=output))
    with torch.no_grad():
        logits = net(SOURCES)
    assert torch.equal(logits.argmax(-1), seen["listed"][:, 0, 1:].long())
    assert seen["listed"].shape == (3, beams, 1 + LONGEST)
    assert (seen["listed"][:, :-1, 0] >= seen["listed"][:, 1:, 0]).all()  # best first


def test_several_targets_are_as_one_by_one_and_padding_is_not_read():
    net = build()
    targets = torch.tensor([[[4, 5, END], [END, -100, -100]], [[3, END, -100], [5, 5, 5]], [[4, END, -100], [3, 4, END]]])
    with torch.no_grad():
        together = net(SOURCES, targets)
        for k in (0, 1):
            torch.testing.assert_close(together[:, k], net(SOURCES, targets[:, k]))
        changed = targets.clone()
        changed[:, 0, -1] = 3  # a word tells nothing of those before it
        torch.testing.assert_close(net(SOURCES, changed)[:, 0], together[:, 0])


def test_a_list_as_labels_and_shares_by_hand():
    listed = torch.tensor([[[-0.1, 4.0, 2.0, 0.0], [-2.4, 2.0, 0.0, 0.0]]])
    assert n_best_labels(listed).tolist() == [[[4, 2, -100], [2, -100, -100]]]
    first = 1 / (1 + torch.tensor(-2.3).exp())
    torch.testing.assert_close(n_best_shares(listed), torch.tensor([[first, 1 - first]]))
    assert n_best_shares(listed, uniform=True).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("shape", "arguments", "words"),
    [
        ((3, 8), {}, "strings of class numbers"),
        ((8,), {"width": 7}, "even width"),
        ((8,), {"beams": 9}, "more classes than beams"),
    ],
)
def test_bad_requests_are_one_sentence(shape, arguments, words):
    with pytest.raises(UserError, match=words) as caught:
        models.build("seq2seq", classes=CLASSES, shape=shape, arguments=arguments)
    assert "\n" not in str(caught.value)
