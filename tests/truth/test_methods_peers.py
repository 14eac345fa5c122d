"""Groups that teach one another, each loss rebuilt with plain torch from the networks themselves (rows 10, 13, 14, 23,
25, 26, 27), and the parts and rules they need."""

import copy

import pytest
import torch
from byhand import weights
from digits import make_cast, streams, train, values
from torch.nn import functional as F  # noqa: N812

from limbeck import connectors, engine, models
from limbeck.engine.check import build_parts
from limbeck.errors import UserError
from limbeck.methods import find
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.transforms.answers import convex_logits, least_logits, mean_probabilities

CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # float32 sums in another order


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def net(cast, role, x):
    """(map1, map2, map3, logits) of a tiny CNN by hand."""
    x, found = cast.adapter_of(role).prepare(x), []
    for name in ("layer1", "layer2", "layer3"):
        x = cast[role].get_submodule(name)(x)
        found.append(x)
    return (*found, cast[role].linear(x.mean((2, 3))))


def soft(student, teacher, temperature):
    """T^2 KL by torch's own."""
    log_p, log_q = (F.log_softmax(z / temperature, 1) for z in (teacher, student))
    return temperature**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def agree(means, expected):
    assert means.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(means[name].detach(), value.detach(), **CLOSE)


def tail(part, x):
    x, seen = part.enter(x), []
    for layer in part.layers:
        x = layer(x)
        seen.append(x)
    return seen


# ------------------------------------------------------------------------------------------ parts


@pytest.mark.parametrize("model", ["cnn", "resnet8", "vgg8"])
def test_a_tail_with_the_same_weights_is_the_rest_of_the_network(model):
    torch.manual_seed(0)
    whole = models.build(model, classes=10, shape=(3, 32, 32)).eval()
    rest = ("layer2", "layer3", "pool", "linear")
    seen = {}
    hook = whole.layer1.register_forward_hook(lambda m, a, out: seen.update(trunk=out))
    logits = whole(draw(2, 3, 32, 32))
    hook.remove()
    branch = connectors.Tail(seen["trunk"], *(whole.get_submodule(n) for n in rest)).eval()
    outputs = branch(seen["trunk"])
    assert len(outputs) == 4 and torch.equal(outputs[-1], logits)


@pytest.mark.parametrize("model", ["cnn", "resnet8", "resnet8x4", "vgg8", "mobilenetv2"])
@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_a_resized_tail_fits_together(model, ratio):
    whole = models.build(model, classes=10, shape=(3, 32, 32))
    names = [n for n, _ in whole.named_children()]
    rest = names[names.index("layer1") + 1 :]
    x = whole.get_submodule("layer1")(draw(2, *trunk_input(whole)))
    cast = Cast({"student": whole})
    branch = connectors.Tail(x, *(cast.fresh(f"student.{n}") for n in rest), ratio=ratio)
    assert branch(x)[-1].shape == (2, 10)


def trunk_input(whole):
    found = {}
    hook = whole.layer1.register_forward_pre_hook(lambda m, args: found.update(shape=args[0].shape[1:]))
    whole(torch.zeros(2, 3, 32, 32))
    hook.remove()
    return found["shape"]


def test_parameters_of_a_half_and_a_double_tail_by_hand():
    """cnn of width 4: layer2 4 -> 8, layer3 8 -> 16, linear 16 -> 10. Halved: 1x1 4 -> 2, 2 -> 4, 4 -> 8, 8 -> 10."""
    whole = models.build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": 4})
    for ratio, (a, b, c) in ((0.5, (2, 4, 8)), (2.0, (8, 16, 32))):
        layers = [getattr(whole, n) for n in ("layer2", "layer3", "pool", "linear")]
        made = connectors.Tail(torch.zeros(2, 4, 8, 8), *copy.deepcopy(layers), ratio=ratio)
        expected = 4 * a + 2 * a + 9 * a * b + 2 * b + 9 * b * c + 2 * c + 10 * c + 10
        assert sum(p.numel() for p in made.parameters()) == expected


def test_fresh_copies_are_untrained_and_apart():
    cast = make_cast(find("one")())
    build_parts(find("one")(), cast, streams(find("one")())(("train",), 0))
    own, second, third = cast["student"].layer3[0][0], cast["branch_2"].layers[0][0][0], cast["branch_3"].layers[0][0][0]
    assert own.weight.shape == second.weight.shape
    assert not torch.equal(own.weight, second.weight) and not torch.equal(second.weight, third.weight)


