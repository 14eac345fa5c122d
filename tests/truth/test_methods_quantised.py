"""Quantisers against naive loops, sizes counted by hand, and the two ways to train with them (rows 4 and 11)."""

import numpy as np
import pytest
import torch
from digits import make_cast, states, train
from torch import nn
from torch.nn.utils import parametrize

from limbeck.connectors import quantise as Q  # noqa: N812
from limbeck.errors import UserError
from limbeck.methods import find
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress

KINDS = [(Q.Uniform, {"bits": 2, "bucket": 8}), (Q.Uniform, {"bits": 8, "bucket": 5}), (Q.Levels, {"bits": 3, "bucket": 8})]
KINDS += [(Q.Ternary, {}), (Q.Ternary, {"scale": True}), (Q.Uniform, {"bits": 1, "bucket": 256})]
every = pytest.mark.parametrize(("kind", "settings"), KINDS, ids=lambda x: getattr(x, "__name__", str(x)))


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def buckets(flat, size):
    return [flat[k : k + size] for k in range(0, len(flat), size)]


@pytest.mark.parametrize(("bits", "bucket"), [(1, 4), (2, 8), (4, 256), (3, 5)])
def test_uniform_is_the_nearest_of_evenly_spaced_values_in_each_bucket(bits, bucket):
    weight, naive = draw(3, 7), []
    for part in buckets(weight.flatten().double().tolist(), bucket):
        low, high = min(part), max(part)
        values = [low + (high - low) * k / (2**bits - 1) for k in range(2**bits)]
        naive += [min(values, key=lambda v: abs(v - w)) for w in part]  # noqa: B023
    made = Q.Uniform(weight, bits=bits, bucket=bucket)(weight)
    torch.testing.assert_close(made.flatten(), torch.tensor(naive), rtol=1e-5, atol=1e-6)  # float32 scaling and back


def test_a_constant_bucket_stays():
    assert torch.equal(Q.Uniform(torch.ones(4))(torch.full((4,), 2.5)), torch.full((4,), 2.5))


@pytest.mark.parametrize("scale", [False, True])
def test_ternary_by_hand(scale):
    """mean |w| = 1, so the threshold is 0.7: 0.6 goes, 0.8 stays."""
    weight = torch.tensor([0.6, -0.8, 1.8, -0.1, 1.7])  # mean |w| = 1
    size = (0.8 + 1.8 + 1.7) / 3 if scale else 1.0
    made = Q.Ternary(weight, scale=scale)(weight)
    torch.testing.assert_close(made, size * torch.tensor([0.0, -1.0, 1.0, 0.0, 1.0]))


@every
def test_the_gradient_passes_straight_through_or_to_the_levels(kind, settings):
    weight, upstream = draw(4, 5).requires_grad_(), draw(4, 5, seed=1)
    quantiser = kind(weight, **settings)
    (quantiser(weight) * upstream).sum().backward()
    if kind is not Q.Levels:
        assert torch.equal(weight.grad, upstream)
        return
    assert weight.grad is None
    naive, flat = [0.0] * 8, weight.detach().flatten().tolist()
    for part, slopes in zip(buckets(flat, 8), buckets(upstream.flatten().tolist(), 8), strict=True):
        low, spread = min(part), max(part) - min(part)
        for w, g in zip(part, slopes, strict=True):
            levels = quantiser.levels.tolist()
            j = min(range(8), key=lambda k: abs((w - low) / spread - levels[k]))  # noqa: B023
            naive[j] += spread * g
    torch.testing.assert_close(quantiser.levels.grad, torch.tensor(naive), rtol=1e-4, atol=1e-5)


def test_levels_start_at_the_quantiles_of_the_scaled_weights():
    weight = draw(6, 4)
    flat = weight.flatten().numpy()
    scaled = np.concatenate([(p - p.min()) / (p.max() - p.min()) for p in buckets(flat, 8)])
    expected = np.percentile(scaled, np.linspace(0, 100, 8))
    torch.testing.assert_close(Q.Levels(weight, bits=3, bucket=8).levels.detach(), torch.from_numpy(expected).float())


def test_levels_need_no_order():
    weight = draw(30)
    quantiser = Q.Levels(weight, bits=2, bucket=30)
    before = quantiser(weight)
    quantiser.levels.data = quantiser.levels.data.flip(0)
    torch.testing.assert_close(quantiser(weight), before)


@every
def test_what_is_stored_is_enough(kind, settings):
    weight = draw(3, 7)
    quantiser = kind(weight, **settings)
    again = quantiser.restored(quantiser.stored(weight), weight.shape)
    assert torch.equal(again, quantiser(weight).detach())


