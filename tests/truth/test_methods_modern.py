"""Methods of 2021 to 2024, each loss rebuilt with plain torch from the networks themselves."""

import pytest
import torch
from byhand import CLOSE, agree, draw, net, soft, weights
from digits import streams, train, values
from torch.nn import functional as F  # noqa: N812

from limbeck import connectors
from limbeck.deploy.student import Deployed
from limbeck.engine.step import evaluate_term
from limbeck.losses import gaussian_transport, rld_confidence, rld_correlation, transport
from limbeck.methods import find
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress


def sides(cast, batch, view="inputs"):
    return net(cast, "student", batch[view]), net(cast, "teacher", batch[view])


def test_rld_loops():
    """By naive loops over samples and classes, with the wrong-teacher case among them."""
    z_s, z_t, labels, t = draw(6, 5, seed=1), draw(6, 5, seed=2), torch.tensor([0, 1, 2, 3, 4, 0]), 3.0
    assert (z_t.argmax(1) != labels).any()
    for n, y in enumerate(labels.tolist()):
        p, q = (z_t[n] / t).softmax(0), (z_s[n] / t).softmax(0)
        high, own = p.max(), q[y]
        confidence = t * t * (high * (high / own).log() + (1 - high) * ((1 - high) / (1 - own)).log())
        below = [c for c in range(5) if z_t[n, c] < z_t[n, y]]
        a, b = p[below] / p[below].sum(), q[below] / q[below].sum()
        correlation = t * t * (a * (a / b).log()).sum() if below else torch.tensor(0.0)
        row = (z_s[n : n + 1], z_t[n : n + 1], labels[n : n + 1])
        torch.testing.assert_close(rld_confidence(*row, temperature=t)[0], confidence, **CLOSE)
        torch.testing.assert_close(rld_correlation(*row, temperature=t)[0], correlation, **CLOSE)