def test_a_trunk_gate_by_hand():
    torch.manual_seed(0)
    trunk, answers = draw(5, 3, 2, 2), [draw(5, 4, seed=k) for k in (1, 2)]
    gate = connectors.TrunkGate(trunk, *answers)
    scores = trunk.mean((2, 3)) @ gate.score[0].weight.T + gate.score[0].bias
    scores = (scores - scores.mean(0)) / (scores.var(0, unbiased=False) + 1e-5).sqrt()
    shares = scores.clamp_min(0).softmax(1)
    torch.testing.assert_close(gate(trunk, *answers), shares[:, :1] * answers[0] + shares[:, 1:] * answers[1], **CLOSE)


def test_fusion_by_hand():
    torch.manual_seed(0)
    maps = draw(3, 2, 4, 4), draw(3, 5, 2, 2, seed=1)
    fusion = connectors.Fusion(*maps, draw(3, 7)).eval()
    joined = torch.cat([F.avg_pool2d(maps[0], 2), maps[1]], 1)
    weight, scale = fusion.fuse[0].weight, (1 + 1e-5) ** -0.5  # fresh batch-norm in evaluation mode
    deep = torch.cat([F.conv2d(joined[:, c : c + 1], weight[c : c + 1], padding=1) for c in range(7)], 1)
    point = torch.einsum("nchw,dc->ndhw", (deep * scale).relu(), fusion.fuse[3].weight[:, :, 0, 0])
    expected = (point * scale).relu().mean((2, 3)) @ fusion.linear.weight.T + fusion.linear.bias
    torch.testing.assert_close(fusion(*maps), expected, **CLOSE)


# ------------------------------------------------------------------------------------------ rules of combination


def test_least_logits_by_loops():
    labels, peers = torch.tensor([1, 0, 3]), [draw(3, 4, seed=k) for k in range(3)]
    naive = [[min(p[n, c] - p[n, y] for p in peers) for c in range(4)] for n, y in enumerate(labels.tolist())]
    torch.testing.assert_close(least_logits(labels, *peers), torch.tensor(naive))


def test_convex_logits_against_a_grid():
    labels, (a, b) = torch.randint(0, 4, (40,), generator=torch.Generator().manual_seed(3)), (draw(40, 4, seed=k) for k in (1, 2))
    shares = torch.linspace(0, 1, 2001).view(-1, 1, 1)
    losses = F.cross_entropy((shares * a + (1 - shares) * b).transpose(1, 2), labels.expand(2001, -1), reduction="none")
    made = F.cross_entropy(convex_logits(labels, a, b), labels, reduction="none")
    torch.testing.assert_close(made, losses.amin(0), rtol=1e-3, atol=2e-4)  # the grid's own step


def test_convex_logits_of_three_meet_the_optimality_condition():
    """At the best shares the slope in every direction of the simplex is >= 0: min_k <g, z_k> >= <g, z>."""
    labels, peers = torch.tensor([0, 1, 2, 3, 0]), [draw(5, 4, seed=k) for k in (4, 5, 6)]
    z = convex_logits(labels, *peers, steps=400)
    slope = z.softmax(1) - F.one_hot(labels, 4)
    corners = torch.stack([(slope * p).sum(1) for p in peers])
    assert ((slope * z).sum(1) - corners.amin(0)).max() < 2e-3


def test_combinations_of_equal_peers_are_the_peer():
    labels, z = torch.tensor([0, 2]), draw(2, 3)
    torch.testing.assert_close(convex_logits(labels, z, z), z)
    torch.testing.assert_close(least_logits(labels, z, z).log_softmax(1), z.log_softmax(1))
    torch.testing.assert_close(mean_probabilities(z, z, temperature=2.0), (z / 2).softmax(1))


def test_general_weights_are_measured_on_validation_in_evaluation_mode():
    method = find("kdcl_general")(peers=("student", "peer", "third"))
    cast, _ = train(method, steps=1)  # one step: weights measured first, then the peers move
    start = make_cast(method).eval()
    batch = streams(method).whole(("validation",))
    views = ("inputs", "view_2", "view_3")
    errors = [
        start.feed(p, batch[v]).softmax(1) - F.one_hot(batch["labels"], 10) for p, v in zip(method.roles(), views, strict=True)
    ]
    c = torch.tensor([[(a * b).sum(1).mean().item() for b in errors] for a in errors], dtype=torch.float64)
    inverse = torch.linalg.inv(c)
    torch.testing.assert_close(cast["ensemble"].weights.double(), inverse.sum(1) / inverse.sum(), rtol=1e-2, atol=1e-3)


