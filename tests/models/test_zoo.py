"""Networks: published parameter counts, the stage convention, sizes, names and arguments."""

import pytest
import torch
from torch import nn

from limbeck import models
from limbeck.errors import UserError

# 10 classes: He et al. 2016 as measured by ../shared/data/README.md; 100 classes: the networks of
# https://github.com/HobbitLong/RepDistiller, as its followers print them (0.70 M, 2.26 M, 1.23 M, ...).
COUNTS = [
    ("resnet8", 10, 75_290),
    ("resnet20", 10, 269_722),
    ("resnet32", 10, 464_154),
    ("resnet44", 10, 658_586),
    ("resnet56", 10, 853_018),
    ("resnet110", 10, 1_727_962),
    ("resnet18", 10, 11_173_962),
    ("wrn_16_2", 100, 703_284),
    ("wrn_40_1", 100, 569_780),
    ("wrn_40_2", 100, 2_255_156),
    ("resnet8x4", 100, 1_233_540),
    ("resnet32x4", 100, 7_433_860),
    ("vgg8", 100, 3_965_028),
    ("vgg13", 100, 9_462_180),
    ("mobilenetv2", 100, 812_836),
    ("shufflenetv2", 100, 1_355_528),
]


DENSE = ["fcn", "fcn_mobile", "unet"]
DETECTORS = ["detector", "detector_mobile"]
FRAMES = ["gru", "lstm", "seq2seq", "tdnn"]  # in test_sequences.py and test_seq2seq.py
CLASSIFIERS = [name for name in models.names() if name not in ("tree", "gp", *DENSE, *FRAMES, *DETECTORS)]  # fitted: no layers


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("name", "classes", "expected"), COUNTS)
def test_parameters_are_the_published_ones(name, classes, expected):
    assert count(models.build(name, classes=classes, shape=(3, 32, 32))) == expected


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (1, 28, 28)])
def test_any_size_from_8_works_and_the_stages_are_there(name, shape):
    net = models.build(name, classes=7, shape=shape).eval()
    seen = {}
    for stage in ("layer1", "layer2", "layer3", "pool", "linear"):
        net.get_submodule(stage).register_forward_hook(lambda m, i, o, s=stage: seen.update({s: (i[0], o)}))
    with torch.no_grad():
        out = net(torch.rand(2, *shape))
    assert out.shape == (2, 7) and torch.isfinite(out).all()
    assert list(seen) == ["layer1", "layer2", "layer3", "pool", "linear"]
    assert seen["pool"][1].dim() == 2 and torch.equal(seen["linear"][0], seen["pool"][1])
    assert all(isinstance(net.get_submodule(f"layer{k}"), nn.Sequential) for k in (1, 2, 3))


@pytest.mark.parametrize("name", [*CLASSIFIERS, *DENSE])
def test_no_relu_works_in_place(name):
    net = models.build(name, classes=2, shape=(3, 8, 8))
    assert not any(getattr(m, "inplace", False) for m in net.modules())


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 17, 29)])
def test_dense_networks_answer_for_every_pixel_of_any_size(name, shape):
    net = models.build(name, classes=5, shape=shape).eval()
    assert net(torch.rand(2, *shape)).shape == (2, 5, *shape[1:])
    assert all(isinstance(net.get_submodule(f"layer{k}"), nn.Sequential) for k in (1, 2, 3))


@pytest.mark.parametrize(("stride", "side"), [(4, 16), (8, 8), (16, 4)])
def test_the_stride_of_an_fcn_is_the_distance_of_its_answers(stride, side):
    for name in ("fcn", "fcn_mobile"):
        net, seen = models.build(name, classes=3, shape=(3, 64, 64), arguments={"stride": stride}).eval(), []
        net.head.register_forward_hook(lambda m, i, o, seen=seen: seen.append(o.shape))
        net(torch.rand(1, 3, 64, 64))
        assert seen == [(1, 3, side, side)]


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(("stride", "cells"), [(4, (12, 16)), (8, (6, 8)), (16, (3, 4))])
def test_detectors_answer_for_every_cell(name, stride, cells):
    net = models.build(name, classes=3, shape=(3, 48, 64), arguments={"stride": stride}).eval()
    assert net(torch.rand(2, 3, 48, 64)).shape == (2, *cells, 3 + 5)