def test_transport_is_the_best_plan_as_regularisation_vanishes():
    """Against a linear programme (SciPy) over plans between the renormalised other classes."""
    from scipy.optimize import linprog

    z_s, z_t, cost = draw(1, 5, seed=3), draw(1, 5, seed=4), 1 - torch.eye(5) + 0.3 * draw(5, 5, seed=5).abs()
    keep = [0, 1, 3, 4]
    q, p = ((z[0, keep] / 2).softmax(0).double().numpy() for z in (z_s, z_t))
    c = cost[keep][:, keep].double().numpy()
    rows = [[float(k // 4 == i) for k in range(16)] for i in range(4)]
    columns = [[float(k % 4 == j) for k in range(16)] for j in range(4)]
    best = linprog(c.ravel(), A_eq=rows + columns, b_eq=[*q, *p], bounds=(0, None)).fun
    ours = transport(z_s.double(), z_t.double(), torch.tensor([2]), cost.double(), regularisation=0.002, iterations=4000)
    assert abs(ours.item() - best) < 0.002  # the plan spreads by the regularisation


def test_transport_follows_the_published_iteration():
    z_s, z_t, cost = draw(3, 4, seed=6), draw(3, 4, seed=7), 1 - torch.eye(4) + 0.2 * draw(4, 4, seed=8).abs()
    labels, ours = torch.tensor([0, 3, 1]), []
    for n, y in enumerate(labels.tolist()):
        keep = [c for c in range(4) if c != y]
        q, p, c = (z_s[n, keep] / 2).softmax(0), (z_t[n, keep] / 2).softmax(0), cost[keep][:, keep]
        kernel, u = (-c / 0.05).exp(), torch.ones(3) / 3
        for _ in range(10):
            v = p / (kernel.T @ u)
            u = q / (kernel @ v)
        ours.append((u[:, None] * kernel * v * c).sum())
    torch.testing.assert_close(transport(z_s, z_t, labels, cost), torch.stack(ours), **CLOSE)


def test_gaussians_on_a_grid_by_loops():
    a, b = draw(2, 3, 4, 6, seed=1), draw(2, 3, 4, 6, seed=2)
    expected = torch.zeros(2)
    for i in range(2):
        for j in range(2):
            x, y = (m[:, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].flatten(2) for m in (a, b))
            means = (x.mean(2) - y.mean(2)).square().sum(1)
            spreads = ((x.var(2) + 1e-5).sqrt() - (y.var(2) + 1e-5).sqrt()).square().sum(1)
            expected += (2 * means + spreads) / 4
    torch.testing.assert_close(gaussian_transport(a, b, grid=2), expected, **CLOSE)


def test_ctkd_is_the_gradient_reversal_of_the_code():
    method = find("ctkd")()
    cast, batch, _, means = values(method)
    (*_, z_s), (*_, z_t) = sides(cast, batch)
    temperature = 1 + 20 * torch.tensor(1.0).sigmoid()
    task = F.cross_entropy(z_s, batch["labels"])
    agree(means, {"task": task, "soft": soft(z_s, z_t, temperature), "temperature": soft(z_s, z_t, temperature)})
    theta = cast["temperature"].theta
    (against,) = torch.autograd.grad(means["temperature"], theta, retain_graph=True)
    at = theta.detach().clone().requires_grad_()
    (plain,) = torch.autograd.grad(soft(z_s.detach(), z_t.detach(), 1 + 20 * at.sigmoid()), at)
    torch.testing.assert_close(against, plain, **CLOSE)
    weight = weights(method)["temperature"]
    at_epoch = [weight(Progress("distil", e, 240)) / 0.9 for e in (0, 5, 10, 200)]
    assert at_epoch == pytest.approx([0.0, -0.5, -1.0, -1.0])  # the code's CosineDecay(0, -1, 10)
    mine = torch.autograd.grad(means["soft"], theta, allow_unused=True, retain_graph=True)
    theirs = torch.autograd.grad(means["temperature"], list(cast["student"].parameters()), allow_unused=True)
    assert mine == (None,) and all(g is None for g in theirs)


def test_ctkd_makes_it_harder():
    """The temperature goes to where the soft term is larger than at its start."""
    method = find("ctkd")()
    cast, _ = train(method, steps=24)
    cast.eval()
    (*_, z_s), (*_, z_t) = sides(cast, streams(method)(("train",), 0))
    start, now = (1 + 20 * torch.tensor(theta).sigmoid() for theta in (1.0, cast["temperature"].theta.item()))
    assert now != start and soft(z_s, z_t, now) > soft(z_s, z_t, start)
    instance, _ = train(find("ctkd_instance")(), steps=4)
    heat = instance["temperature"](draw(5, 10), draw(5, 10, seed=1))
    assert heat.shape == (5,) and len(set(heat.tolist())) == 5 and (heat > 1).all() and (heat < 21).all()


def test_nkd_and_rld_as_declared():
    for name, titles in (("nkd", {"task", "nkd"}), ("rld", {"task", "confidence", "correlation"})):
        cast, batch, _, means = values(find(name)())
        (*_, z_s), (*_, z_t) = sides(cast, batch)
        y = batch["labels"]
        expected = {"task": F.cross_entropy(z_s, y)}
        if name == "nkd":
            hot = F.one_hot(y, 10).bool()
            q, p = (z[~hot].view(len(z), 9) for z in (z_s, z_t))
            target = -(z_t.softmax(1)[hot] * z_s.log_softmax(1)[hot])
            expected["nkd"] = (target - 1.5 * (p.softmax(1) * q.log_softmax(1)).sum(1)).mean()
        else:
            expected["confidence"] = rld_confidence(z_s, z_t, y, temperature=1.0).mean()
            expected["correlation"] = rld_correlation(z_s, z_t, y).mean()
        assert means.keys() == titles
        agree(means, expected)


def test_mlkd_has_every_level_on_both_views():
    method = find("mlkd")(view="crop:2")
    cast, batch, _, means = values(method)
    expected = {}
    for view in ("inputs", "strong"):
        (*_, z_s), (*_, z_t) = sides(cast, batch, view)
        expected[f"task {view}"] = F.cross_entropy(z_s, batch["labels"])
        for t in (2, 3, 4, 5, 6):
            q, p = (z_s / t).softmax(1), (z_t / t).softmax(1)
            expected[f"soft {view} {t}"] = soft(z_s, z_t, t)
            expected[f"samples {view} {t}"] = (p @ p.T - q @ q.T).square().sum() / len(q)
            expected[f"classes {view} {t}"] = (p.T @ p - q.T @ q).square().sum() / 10
    assert not torch.equal(batch["inputs"], batch["strong"])
    agree(means, expected)


def test_cwd_pkd_and_wkd_feature_through_their_connectors():
    for name, part, title in (
        ("cwd", "connector", "channels"),
        ("pkd", "connector", "correlation"),
        ("wkd_feature", "regressor", "gaussian"),
    ):
        cast, batch, _, means = values(find(name)())
        (*_, f_s, z_s), (*_, f_t, _) = sides(cast, batch)
        f_s = cast[part](f_s)
        if name == "cwd":
            log_q, log_p = (f.flatten(2).log_softmax(2) for f in (f_s, f_t))
            value = (log_p.exp() * (log_p - log_q)).sum() / (len(f_s) * f_s.shape[1])
        elif name == "pkd":
            rows = [f.transpose(0, 1).flatten(1) for f in (f_s, f_t)]
            value = (
                1 - torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(*rows, strict=True)]).nan_to_num().mean()
            )
        else:
            means_, spreads = zip(*((f.mean((2, 3)), (f.var((2, 3)) + 1e-5).sqrt()) for f in (f_s, f_t)), strict=True)
            value = (4 * (means_[0] - means_[1]).square() + (spreads[0] - spreads[1]).square()).sum() / len(f_s)
        torch.testing.assert_close(
            means[title].detach(), value.detach(), rtol=1e-3, atol=1e-5
        )  # pearson of near-constant channels
        torch.testing.assert_close(means["task"].detach(), F.cross_entropy(z_s, batch["labels"]).detach(), **CLOSE)


def test_wkd_logit_costs_are_the_sharpened_cosines_of_the_teachers_classifier():
    cast, batch, _, means = values(find("wkd_logit")())
    (*_, z_s), (*_, z_t) = sides(cast, batch)
    w = F.normalize(cast["teacher"].linear.weight, dim=1)
    cost = 1 - torch.exp(-(1 - w @ w.T))
    y = batch["labels"]
    rows = torch.arange(len(y))
    target = -(z_t.softmax(1)[rows, y] * z_s.log_softmax(1)[rows, y]).mean()
    agree(means, {"task": F.cross_entropy(z_s, y), "target": target, "transport": transport(z_s, z_t, y, cost).mean()})


@pytest.mark.parametrize("channels", [False, True])
def test_masked_generation_blanks_pixels_or_channels_and_only_while_it_trains(channels):
    torch.manual_seed(0)
    x = draw(64, 4, 5, 5).abs() + 1
    part = connectors.MaskedGenerator(x, draw(64, 4, 5, 5), masked=0.3, channels=channels)
    seen = []
    part.generate.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    part.train()(x)
    part.eval()(x)
    gone = seen[0] == 0
    assert torch.equal(seen[1], x) and abs(gone.float().mean() - 0.3) < 0.05
    whole = gone.flatten(2).all(2) == gone.flatten(2).any(2) if channels else gone.all(1) == gone.any(1)
    assert whole.all()
    cast, batch, _, means = values(find("mgd_code" if channels else "mgd")())
    (*_, f_s, _), (*_, f_t, _) = sides(cast, batch)
    expected = (cast["generator"](f_s) - f_t).square().sum() / len(f_s)
    torch.testing.assert_close(means["generate"].detach(), expected.detach(), **CLOSE)


def test_simkd_deploys_the_students_body_with_the_teachers_head():
    method = find("simkd")()
    cast, batch, _, means = values(method)
    (*_, f_s, _), (*_, f_t, _) = sides(cast, batch)
    projected = cast["projector"](f_s)
    agree(means, {"feature": F.mse_loss(projected, f_t)})
    deployed = Deployed(cast, method.deployed).eval()
    answer = cast["teacher"].linear(projected.mean((2, 3)))
    torch.testing.assert_close(deployed(batch["inputs"]), answer, **CLOSE)
    used = sum(p.numel() for name in ("layer1", "layer2", "layer3") for p in cast["student"].get_submodule(name).parameters())
    used += sum(p.numel() for part in (cast["projector"], cast["teacher"].linear) for p in part.parameters())
    assert deployed.parameter_count(batch["inputs"]) == used
    before = {k: v.clone() for k, v in train(method, steps=1)[0].state_dict().items()}
    after = train(method, steps=3)[0].state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith(("teacher.", "student.linear")))


