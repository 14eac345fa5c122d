"""Networks over frames: the places that methods tap, both directions, lengths, and what they refuse."""

import pytest
import torch

from limbeck import models
from limbeck.errors import UserError

NAMES = ("gru", "lstm", "tdnn")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(40, 61), (1, 3), (6, 1)])
def test_the_stages_are_there_and_any_length_works(name, shape):
    net = models.build(name, classes=7, shape=shape, arguments={} if name == "tdnn" else {"depth": 3}).eval()
    seen = {}
    for stage in ("layer1", "layer2", "layer3", "pool", "linear"):
        net.get_submodule(stage).register_forward_hook(lambda m, i, o, s=stage: seen.update({s: (i[0], o)}))
    with torch.no_grad():
        assert net(torch.rand(2, *shape)).shape == (2, 7)
        assert net(torch.rand(2, shape[0], 2 * shape[1])).shape == (2, 7)
    assert list(seen) == ["layer1", "layer2", "layer3", "pool", "linear"]
    assert seen["layer3"][1].shape[:2] == seen["pool"][1].shape and torch.equal(seen["linear"][0], seen["pool"][1])


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_one_direction_knows_the_past_and_two_know_all(name):
    x = torch.rand(1, 3, 10)
    later = x.clone()
    later[..., 7:] += 1
    for directions in (1, 2):
        net = models.build(name, classes=4, shape=(3, 10), arguments={"per_frame": 1, "directions": directions, "width": 5})
        with torch.no_grad():
            one, two = net(x), net(later)
        assert one.shape == (1, 10, 4) and not torch.equal(one[:, 7:], two[:, 7:])
        assert torch.equal(one[:, :7], two[:, :7]) == (directions == 1)


def test_a_gru_is_torchs_and_its_pool_the_mean():
    net = models.build("gru", classes=4, shape=(3, 10), arguments={"width": 5, "stride": 2})
    x = torch.rand(2, 3, 10)
    frames = (x[..., 0::2] + x[..., 1::2]) / 2
    expected = net.linear(net.layer1.cell(frames.transpose(1, 2))[0].mean(1))
    torch.testing.assert_close(net(x), expected)


def test_parameters_by_hand():
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    lstm = models.build("lstm", classes=4, shape=(3, 9), arguments={"width": 5, "directions": 2})
    assert count(lstm) == 2 * 4 * (5 * 3 + 5 * 5 + 2 * 5) + 4 * 10 + 4
    tdnn = models.build("tdnn", classes=4, shape=(3, 9), arguments={"width": 5, "size": 3})
    assert count(tdnn) == 3 * 5 * 3 + 2 * 5 * 5 * 3 + 3 * 2 * 5 + 4 * 5 + 4


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "words"),
    [
        ("gru", (3, 8, 8), {}, "needs sequences of shape"),
        ("lstm", (3, 8), {"depth": 5}, "depth 1 to 4"),
        ("lstm", (3, 8), {"directions": 3}, "directions 1 or 2"),
        ("tdnn", (3, 8), {"size": 4}, "odd size"),
        ("tdnn", (8,), {}, "needs sequences of shape"),
        ("gru", (3, 8), {"cell": 1}, "unknown argument"),
    ],
)
def test_bad_requests_are_one_sentence(name, shape, arguments, words):
    with pytest.raises(UserError, match=words) as caught:
        models.build(name, classes=3, shape=shape, arguments=arguments)
    assert "\n" not in str(caught.value)