def test_general_weights_are_measured_once_an_epoch_and_no_data_is_drawn_for_them_in_between():
    method, asked, seen = find("kdcl_general")(), [], []
    plain = streams(method)

    class Watched:
        def __call__(self, partitions, position):
            return plain(partitions, position)

        def whole(self, partitions):
            asked.append(len(seen))
            return plain.whole(partitions)

    def listen(kind, facts):
        seen.extend([facts["terms"]] if kind == "step" and "task student" in facts["terms"] else [])

    cast = make_cast(method)
    fit = engine.Fit(steps=12, steps_per_epoch=6)
    engine.train(method, cast, Watched(), fit, seed=0, device="cpu", listen=listen)
    assert len(seen) == 12 and asked[-2:] == [0, 6]  # before them only the check of the plan looks


# ------------------------------------------------------------------------------------------ whole losses


def test_one():
    cast, batch, scene, means = values(find("one")())
    _, trunk, _, z1 = net(cast, "student", batch["inputs"])
    z = [z1, *(tail(cast[f"branch_{k}"], trunk)[-1] for k in (2, 3))]
    shares = cast["gate"].score(trunk.mean((2, 3))).softmax(1)
    ze = sum(shares[:, k : k + 1] * z[k] for k in range(3))
    y = batch["labels"]
    expected = {"task": F.cross_entropy(z1, y), "task gate": F.cross_entropy(ze, y)}
    expected |= {f"task branch_{k}": F.cross_entropy(z[k - 1], y) for k in (2, 3)}
    agree(means, expected | {f"soft branch_{k}": soft(z[k - 1], ze, 3.0) for k in (1, 2, 3)})
    own = list(cast["gate"].parameters())
    assert all(g is None for g in torch.autograd.grad(means["soft branch_2"], own, allow_unused=True, retain_graph=True))


@pytest.mark.parametrize("name", ["okddip", "okddip_code"])
def test_okddip(name):
    method = find(name)()
    cast, batch, _, means = values(method)
    outputs = {p: net(cast, p, batch["inputs"]) for p in method.roles()}
    peers, y, t = ("peer_1", "peer_2", "peer_3"), batch["labels"], 3.0
    h = {p: outputs[p][2].mean((2, 3)) for p in peers}
    ask, offer = cast["attention"].query.weight, cast["attention"].key.weight
    assert ask.shape == (2, 16)
    z = {p: outputs[p][3].detach() for p in peers}
    expected = {("task" if p == "student" else f"task {p}"): F.cross_entropy(outputs[p][3], y) for p in method.roles()}
    for p in peers:
        energy = torch.stack([((h[p] @ ask.T) * (h[q] @ offer.T)).sum(1) for q in peers], 1)
        alpha = energy.softmax(1)
        if name == "okddip":
            target = sum(alpha[:, k : k + 1] * (z[q] / t).softmax(1) for k, q in enumerate(peers))
            expected[f"soft {p}"] = F.kl_div((outputs[p][3] / t).log_softmax(1), target, reduction="batchmean")
        else:
            expected[f"soft {p}"] = soft(outputs[p][3], sum(alpha[:, k : k + 1] * z[q] for k, q in enumerate(peers)), t)
    leader = outputs["student"][3]
    mean = torch.stack([(z[p] / t).softmax(1) if name == "okddip" else z[p] for p in peers]).mean(0)
    lead = F.kl_div((leader / t).log_softmax(1), mean, reduction="batchmean") if name == "okddip" else soft(leader, mean, t)
    agree(means, expected | {"soft student": lead})
    weights = {term.weight.end for _, _, term in method.terms() if term.name.startswith("soft")}
    assert weights == ({9.0} if name == "okddip" else {1.0})
    learns = torch.autograd.grad(means["soft peer_1"], [ask, offer], retain_graph=True)
    assert all(g.abs().sum() > 0 for g in learns)  # the attention learns to make targets