def test_srd_by_torchs_own_batch_norm():
    cast, batch, _, means = values(find("srd")(soft_labels=0.5))
    (*_, f_s, z_s), (*_, f_t, z_t) = sides(cast, batch)
    mine, theirs = cast["projector"](f_s.mean((2, 3))), f_t.mean((2, 3))
    mine, theirs = (F.batch_norm(x, None, None, training=True, eps=1e-4) for x in (mine, theirs))
    task = F.cross_entropy(z_s, batch["labels"])
    agree(means, {"task": task, "feature": (mine - theirs).abs().pow(4).sum().log(), "soft": soft(z_s, z_t, 1.0)})


def test_review_by_hand():
    cast, batch, _, means = values(find("review")())
    (*f_s, z_s), (*f_t, _) = sides(cast, batch)
    f_s, f_t = ([*f, f[2].mean((2, 3))[:, :, None, None]] for f in (f_s, f_t))
    deeper, expected = None, {"task": F.cross_entropy(z_s, batch["labels"])}
    for k in (3, 2, 1, 0):
        part = cast["review"].fuse[k]
        x = part.enter(f_s[k])
        if deeper is not None:
            deeper = deeper.repeat_interleave(x.shape[2] // deeper.shape[2], 2).repeat_interleave(
                x.shape[3] // deeper.shape[3], 3
            )
            share = torch.sigmoid(part.attend[0](torch.cat([x, deeper], 1)))
            x = x * share[:, 0:1] + deeper * share[:, 1:2]
        out, deeper = part.leave(x), x
        value, total, weight = F.mse_loss(out, f_t[k]), 1.0, 1.0
        for size in (s for s in (4, 2, 1) if s < out.shape[2]):
            weight /= 2
            total += weight
            value = value + weight * F.mse_loss(*(F.adaptive_avg_pool2d(m, size) for m in (out, f_t[k])))
        expected[f"review {('layer1', 'layer2', 'layer3', 'pool')[k]}"] = value / total
    agree(means, expected)


