"""What every transform promises: numbers by naive loops, gradients, precision, and the order of randomness."""

from math import sqrt

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from limbeck import transforms as T  # noqa: N812
from limbeck.errors import UserError

DOUBLE = torch.float64


def draw(*shape, seed=0):
    return torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


X, MAP = draw(4, 6), draw(3, 2, 4, 4)
DIFFERENTIABLE = {
    "flatten": (T.flatten, (MAP,)),
    "normalise": (T.normalise, (X,)),
    "standardise": (T.standardise, (X,)),
    "probabilities": (T.probabilities, (X,)),
    "attention_map": (T.attention_map, (MAP,)),
    "gram": (T.gram, (MAP,)),
    "pool_to": (lambda x: T.pool_to(x, (2, 3)), (MAP,)),
    "flow_matrix": (T.flow_matrix, (MAP, draw(3, 5, 2, 2, seed=1))),
    "pairwise_distances": (T.pairwise_distances, (X,)),
    "angles": (T.angles, (X,)),
    "class_similarity": (T.class_similarity, (X,)),
    "mean_of": (T.mean_of, (X, draw(4, 6, seed=1))),
    "weighted_logits": (T.weighted_logits, (draw(2), X, draw(4, 6, seed=1))),
    "attended_target": (T.attended_target, (draw(4, 3), draw(2, 4, 3, seed=1), draw(2, 4, 6, seed=2))),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_and_precision(name):
    fn, tensors = DIFFERENTIABLE[name]
    assert torch.autograd.gradcheck(fn, [t.clone().requires_grad_() for t in tensors])
    assert fn(*tensors).dtype == DOUBLE
    for dtype in (torch.float16, torch.bfloat16):
        value = fn(*[(t.sign() * 100).to(dtype) for t in tensors])
        assert value.dtype == torch.float32 and value.isfinite().all()


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_autocast_changes_nothing(name):
    fn, tensors = DIFFERENTIABLE[name]
    tensors = [t.float() for t in tensors]
    plain = fn(*tensors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(fn(*tensors), plain, rtol=0, atol=0)


def test_zero_vectors_have_finite_gradients():
    for fn in (T.normalise, T.standardise, T.pairwise_distances, T.angles, T.class_similarity):
        x = torch.zeros(3, 4, requires_grad=True)
        fn(x).sum().backward()
        assert x.grad.isfinite().all(), fn
    x = torch.zeros(2, 3, 4, 4, requires_grad=True)
    T.attention_map(x).sum().backward()
    assert x.grad.isfinite().all()


def test_attention_map_sums_channels_and_has_length_one():
    q = T.attention_map(MAP, power=4.0)
    naive = MAP[1].pow(4).sum(0).flatten()
    torch.testing.assert_close(q[1], naive / naive.norm())
    torch.testing.assert_close(q.norm(dim=1), torch.ones(3, dtype=DOUBLE))


def test_flow_matrix_by_loop():
    second = draw(3, 5, 2, 2, seed=1)
    small = F.adaptive_avg_pool2d(MAP, (2, 2))
    naive = sum(small[2, 1, i, j] * second[2, 4, i, j] for i in range(2) for j in range(2)) / 4
    torch.testing.assert_close(T.flow_matrix(MAP, second)[2, 1, 4], naive)
    with pytest.raises(UserError):
        T.flow_matrix(MAP, second[:1])


def test_match_spatial_leaves_equal_sizes_alone():
    first, second = T.match_spatial(MAP, MAP)
    assert first is MAP and second is MAP
    tall, wide = T.match_spatial(torch.zeros(1, 1, 8, 2), torch.zeros(1, 1, 4, 6))
    assert tall.shape[-2:] == wide.shape[-2:] == (4, 2)


def test_distances_and_angles_by_loop():
    d, a = T.pairwise_distances(X), T.angles(X)
    for i, j, k in [(0, 1, 2), (3, 1, 0), (2, 2, 1)]:
        assert d[i, j].item() == pytest.approx(sqrt(sum((p - q) ** 2 for p, q in zip(X[i].tolist(), X[j].tolist(), strict=True))))
        left, right = X[j] - X[i], X[k] - X[i]
        expected = 0.0 if i == j else (left @ right / left.norm() / right.norm()).item()
        assert a[i, j, k].item() == pytest.approx(expected)
    torch.testing.assert_close(T.pairwise_distances(X, squared=True), d**2)


def test_standardise_is_blind_to_shift_and_scale():
    torch.testing.assert_close(T.standardise(3 * X + 5), T.standardise(X), rtol=1e-6, atol=1e-6)  # the 1e-7 remains
    torch.testing.assert_close(T.standardise(X), (X - X.mean(1, keepdim=True)) / (X.std(1, keepdim=True) + 1e-7))


def test_class_similarity_rows_span_zero_to_one():
    c = T.class_similarity(X)
    assert (c.amin(1) == 0).all() and torch.equal(c.argmax(1), torch.arange(4)) and not torch.allclose(c, c.T)


def test_permute_non_target_keeps_the_top_and_the_rest_as_a_set():
    logits = draw(200, 6)
    shuffled = T.permute_non_target(logits, torch.Generator().manual_seed(3))
    assert torch.equal(shuffled.argmax(1), logits.argmax(1))
    assert torch.equal(shuffled.sort(1).values, logits.sort(1).values)
    again = T.permute_non_target(logits, torch.Generator().manual_seed(3))
    assert torch.equal(shuffled, again)
    moved = (shuffled != logits).double().sum(1).mean().item()
    assert 3.5 < moved < 4.5  # five others: 4 leave their place on average; 200 samples, sd about 0.07


def test_tied_tops_stay_whole():
    tied = torch.tensor([[1.0, 1.0, 0.0]]).expand(50, 3)
    shuffled = T.permute_non_target(tied, torch.Generator().manual_seed(0))
    assert (shuffled[:, 0] == 1).all() and (shuffled.sum(1) == 2).all()


def test_smoothed_and_hard():
    s = T.smoothed(torch.tensor([[2, 0]]), 4, amount=0.2)
    torch.testing.assert_close(s[0, 0], torch.tensor([0.05, 0.05, 0.85, 0.05]))
    assert torch.equal(T.hard_labels(s), torch.tensor([[2, 0]]))


def test_top_k_with_tail_adds_up():
    indices, top, tail = T.top_k_with_tail(X, 3, temperature=2.0)
    torch.testing.assert_close(top.sum(-1) + tail, torch.ones(4, dtype=DOUBLE))
    torch.testing.assert_close(top, (X / 2).softmax(-1).gather(-1, indices))


def test_mean_of_refuses_unequal_shapes():
    with pytest.raises(UserError, match="mean_of"):
        T.mean_of(X, X[:1])


def test_covariance_weights_minimise_the_error():
    labels, peers = torch.tensor([0, 1, 2, 3]), [draw(4, 6, seed=k) for k in range(3)]
    errors = torch.stack([p.softmax(-1) - F.one_hot(labels, 6) for p in peers]).flatten(1)
    weights = T.covariance_weights(labels, *peers)

    def size(w):
        return (w @ errors).square().sum()

    assert weights.sum().item() == pytest.approx(1)
    for direction in ([1.0, -1.0, 0.0], [0.0, 1.0, -1.0]):
        step = 1e-3 * torch.tensor(direction, dtype=DOUBLE)
        assert size(weights) < size(weights + step) and size(weights) < size(weights - step)


def test_equal_peers_share_evenly():
    peer = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    shared = T.covariance_weights(torch.tensor([0, 1]), peer, peer)
    torch.testing.assert_close(shared, torch.full((2,), 0.5), rtol=0, atol=1e-3)  # float32 rounding over a ridge of √eps
    perfect = torch.tensor([[500.0, 0.0], [0.0, 500.0]])
    torch.testing.assert_close(T.covariance_weights(torch.tensor([0, 1]), perfect, perfect), torch.full((2,), 0.5))


def test_attended_target_is_a_distribution():
    fn, tensors = DIFFERENTIABLE["attended_target"]
    torch.testing.assert_close(fn(*tensors).sum(-1), torch.ones(4, dtype=DOUBLE))


def test_lowest_loss_logits_needs_peers():
    with pytest.raises(UserError, match="nothing was given"):
        T.lowest_loss_logits(torch.tensor([0]))


def test_the_quick_mean_of_squares_has_the_gradients_of_the_plain_one():
    from limbeck.transforms.numerics import mean_square

    x = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.equal(mean_square(x), x.square().mean(1))
    assert torch.autograd.gradcheck(mean_square, x) and torch.autograd.gradgradcheck(mean_square, x)