def test_okddip_on_branches():
    method = find("okddip_branches")()
    cast, batch, _, means = values(method)
    _, trunk, _, leader = net(cast, "student", batch["inputs"])
    names, y, t = ("branch_1", "branch_2", "branch_3"), batch["labels"], 3.0
    out = {n: tail(cast[n], trunk) for n in names}
    h, z = {n: x[1] for n, x in out.items()}, {n: x[-1].detach() for n, x in out.items()}
    assert all(x.shape == (len(y), 16) for x in h.values())
    ask, offer = cast["attention"].query.weight, cast["attention"].key.weight
    expected = {"task": F.cross_entropy(leader, y)} | {f"task {n}": F.cross_entropy(x[-1], y) for n, x in out.items()}
    for n in names:
        alpha = torch.stack([((h[n] @ ask.T) * (h[q] @ offer.T)).sum(1) for q in names], 1).softmax(1)
        target = sum(alpha[:, k : k + 1] * (z[q] / t).softmax(1) for k, q in enumerate(names))
        expected[f"soft {n}"] = F.kl_div((out[n][-1] / t).log_softmax(1), target, reduction="batchmean")
    crowd = sum((z[n] / t).softmax(1) for n in names) / 3
    expected["soft student"] = F.kl_div((leader / t).log_softmax(1), crowd, reduction="batchmean")
    agree(means, expected)
    first = list(cast.find("student.layer1").parameters())  # the trunk learns from every branch
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(means["task branch_3"], first, retain_graph=True))


def test_own_teacher_by_the_authors_loop():
    """luanyunteng/pytorch-be-your-own-teacher: KL without T^2, 0.03 x the norm of a batch, no hint for the shallowest exit."""
    cast, batch, _, means = values(find("own_teacher")())
    *f, z = net(cast, "student", batch["inputs"])
    y, expected = batch["labels"], {"task": F.cross_entropy(z, batch["labels"])}
    for k in (1, 2):
        feature, logits = cast[f"exit_{k}"](f[k - 1])
        expected[f"task exit {k}"] = F.cross_entropy(logits, y)
        expected[f"soft exit {k}"] = F.kl_div((logits / 3).log_softmax(1), (z / 3).softmax(1), reduction="batchmean")
        if k == 2:
            expected["hint exit 2"] = sum((a - b).square().sum() for a, b in zip(feature, f[2], strict=True)).sqrt()
    agree(means, expected)
    assert weights(find("own_teacher")()) == {
        "task": 1.0,
        "task exit 1": 0.7,
        "soft exit 1": 0.3,
        "task exit 2": 0.7,
        "soft exit 2": 0.3,
        "hint exit 2": 0.03,
    }


@pytest.mark.parametrize("deploy", [-2, 2])
def test_an_exit_that_is_not_there_is_refused(deploy):
    with pytest.raises(UserError, match="is no exit; give 0 to 1 for those at layer1, layer2"):
        find("own_teacher")(deploy=deploy)


@pytest.mark.parametrize("name", ["kdcl_naive", "kdcl_linear", "kdcl_minlogit"])
def test_kdcl_each_on_its_own_view(name):
    cast, batch, _, means = values(find(name)())
    assert not torch.equal(batch["inputs"], batch["view_2"])
    y = batch["labels"]
    z = [net(cast, "student", batch["inputs"])[3], net(cast, "peer", batch["view_2"])[3]]
    hard = [F.cross_entropy(x, y) for x in z]
    if name == "kdcl_naive":
        target = z[0] if hard[0] < hard[1] else z[1]
    elif name == "kdcl_linear":
        target = convex_logits(y, *z)
    else:
        target = torch.minimum(*(x - x.gather(1, y[:, None]) for x in z))
    expected = {"task student": hard[0], "task peer": hard[1]}
    agree(means, expected | {f"soft {p}": soft(x, target, 2.0) for p, x in zip(("student", "peer"), z, strict=True)})


def test_rocket_and_its_gradient_block():
    for block in (True, False):
        cast, batch, _, means = values(find("rocket")(block=block))
        trunk, _, _, light = net(cast, "student", batch["inputs"])
        booster = tail(cast["booster"], trunk)[-1]
        hint = (light - booster).square().sum(1).mean() / 2
        y = batch["labels"]
        agree(means, {"task": F.cross_entropy(light, y), "task booster": F.cross_entropy(booster, y), "hint": hint})
        reached = torch.autograd.grad(means["hint"], list(cast["booster"].parameters()), allow_unused=True)
        assert all(g is None for g in reached) is block
    assert [t.weight for _, _, t in find("rocket")(weight=0.5).terms()] == [1.0, 1.0, 1.0]  # .5 |.|^2 = 1 x 1/2 |.|^2