def quantised(module, kind, **settings):
    cast = Cast({"student": module})
    Q.Quantise("student", lambda w: kind(w, **settings))(cast, Progress("any", 0, 1, seed=0))
    return cast["student"]


@pytest.mark.parametrize(
    ("kind", "settings", "bits"),
    [  # 15 weights and 3 biases of 32 bits
        (Q.Uniform, {"bits": 2, "bucket": 4}, 4 * 8 + 4 * 2 * 32 + 96),  # 30 bits of codes in 4 bytes; 4 buckets
        (Q.Uniform, {"bits": 4, "bucket": 256}, 8 * 8 + 2 * 32 + 96),
        (Q.Levels, {"bits": 2, "bucket": 256}, 4 * 8 + 2 * 32 + 4 * 32 + 96),
        (Q.Ternary, {}, 4 * 8 + 96),
        (Q.Ternary, {"scale": True}, 4 * 8 + 32 + 96),
    ],
)
def test_true_bits_by_hand(kind, settings, bits):
    assert Q.true_bits(nn.Linear(5, 3)) == 18 * 32
    assert Q.true_bits(quantised(nn.Linear(5, 3), kind, **settings)) == bits


def test_buffers_count_too():
    """8 + 8 weights and biases, 8 + 8 running statistics of 32 bits, and a counter of 64."""
    assert Q.true_bits(nn.BatchNorm2d(8)) == 4 * 8 * 32 + 64


def test_packing_leaves_no_gaps():
    codes = torch.randint(0, 8, (21,), generator=torch.Generator().manual_seed(0))
    packed = Q.pack(codes, 3)
    assert len(packed) == 8 and torch.equal(Q.unpack(packed, 3, 21), codes)  # 63 bits


def test_quantising_twice_is_quantising_once():
    layer = quantised(nn.Linear(5, 3), Q.Uniform, bits=2)
    before = layer.weight
    Q.Quantise("student", Q.Uniform)(Cast({"student": layer}), Progress("any", 0, 1, seed=0))
    assert torch.equal(layer.weight, before) and len(layer.parametrizations.weight) == 1


@pytest.mark.parametrize("bits", [0, 9])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(UserError, match="1 to 8 bits"):
        Q.Uniform(torch.ones(3), bits=bits)


def test_a_step_moves_the_full_weights_by_the_gradient_at_the_quantised_ones():
    layer, x = quantised(nn.Linear(5, 3), Q.Uniform, bits=1), draw(4, 5)
    start, used = layer.parametrizations.weight.original.detach().clone(), layer.weight.detach().clone()
    y = draw(4, 3, seed=1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    (layer(x) - y).square().sum().backward()
    optimizer.step()
    residual = x @ used.T + layer.bias.detach() + 0.1 * layer.bias.grad - y
    torch.testing.assert_close(layer.parametrizations.weight.original.detach(), start - 0.1 * 2 * residual.T @ x)


def test_the_distilled_student_answers_in_few_bits():
    cast, _ = train(find("quantised_distillation")(bits=2, bucket=16))
    for _, quantiser, weight in Q.quantisers(cast["student"]):
        for part in buckets(quantiser(weight).detach().flatten().tolist(), 16):
            assert len({round(w, 6) for w in part}) <= 4
    assert Q.true_bits(cast["student"]) < Q.true_bits(make_cast(find("kd")())["student"]) / 2


def test_the_followers_weights_are_minus_one_zero_and_one():
    cast, _ = train(find("gradual")())
    convs = [m for m in cast["student"].modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(convs) == 4
    assert {w for m in convs for w in m.weight.flatten().tolist()} == {-1.0, 0.0, 1.0}


def test_stage_two_of_differentiable_quantisation_moves_levels_and_keeps_weights():
    method = find("differentiable_quantisation")(bits=2)
    first, _ = train(method.but(stages=method.stages[:1]))
    both, _ = train(method)
    before, after = states(first), states(both)
    for name in ("student.layer1.0.0", "student.layer2.0.0", "student.layer3.0.0", "student.linear"):
        kept = after[f"{name}.parametrizations.weight.original"]
        assert torch.equal(kept, before[f"{name}.weight"])
        start = Q.Levels(before[f"{name}.weight"], bits=2).levels
        assert not torch.equal(after[f"{name}.parametrizations.weight.0.levels"], start)
        layer = both.find(name)
        assert parametrize.is_parametrized(layer) and not any("original" in n for n, _ in layer.named_parameters())
