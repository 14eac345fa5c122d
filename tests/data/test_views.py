"""Views: the hash is good, ops do what they say, and a view is the same in whatever batch it is made."""

import math

import pytest
import torch

from limbeck.data.views import randaugment
from limbeck.data.views import view as views
from limbeck.data.views.ops import Crop, Cutout, FeatureDropout, Flip, Mixup, Noise
from limbeck.errors import UserError
from limbeck.transforms import draws
from limbeck.transforms.draws import Draw

MANY = torch.arange(20_000)


def chi2(values, cells):
    """Chi-square over `cells` equal cells, in standard deviations of its own distribution."""
    seen = torch.bincount(values, minlength=cells).double()
    expected = len(values) / cells
    return (float(((seen - expected) ** 2 / expected).sum()) - (cells - 1)) / math.sqrt(2 * (cells - 1))


def test_splitmix64_is_the_published_one():
    # first outputs of https://prng.di.unimi.it/splitmix64.c at seed 1234567, as in Rosetta Code's task
    state, golden = 1234567, 0x9E3779B97F4A7C15
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [draws.mix_number(state + k * golden) for k in range(4)] == expected


def test_tensor_hash_wraps_as_whole_numbers_do():
    some = [0, 1, -1, 2**63 - 1, -(2**63), 123456789, -987654321]
    assert draws.mix(torch.tensor(some)).tolist() == [draws.signed(draws.mix_number(v)) for v in some]


@pytest.mark.parametrize("cells", [2, 7, 64, 1000])
def test_numbers_are_uniform(cells):
    draw = Draw.of(0, MANY, 0)
    assert abs(chi2(draw.integers("a", cells)[:, 0], cells)) < 5  # 5 sigma: a fixed seed, so never flaky
    assert abs(chi2((draw.uniform("b")[:, 0] * cells).long(), cells)) < 5


def test_every_bit_is_fair_and_flips_with_every_input_bit():
    base = Draw.of(0, MANY, 0).bits("a")[:, 0]
    for bit in range(64):
        assert abs(float(((base >> bit) & 1).double().mean()) - 0.5) < 0.02
    for bit in (0, 5, 13):
        other = Draw.of(0, MANY ^ (1 << bit), 0).bits("a")[:, 0]
        changed = torch.stack([((base ^ other) >> b) & 1 for b in range(64)]).double().mean()
        assert abs(float(changed) - 0.5) < 0.01


@pytest.mark.parametrize("other", ["sample", "view", "salt", "seed", "column"])
def test_numbers_are_independent(other):
    one = Draw.of(0, MANY, 0)
    first = one.integers("a", 8)[:, 0]
    second = {
        "sample": first.roll(1),
        "view": Draw.of(0, MANY, 1).integers("a", 8)[:, 0],
        "salt": one.integers("b", 8)[:, 0],
        "seed": Draw.of(1, MANY, 0).integers("a", 8)[:, 0],
        "column": one.integers("a", 8, 2)[:, 1],
    }[other]
    assert abs(chi2(first * 8 + second, 64)) < 5


def test_normals_have_the_moments_of_normals():
    x = Draw.of(0, MANY, 0).normal("n", 5).double()
    assert abs(float(x.mean())) < 0.015 and abs(float(x.var()) - 1) < 0.02
    assert abs(float((x**4).mean()) - 3) < 0.1


def test_order_is_a_permutation_of_its_own():
    one = draws.order(0, 1000, "train", 1)
    assert torch.equal(one.sort().values, torch.arange(1000))
    assert torch.equal(one, draws.order(0, 1000, "train", 1))
    assert (one == draws.order(0, 1000, "train", 2)).sum() < 10


def images(n=9, c=3, h=11, w=13, dtype=torch.uint8):
    made = torch.randint(0, 256, (n, c, h, w), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return made if dtype == torch.uint8 else made.float() / 255


ALL = ["crop,flip,cutout:5", "randaugment:3:0.9", "noise:0.2", "flip,randaugment:1,crop:1,noise", "identity"]


@pytest.mark.parametrize("spelling", ALL)
def test_a_view_does_not_depend_on_its_batch(spelling):
    view, x, index = views.parse(spelling, "inputs"), images(40, 3, 32, 32), torch.arange(40) * 977
    whole = view.apply(x, Draw.of(7, index, 2))
    assert whole.dtype == torch.float32 and whole.min() >= 0 and whole.max() <= 1
    for rows in ([3], [39, 0], list(range(17)), list(range(39, -1, -1))):
        part = torch.tensor(rows)
        assert torch.equal(view.apply(x[part], Draw.of(7, index[part], 2)), whole[part])
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(view.apply(x, Draw.of(7, index, 2)), whole)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("spelling", ALL[:4])
def test_views_differ_by_number_name_and_seed(spelling):
    view, x, index = views.parse(spelling, "a"), images(), torch.arange(9)
    one = view.apply(x, Draw.of(0, index, 0))
    others = [(view, 0, 1), (views.parse(spelling, "b"), 0, 0), (view, 1, 0)]
    assert all(not torch.equal(one, v.apply(x, Draw.of(s, index, k))) for v, s, k in others)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_crop_is_slicing(dtype):
    x, draw = images(dtype=dtype), Draw.of(0, torch.arange(9), 0)
    corner, out = draw.integers("corner", 7, 2), Crop(3)(x, draw)
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3))
    for k, (top, left) in enumerate(corner.tolist()):
        assert torch.equal(out[k], padded[k, :, top : top + 11, left : left + 13])