def test_ofa_on_maps_tokens_and_embeddings():
    cast, batch, _, means = values(find("ofa")(epsilon=1.3))
    (*f_s, z_s), (*_, z_t) = sides(cast, batch)
    y, hot = batch["labels"], F.one_hot(batch["labels"], 10).float()

    def value(z):
        return -(((z_t.softmax(1) + hot) ** 1.3 - hot) * z.log_softmax(1)).sum(1).mean()

    expected = {"task": F.cross_entropy(z_s, y), "answer": value(z_s)}
    for k, f in enumerate(f_s, start=1):
        head = cast[f"head_{k}"]
        expected[f"stage layer{k}"] = value(head.linear(head.steps(f).mean((2, 3))))
    agree(means, expected)
    tokens = connectors.StageHead(draw(2, 7, 6), draw(2, 7, 6), draw(2, 3))
    x = draw(2, 7, 6, seed=1)
    torch.testing.assert_close(tokens(x), tokens.linear(F.layer_norm(x, (6,)).mean(1)), **CLOSE)
    plain = connectors.StageHead(draw(2, 6), draw(2, 6), draw(2, 3))
    assert plain(draw(4, 6)).shape == (4, 3)


def test_class_means_are_those_of_all_samples_seen():
    feature, labels = draw(40, 3), torch.arange(40) % 4
    part = connectors.ClassMeans(feature, torch.zeros(40, 5)).train()
    for rows in torch.arange(40).split(7):
        part(feature[rows], labels[rows])
    expected = torch.stack([feature[labels == c].mean(0) for c in range(4)] + [torch.zeros(3)])
    torch.testing.assert_close(part.eval()(feature, labels), expected, **CLOSE)
    assert part.count.sum() == 40  # looking changes nothing