def test_a_unet_by_hand():
    """Two 3 x 3 convolutions without bias and two normalisations per stage, 1 + 2 + 4 down and 2 + 1 up, width 2."""
    stages = [(1, 2), (2, 4), (4, 8), (12, 4), (6, 2)]
    expected = sum(9 * i * o + 9 * o * o + 4 * o for i, o in stages) + 2 * 2 + 2
    assert count(models.build("unet", classes=2, shape=(1, 16, 16), arguments={"width": 2})) == expected


def test_resnet_keys_are_the_usual_ones():
    keys = set(models.build("resnet14", classes=10, shape=(3, 32, 32)).state_dict())
    stems = {k.rpartition(".")[0] for k in keys}
    blocks = {f"layer{s}.{b}.{part}" for s in (1, 2, 3) for b in (0, 1) for part in ("conv1", "bn1", "conv2", "bn2")}
    assert stems == blocks | {"conv1", "bn1", "linear"}


def test_option_a_shortcut_by_hand():
    from limbeck.models.resnet import PadShortcut

    x = torch.arange(2 * 2 * 3 * 3, dtype=torch.float32).view(2, 2, 3, 3)
    out = PadShortcut(2, 4, 2)(x)
    assert out.shape == (2, 4, 2, 2)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2]) and not out[:, 0].any() and not out[:, 3].any()


def test_a_seed_repeats_a_network():
    torch.manual_seed(3)
    one = models.build("cnn", classes=10, shape=(1, 8, 8))
    torch.manual_seed(3)
    two = models.build("cnn", classes=10, shape=(1, 8, 8))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_any_wide_network_is_parsed_and_mlp_takes_any_shape():
    assert count(models.build("wrn_10_3", classes=10, shape=(3, 32, 32))) > 0
    assert models.build("mlp", classes=3, shape=(5,), arguments={"width": 4})(torch.rand(2, 5)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "words"),
    [
        ("resnt20", (3, 32, 32), {}, "did you mean 'resnet20'"),
        ("cnn", (5,), {}, "needs images of shape"),
        ("resnet8", (3, 7, 32), {}, "at least 8 x 8"),
        ("cnn", (1, 8, 8), {"widht": 3}, "did you mean 'width'"),
        ("cnn", (1, 8, 8), {"width": "big"}, "must be a number"),
        ("cnn", (1, 8, 8), {"width": 0}, "at least 1"),
        ("fcn", (3, 32, 32), {"stride": 5}, "4, 8 or 16"),
        ("unet", (3, 16, 16), {"depth": 5}, "depth 2 to 6 and fit"),
        ("wrn_17_2", (3, 32, 32), {}, r"6 n \+ 4"),
        ("shufflenetv2", (3, 32, 32), {"size": 3}, "size"),
        ("resnet20", (), {}, "positive sizes"),
        ("resnet20", (3.5, 8, 8), {}, "whole numbers"),
        ("mlp", (3,), {"classes": 3}, "unknown argument"),
    ],
)
def test_bad_requests_are_one_sentence(name, shape, arguments, words):
    with pytest.raises(UserError, match=words) as caught:
        models.build(name, classes=10, shape=shape, arguments=arguments)
    assert "\n" not in str(caught.value)


def test_one_number_may_be_answered_but_not_none():
    assert models.build("cnn", classes=1, shape=(1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape == (2, 1)
    with pytest.raises(UserError, match="at least 1 class or number"):
        models.build("cnn", classes=0, shape=(1, 8, 8))