@pytest.mark.parametrize(("side", "padding"), [(8, 1), (28, 4), (32, 4), (96, 12)])
def test_crop_moves_by_an_eighth_unless_told(side, padding):
    x = torch.arange(side * side).view(1, 1, side, side).float().expand(64, -1, -1, -1)
    draw = Draw.of(0, torch.arange(64), 0)
    assert torch.equal(Crop()(x, draw), Crop(padding)(x, draw))


def test_crop_places_are_equally_likely():
    corner = Draw.of(0, MANY, 0).integers("corner", 9, 2)
    assert abs(chi2(corner[:, 0] * 9 + corner[:, 1], 81)) < 5


def test_flip_mirrors_half():
    x = images(1).expand(4000, -1, -1, -1)
    out = Flip()(x, Draw.of(0, torch.arange(4000), 0))
    mirrored = (out == x.flip(-1)).flatten(1).all(1)
    assert (mirrored | (out == x).flatten(1).all(1)).all()
    assert abs(float(mirrored.double().mean()) - 0.5) < 0.04  # 5 sigma
    assert torch.equal(Flip(1.0)(x, Draw.of(0, torch.arange(4000), 0)), x.flip(-1))


def test_cutout_is_a_square_cut_off_at_the_edges():
    x, draw = torch.ones(200, 2, 11, 13), Draw.of(0, torch.arange(200), 0)
    out = Cutout(4)(x, draw)
    y, z = draw.integers("y", 11)[:, 0].tolist(), draw.integers("x", 13)[:, 0].tolist()
    for k in range(200):
        expected = torch.ones(2, 11, 13)
        expected[:, max(0, y[k] - 2) : y[k] + 2, max(0, z[k] - 2) : z[k] + 2] = 0
        assert torch.equal(out[k], expected)


def test_noise_has_its_size():
    flat = Noise(0.1)(torch.full((500, 1, 8, 8), 0.5), Draw.of(0, torch.arange(500), 0))
    assert abs(float(flat.std()) - 0.1) < 0.002
    scale = torch.tensor([1.0, 100.0])
    table = Noise(0.5)(torch.zeros(4000, 2), Draw.of(0, torch.arange(4000), 0, scale=scale))
    assert torch.allclose(table.std(0) / scale, torch.tensor(0.5), atol=0.03)


def test_feature_dropout_puts_the_mean():
    centre = torch.tensor([1.0, 2.0])
    out = FeatureDropout(0.3)(torch.zeros(5000, 2), Draw.of(0, torch.arange(5000), 0, centre=centre))
    assert set(out[:, 1].tolist()) == {0.0, 2.0} and abs(float((out[:, 0] == 1).double().mean()) - 0.3) < 0.04


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_shares_are_beta(alpha):
    share = Mixup(alpha).share(Draw.of(0, MANY, 0)).double()
    assert abs(float(share.mean()) - 0.5) < 0.015
    assert abs(float(share.var()) - 1 / (4 * (2 * alpha + 1))) < 0.004  # the variance of Beta(a, a)


@pytest.mark.parametrize("name", [c.__name__ for c in randaugment.CHOICES])
def test_randaugment_ops_stay_in_range_and_vanish_at_zero(name):
    x, op = images(6, dtype=torch.float32), getattr(randaugment, name)
    for level in (-1.0, 0.4, 1.0):
        out = op(x, torch.full((6,), level))
        assert out.shape == x.shape and out.min() >= -1e-6 and out.max() <= 1 + 1e-6
    if name not in ("_autocontrast", "_solarize"):
        assert torch.allclose(op(x, torch.zeros(6)), x, atol=1e-5)


def test_translate_by_hand():
    from limbeck.data.views.randaugment import _translate_x

    x = images(2, 1, 10, 10, torch.float32)
    out = _translate_x(x, torch.full((2,), 1 / 3))  # 0.2 of the half width 5: one pixel
    assert torch.allclose(out[..., :-1], x[..., 1:], atol=1e-5) and not out[..., -1].any()


@pytest.mark.parametrize(
    "text",
    ["crop,flip,cutout", "crop:2,flip:0.25", "randaugment:3:0.1", "noise:0.05,featuredropout", "identity", "mixup"],
)
def test_spelling_round_trips(text):
    view = views.parse(text)
    assert str(view) == text and views.parse(str(view)) == view


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("crop,flp", "did you mean 'flip'"),
        ("crop:x", "whole number"),
        ("crop:2.5", "whole number"),
        ("flip:0.5:1", "got 2 arguments"),
        ("identity:1", "no argument"),
        ("flip:2", "between 0 and 1"),
        ("crop:-1", "padding must be"),
        ("crop,,flip", "unknown view op"),
        ("mixup,mixup", "twice"),
        ("noise:nan", "sd must be"),
    ],
)
def test_bad_spellings_are_one_sentence(text, words):
    with pytest.raises(UserError, match=words) as caught:
        views.parse(text)
    assert "\n" not in str(caught.value)