def test_ffl():
    cast, batch, _, means = values(find("ffl")())
    a, b = (net(cast, p, batch["inputs"]) for p in ("student", "peer"))
    fused, crowd, y = cast["fusion"](a[2], b[2]), (a[3] + b[3]) / 2, batch["labels"]
    expected = {"task": F.cross_entropy(a[3], y), "task peer": F.cross_entropy(b[3], y), "task fused": F.cross_entropy(fused, y)}
    expected |= {f"soft {p}": soft(x, fused, 3.0) for p, x in (("student", a[3]), ("peer", b[3]))}
    expected["soft fused"] = soft(fused, crowd, 3.0)
    agree(means, expected)
    fusion = list(cast["fusion"].parameters())
    assert all(g is None for g in torch.autograd.grad(means["soft peer"], fusion, allow_unused=True))


def test_ladder():
    method = find("ladder")(ratios=(0.5, 0.25))
    cast, batch, _, means = values(method)
    trunk, _, full, logits = net(cast, "student", batch["inputs"])
    tails = {n: tail(cast[n], trunk) for n in ("copy_1", "copy_2")}
    z = {"student": logits} | {n: x[-1] for n, x in tails.items()}
    crowd, y = sum(z.values()) / 3, batch["labels"]
    expected = {"task": F.cross_entropy(logits, y)} | {f"soft {n}": soft(x, crowd, 2.0) for n, x in z.items()}
    for n, x in tails.items():
        expected |= {f"task {n}": F.cross_entropy(x[-1], y), f"map {n}": F.mse_loss(cast[f"connector_{n}"](x[1]), full)}
    agree(means, expected)
    kinds = {name.split()[0]: t.weight for _, _, t in method.terms() for name in [t.name]}
    assert kinds == {"task": 0.7, "map": 0.15, "soft": 0.15}
    sizes = [sum(p.numel() for p in cast[n].parameters()) for n in ("copy_1", "copy_2")]
    assert sizes[0] > sizes[1]


def test_afd_goes_round_in_a_circle():
    peers = ("student", "peer", "third")
    cast, batch, _, means = values(find("afd")(peers=peers))
    y, out = batch["labels"], {p: net(cast, p, batch["inputs"]) for p in peers}
    maps = {p: cast[f"transfer_{p}"](out[p][2]) for p in peers}

    def verdict(judge, p):
        return cast[f"judge_{judge}"](maps[p]).sigmoid()

    expected = {}
    for p, q in (("student", "peer"), ("peer", "third"), ("third", "student")):
        expected["task" if p == "student" else f"task {p}"] = F.cross_entropy(out[p][3], y)
        expected[f"soft {p} from {q}"] = soft(out[p][3], out[q][3], 3.0)
        expected[f"real {p}"] = (1 - verdict(p, q)).square().mean()
        expected[f"fake {p}"] = verdict(p, p).square().mean()
        expected[f"pass {p}"] = (1 - verdict(p, p)).square().mean()
    agree(means, expected)
    judges = [x for p in peers for x in cast[f"judge_{p}"].parameters()]
    networks = list(cast["student"].parameters())
    assert any(g is not None for g in torch.autograd.grad(means["fake student"], judges, allow_unused=True, retain_graph=True))
    assert all(g is None for g in torch.autograd.grad(means["fake student"], networks, allow_unused=True))


def test_the_deployed_ensemble_of_one_is_the_gated_answer():
    method = find("one")(ensemble=True)
    cast, batch, _, _ = values(method)
    _, trunk, _, z1 = net(cast, "student", batch["inputs"])
    z = [z1, *(tail(cast[f"branch_{k}"], trunk)[-1] for k in (2, 3))]
    shares = cast["gate"].score(trunk.mean((2, 3))).softmax(1)
    seen = observe(cast, batch, [method.deployed])(method.deployed)
    torch.testing.assert_close(seen, sum(shares[:, k : k + 1] * z[k] for k in range(3)), **CLOSE)
