"""CKA against a naive computation and its invariances; what is read back where it is known how much there is."""

import pytest
import torch
from torch import nn

from limbeck.explanation.inside import cka, gram, kept_of_input, kept_of_label, layer_grams, places, similarity, small


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(x, y):
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with the centring matrix written out, entry by entry."""
    n = len(x)
    h = torch.eye(n, dtype=torch.float64) - 1 / n
    k, l = x @ x.T, y @ y.T  # noqa: E741
    hsic = lambda a, b: float(sum((h @ a @ h)[i, j] * b[i, j] for i in range(n) for j in range(n)))  # noqa: E731
    return hsic(k, l) / (hsic(k, k) * hsic(l, l)) ** 0.5


def test_cka_is_the_naive_one():
    x, y = drawn(12, 5) + 3, drawn(12, 7, seed=1) * 2 - 1
    y[:, :3] += x[:, :3]
    assert cka(gram(x), gram(y)) == pytest.approx(naive(x, y), abs=1e-12)


def test_cka_is_unchanged_by_rotation_scale_and_shift_but_not_by_any_linear_map():
    x, y = drawn(60, 6), drawn(60, 4, seed=1)
    rotation = torch.linalg.qr(drawn(6, 6, seed=2)).Q
    assert cka(gram(x), gram(x @ rotation)) == pytest.approx(1.0, abs=1e-12)
    assert cka(gram(5 * x @ rotation + 7), gram(y)) == pytest.approx(cka(gram(x), gram(y)), abs=1e-12)
    assert cka(gram(x), gram(y)) == cka(gram(y), gram(x))
    assert cka(gram(x), gram(x @ torch.diag(torch.tensor([10.0, 1, 1, 1, 1, 1], dtype=torch.float64)))) < 0.8


def test_cka_of_unrelated_features_is_the_floor():
    x, y = drawn(300, 5), drawn(300, 5, seed=1)
    assert cka(gram(x), gram(y)) < 0.05
    pair = similarity({"a": gram(x)}, {"b": gram(x), "c": gram(y)})
    assert pair["cka"][0][0] == 1.0 and pair["cka"][0][1] < 0.05 and pair["floor"] < 0.05
    assert similarity({"a": gram(torch.ones(10, 2))}, {"b": gram(drawn(10, 2))})["cka"] == [[None]]  # a layer that says nothing


def test_layers_are_found_in_order_and_those_that_run_twice_are_not():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first, self.twice, self.never = (
                nn.Linear(3, 2),
                nn.Linear(4, 3),
                nn.ReLU(inplace=True),
                nn.Linear(1, 1),
            )

        def forward(self, x):
            return self.last(self.twice(self.twice(self.first(x))))

    torch.manual_seed(0)
    net, x = Net(), torch.randn(9, 4)
    found = layer_grams(net, lambda: net(x), 9)
    assert list(found) == ["first", "last"]
    assert torch.allclose(found["first"], gram(net.first(x)))  # as it was before the in-place ReLU


def test_few_children_are_looked_into():
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), nn.Linear(2, 2))
    assert list(places(net)) == ["0.0", "0.1", "0.2", "1"]
    assert list(places(nn.Linear(2, 2))) == []
    many = nn.Sequential(*[nn.ReLU() for _ in range(40)])
    assert len(places(many)) == 14 and list(places(many))[-1] == "39"


def test_what_is_read_back_is_what_is_there():
    x = drawn(400, 8)
    assert kept_of_input(gram(x), x) > 0.999
    assert kept_of_input(gram(x @ drawn(8, 8, seed=3)), x) > 0.99  # any map that can be undone
    assert kept_of_input(gram(x[:, :4]), x) == pytest.approx(0.5, abs=0.08)  # half of independent columns; 80 samples
    assert -0.2 < kept_of_input(gram(drawn(400, 8, seed=4)), x) < 0.05  # nothing
    assert kept_of_input(gram(torch.ones(400, 3)), x) == pytest.approx(0.0, abs=0.05)


def test_the_label_read_back():
    labels = torch.arange(300) % 3
    sure = nn.functional.one_hot(labels, 3).double() + 0.05 * drawn(300, 3)
    assert kept_of_label(gram(sure), labels, 3) == 1.0
    assert kept_of_label(gram(drawn(300, 3)), labels, 3) < 0.6


def test_the_input_is_made_small():
    assert small(torch.ones(2, 3, 32, 32), None).shape == (2, 3 * 64) and small(torch.ones(2, 1, 6, 6), None).shape == (2, 36)
    assert small(torch.full((2, 2), 6.0), torch.tensor([2.0, 3.0])).tolist() == [[3.0, 2.0]] * 2
