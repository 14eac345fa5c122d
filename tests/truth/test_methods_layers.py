"""What is read inside a network: activation boundaries, layer pairs and instance graphs (rows 20, 21, 22)."""

import pytest
import torch
from digits import values

from limbeck.connectors import Connector
from limbeck.errors import UserError
from limbeck.methods import find
from limbeck.transforms.combine import aligned, layer_scores, pooled


def maps(cast, role, batch, *, before=False):
    """The maps of layer1 .. layer3 by hand, after or before their ReLU."""
    x, found = cast.adapter_of(role).prepare(batch["inputs"]), []
    for name in ("layer1", "layer2", "layer3"):
        conv, norm, relu = cast[role].get_submodule(name)[0]
        inner = norm(conv(x))
        x = relu(inner)
        found.append(inner if before else x)
    return found


@pytest.mark.parametrize("before", [False, True])
def test_activation_boundaries_by_hand(before):
    paths = tuple(f"layer{k}.0.2" for k in (1, 2, 3)) if before else ("layer1", "layer2", "layer3")
    method = find("activation_boundary")(at=paths, before=before)
    cast, batch, _, means = values(method)
    mine, theirs = (maps(cast, role, batch, before=before) for role in ("student", "teacher"))
    assert (min(x.min().item() for x in mine) < 0) == before  # a ReLU leaves nothing below 0
    for k, path in enumerate(paths):
        s, t = cast[f"connector_{k + 1}"](mine[k]), theirs[k]
        gap = torch.where(t > 0, (1 - s).clamp_min(0), (1 + s).clamp_min(0)).square().sum((1, 2, 3)).mean()
        torch.testing.assert_close(means[f"boundary {path}"], 0.003 * gap)
    assert [t.weight for t in method.stages[0].updates[0].terms] == [0.25, 0.5, 1.0]


def test_boundaries_of_the_teacher_are_the_same_after_its_relu():
    cast, batch, _, _ = values(find("activation_boundary")())
    after, earlier = maps(cast, "teacher", batch), maps(cast, "teacher", batch, before=True)
    assert all(torch.equal(a > 0, b > 0) for a, b in zip(after, earlier, strict=True))


def test_a_connector_can_be_negative_and_refuses_other_sizes():
    torch.manual_seed(0)
    x = torch.rand(8, 3, 4, 4)
    assert Connector(x, torch.zeros(8, 5, 4, 4))(x).min() < 0
    with pytest.raises(UserError, match="one size"):
        Connector(x, torch.zeros(8, 5, 2, 2))


def test_layer_pairs_are_compared_in_the_common_space():
    cast, batch, _, means = values(find("lsl")(size=5))
    for k, layer in ((1, 1), (2, 2)):
        s, t = (maps(cast, role, batch)[layer].mean((2, 3)) for role in ("student", "teacher"))
        a, b = cast[f"align_{k}"].map, cast[f"align_teacher_{k}"].map
        gap = (s @ a.weight.T + a.bias) - (t @ b.weight.T + b.bias)
        torch.testing.assert_close(means[f"align layer{layer + 1}"], gap.square().sum(1).sqrt().mean())
    reached = torch.autograd.grad(means["align layer2"], list(cast["align_teacher_1"].parameters()), allow_unused=True)
    assert reached == (None, None) and find("lsl")().stages[0].trains == ("student", "align_1", "align_2")


def test_layer_scores_by_loops():
    generator = torch.Generator().manual_seed(0)
    features = {"a": torch.randn(6, 3, 2, 2, generator=generator), "b": torch.randn(6, 5, generator=generator)}
    labels = torch.tensor([0, 1, 2, 0, 1, 2])

    def cosine(x, y):
        return (x @ y / x.norm() / y.norm()).item()

    points = {"a": features["a"].mean((2, 3)), "b": features["b"]}
    grams = {k: torch.stack([torch.stack([x @ y for y in v]) for x in v]).flatten() for k, v in points.items()}
    for name, score in layer_scores(features, labels).items():
        means = [points[name][labels == c].mean(0) for c in range(3)]
        within = sum(cosine(means[i], means[j]) for i in range(3) for j in range(3) if i != j) / 6
        assert score == pytest.approx(within + cosine(grams["a"], grams["b"]), abs=1e-5)


def test_aligned_by_hand():
    first = torch.arange(16.0).view(1, 1, 4, 4)
    second = torch.arange(16.0).view(1, 4, 2, 2)
    a, b = aligned(first, second)
    torch.testing.assert_close(a[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]))
    torch.testing.assert_close(b[0, 0], second[0].mean(0))
    with pytest.raises(UserError, match="multiple"):
        aligned(torch.zeros(1, 2, 2, 2), torch.zeros(1, 3, 2, 2))


def test_the_instance_graph_by_loops():
    cast, batch, _, means = values(find("irg")())
    s, t = (maps(cast, role, batch) for role in ("student", "teacher"))
    logits = [cast[r].linear(x[2].mean((2, 3))) for r, x in (("student", s), ("teacher", t))]
    torch.testing.assert_close(means["vertices"], (logits[0] - logits[1]).square().mean())

    def edges(x):
        x = x.mean((2, 3))
        far = (x.unsqueeze(0) - x.unsqueeze(1)).square().sum(-1)
        return far / far.max()

    for k in (1, 2):
        gap = (edges(s[k]) - edges(t[2])).square().mean()
        torch.testing.assert_close(means[f"edges layer{k + 1}"], gap, rtol=1e-4, atol=1e-6)

    def moves(first, second):
        wide = second.mean((2, 3)).view(len(second), first.shape[1], -1).mean(2)
        far = (first.mean((2, 3)) - wide).square().sum(1)
        return far / far.max()

    expected = (moves(s[0], s[1]) - moves(t[0], t[1])).square().mean()
    torch.testing.assert_close(means["move layer1-layer2"], expected, rtol=1e-4, atol=1e-8)
    assert torch.equal(pooled(torch.ones(2, 3)), torch.ones(2, 3))