def test_norm_direction_by_hand():
    method = find("norm_direction")()
    cast, batch, _, _ = values(method)
    cast["centres"].train()  # as in a run: the batch counts for its own means
    terms = [t for _, _, t in method.terms()]
    scene = observe(cast, batch, [s for t in terms for s in t.sources], learns=("student",))
    total, count = evaluate_term(next(t for t in terms if t.name == "direction"), scene)
    (*_, f_s, _), (*_, f_t, _) = sides(cast, batch)
    f_s, f_t, y = cast["projector"](f_s.mean((2, 3))), f_t.mean((2, 3)), batch["labels"]
    expected = []
    for n in range(len(y)):
        e = F.normalize(f_t[y == y[n]].mean(0), dim=0)
        expected.append(1 - f_s[n] @ e / max(f_s[n].norm(), f_t[n].norm()))
    torch.testing.assert_close(total / count, torch.stack(expected).mean(), **CLOSE)


def test_function_matching_shows_both_the_same_mixture():
    method = find("funmatch")(view="crop:1,mixup:1.0")
    cast, batch, _, means = values(method)
    (*_, z_s), (*_, z_t) = sides(cast, batch, "mixed")
    agree(means, {"match": soft(z_s, z_t, 1.0)})
    assert method.roles() == ("student", "teacher") and not torch.equal(batch["mixed"], batch["inputs"])
    assert (streams(method)(("train",), 0)["mixed_labels"].max(1).values < 1).any()  # really blended


class Tokens(torch.nn.Module):
    """A language model of one embedding and one linear layer: (n, t) to (n, t, words)."""

    def __init__(self, width, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.embed, self.head = torch.nn.Embedding(7, width), torch.nn.Linear(width, 7)

    def forward(self, x):
        return self.head(self.embed(x))


@pytest.mark.parametrize("name", ["skewed", "adaptive", "between"])
def test_divergences_count_the_known_tokens(name):
    method = find(name)(labels=0.5) if name != "skewed" else find(name)(forward=0.3, reverse=0.7, labels=0.5)
    cast = Cast({"student": Tokens(3, 0), "teacher": Tokens(5, 1)})
    words = torch.randint(0, 7, (4, 6), generator=torch.Generator().manual_seed(0))
    labels = words.roll(-1, 1)
    labels[:, -1], labels[0, 2:] = -100, -100
    terms = [t for _, _, t in method.terms()]
    scene = observe(cast, {"inputs": words, "labels": labels}, [s for t in terms for s in t.sources], learns=("student",))
    means = {t.name: (lambda s, c: s / c)(*evaluate_term(t, scene)) for t in terms}
    kept = labels != -100
    q, p = (cast[role](words)[kept].softmax(-1) for role in ("student", "teacher"))
    expected = {"task": F.cross_entropy(cast["student"](words)[kept], labels[kept])}

    def kl(a, b):
        return (a * (a / b).log()).sum(-1)

    if name == "skewed":
        expected |= {"skew": kl(p, 0.1 * p + 0.9 * q).mean(), "skew reverse": kl(q, 0.1 * q + 0.9 * p).mean()}
        assert weights(method) == {"skew": 0.3, "skew reverse": 0.7, "task": 0.5}
    elif name == "between":
        m = (p + q) / 2
        expected["between"] = ((kl(p, m) + kl(q, m)) / 2).mean()
    else:
        mixed = []
        for a, b in zip(p, q, strict=True):
            order, mass, head = a.argsort(descending=True).tolist(), 0.0, []
            for rank, c in enumerate(order):
                mass += a[c].item()
                head += [c] if rank == 0 or mass <= 0.5 else []
            share = (a - b).abs()[head].sum() / (a - b).abs().sum()
            mixed.append(share * kl(a, b) + (1 - share) * kl(b, a))
        expected["adaptive"] = torch.stack(mixed).mean()
    agree(means, expected)
