"""Distillation with other means and ends: privileged information, few bits, few labels, no labels, other tasks, more teachers."""

import pytest
import torch
from byhand import CLOSE, agree, draw, net, soft, weights
from digits import make_cast, streams, train, values
from torch import nn
from torch.nn import functional as F  # noqa: N812

from limbeck import connectors, data, engine, losses
from limbeck.connectors.quantise import Interval, quantisers, stored, true_bits
from limbeck.data.streams import Streams
from limbeck.data.views.seen import RoleInputs
from limbeck.engine.check import build_parts
from limbeck.engine.step import evaluate_term
from limbeck.methods import find
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.schedules import Progress, sometimes


def sides(cast, batch, view="inputs"):
    return net(cast, "student", batch[view]), net(cast, "teacher", batch[view])


def privileged_data(seed, samples=200, dimensions=50, spare=2000):
    """The paper's first experiment: y = [<a, x> + noise > 0], and x* = <a, x>, the clean distance to the boundary."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(dimensions, generator=generator)
    x = torch.randn(samples + spare, dimensions, generator=generator)
    star = x @ a
    y = (star + torch.randn(len(x), generator=generator) > 0).long()
    table = torch.cat([x, star[:, None]], 1)
    return data.from_datasets((table[:samples], y[:samples]), test=(table[samples:], y[samples:]))


def linear_cast(seed, dimensions=50):
    torch.manual_seed(seed)
    models = {"teacher": nn.Linear(dimensions + 1, 2), "student": nn.Linear(dimensions, 2)}
    return Cast(models, {"student": Adapter(prepare=RoleInputs(f"bands:0:{dimensions}"))})


def accuracy(cast, role, inputs, labels):
    with torch.no_grad():
        return (cast.feed(role, inputs).argmax(1) == labels).float().mean().item()


def test_lupi_reproduces_clean_labels_as_privileged_information():
    """Lopez-Paz et al. 2016, section 6.1: privileged .96, regular .88, distilled .95 with T = 1, lambda = 1. Means of four draws
    here, whose noise is of the same size as there; each within .03 of the published."""
    found = {"privileged": [], "regular": [], "distilled": []}
    for seed in range(4):
        table = privileged_data(seed)
        test = table["test"]
        for name, method in (
            ("regular", find("alone")()),
            ("distilled", find("lupi")(privileged="columns:50", imitation=1.0)),
        ):
            cast = linear_cast(seed)
            fit = engine.Fit(steps=250, steps_per_epoch=50, optimizer="adam", lr=0.03, weight_decay=0.0, checkpoint_seconds=1e9)
            engine.train(method, cast, Streams(table, size=100, seed=0, views=method.views), fit, seed=0, device="cpu")
            found[name].append(accuracy(cast, "student", test.inputs, test.labels))
        hidden = torch.cat([torch.zeros_like(test.inputs[:, :50]), test.inputs[:, 50:]], 1)
        found["privileged"].append(accuracy(cast, "teacher", hidden, test.labels))
    mean = {name: sum(values_) / 4 for name, values_ in found.items()}
    published = {"privileged": 0.96, "regular": 0.88, "distilled": 0.95}
    assert all(abs(mean[name] - published[name]) < 0.03 for name in published), mean
    assert all(b > a for a, b in zip(found["regular"], found["distilled"], strict=True)), found


def test_lupi_by_hand():
    method = find("lupi")(privileged="crop:2", temperature=3.0, imitation=0.3)
    cast, batch, _, means = values(method)
    z_s, z_t = net(cast, "student", batch["inputs"])[3], net(cast, "teacher", batch["privileged"])[3]
    y = batch["labels"]
    expected = {"task teacher": F.cross_entropy(z_t, y), "task": F.cross_entropy(z_s, y)}
    agree(means, expected | {"imitate": F.cross_entropy(z_s, (z_t / 3).softmax(1))})
    assert weights(method) == {"task teacher": 1.0, "task": 0.7, "imitate": 0.3}


def test_a_learned_step_has_the_gradient_of_lsq():
    """dw_q/dstep by the published case formula: round(x) - x inside, the bound outside, all of it times 1 / sqrt(5 x 3)."""
    w = torch.tensor([0.03, -0.4, 0.26, 1.9, -2.5], requires_grad=True)
    interval = Interval(torch.ones(5), bits=3)
    with torch.no_grad():
        interval.step.fill_(0.2)
    out = interval(w)
    torch.testing.assert_close(out.detach(), 0.2 * torch.tensor([0.0, -2.0, 1.0, 3.0, -4.0]))
    for k, expected in enumerate((0 - 0.15, 0.0, 1 - 1.3, 3.0, -4.0)):
        (step,) = torch.autograd.grad(out[k], interval.step, retain_graph=True)
        assert step.item() == pytest.approx(expected / 15**0.5, abs=1e-5)
    (through,) = torch.autograd.grad(out.sum(), w)
    assert through.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0]
    packed = interval.stored(w.detach())
    torch.testing.assert_close(interval.restored(packed, w.shape), out.detach())
    assert packed["codes"].numel() == 2  # five codes of three bits


def test_qkd_in_its_three_phases():
    method = find("qkd")(bits=3)
    assert [s.name for s in method.stages] == ["self-studying", "co-studying", "tutoring"]
    assert [s.trains for s in method.stages] == [("student",), ("student", "teacher"), ("student",)]
    seen = []

    def listen(kind, facts):
        if kind == "stage":
            seen.append({k: v.clone() for k, v in cast.state_dict().items() if k.startswith("teacher")})

    cast = make_cast(method)
    train(method, cast, listen=listen)
    end = {k: v for k, v in cast.state_dict().items() if k.startswith("teacher")}
    same = [all(torch.equal(a[k], b[k]) for k in a) for a, b in zip(seen, [*seen[1:], end], strict=True)]
    assert same == [True, False, True]
    for _, quantiser, weight in quantisers(cast["student"]):
        assert len((quantiser(weight) / quantiser.step).round().unique()) <= 8
    assert len(stored(cast["student"])) and true_bits(cast["student"]) < 32 * sum(p.numel() for p in cast["student"].parameters())


def test_apprentice_schemes_by_hand():
    for name, titles in (("apprentice_joint", ["task teacher", "task", "soft"]), ("apprentice_taught", ["task", "soft"])):
        cast, batch, _, means = values(find(name)())
        (*_, z_s), (*_, z_t) = sides(cast, batch)
        y = batch["labels"]
        every = {"task": F.cross_entropy(z_s, y), "soft": F.cross_entropy(z_s, z_t.softmax(1))}
        agree(means, {k: (every | {"task teacher": F.cross_entropy(z_t, y)})[k] for k in titles})
    tuned = find("apprentice_tuned")()
    assert [bool(s.before) for s in tuned.stages] == [False, True] and len(tuned.stages[0].updates[0].terms) == 1
    cast, _ = train(find("apprentice_tuned")(bits=2), steps=8)
    assert all(len(q(w).unique()) <= 4 * -(-w.numel() // 256) for _, q, w in quantisers(cast["student"]))
    assert len(list(quantisers(cast["student"]))) == 4 and not list(quantisers(cast["teacher"]))


def test_nt_xent_by_loops():
    a, b = draw(5, 4, seed=1), draw(5, 4, seed=2)
    every = F.normalize(torch.cat([a, b]), dim=1)
    loss = []
    for i in range(10):
        j = (i + 5) % 10
        others = [k for k in range(10) if k != i]
        top = (every[i] @ every[j] / 0.2).exp()
        loss.append(-(top / sum((every[i] @ every[k] / 0.2).exp() for k in others)).log())
    rows = torch.stack([(loss[i] + loss[i + 5]) / 2 for i in range(5)])
    torch.testing.assert_close(losses.nt_xent(a, b, temperature=0.2), rows, **CLOSE)


def test_simclr_pipeline_uses_labels_only_where_it_says():
    method = find("simclr_semi")(look="crop:2")
    few = data.load("digits", labelled=100)
    drawn = {}

    class Spy(Streams):
        def __call__(self, partitions, position):
            batch = dict(super().__call__(partitions, position))
            drawn.setdefault(partitions, 0)
            if partitions != ("train",):  # whoever reads a label here would fail
                batch["labels"] = torch.full_like(batch["labels"], -12345)
            return batch

    cast = make_cast(method)
    fit = engine.Fit(steps=9, steps_per_epoch=3, checkpoint_seconds=1e9)
    engine.train(method, cast, Spy(few, size=32, seed=0, views=method.views), fit, seed=0, device="cpu")
    assert set(drawn) == {("train",), ("train", "unlabelled")}
    assert [s.name for s in method.stages] == ["pre-train", "fine-tune", "distil"]
    cast, batch, _, means = values(method)
    looks = [cast["projection"](net(cast, "teacher", batch[f"look_{k}"])[2]) for k in (1, 2)]
    torch.testing.assert_close(means["contrast"], losses.nt_xent(*looks).mean(), **CLOSE)
    assert not torch.equal(batch["look_1"], batch["look_2"])


def test_sskd_by_hand():
    method = find("sskd")(turned="crop:2")
    cast, batch, _, means = values(method)
    plain, turned = sides(cast, batch), sides(cast, batch, "turned")
    found = {}
    for k, role in enumerate(("student", "teacher")):
        x, other = (cast[f"head_{role}"].net(n[k][2].mean((2, 3))) for n in (plain, turned))
        found[role] = F.normalize(other, dim=1) @ F.normalize(x, dim=1).T
    expected = {
        "find": F.cross_entropy(found["teacher"], torch.arange(64)),
        "task": F.cross_entropy(plain[0][3], batch["labels"]),
    }
    expected |= {"soft": soft(plain[0][3], plain[1][3], 4.0), "turned": soft(turned[0][3], turned[1][3], 4.0)}
    agree(means, expected | {"similarity": soft(found["student"], found["teacher"], 0.5)})
    reached = torch.autograd.grad(means["similarity"], list(cast["head_teacher"].parameters()), allow_unused=True)
    assert all(g is None for g in reached)


def test_a_queue_is_first_in_first_out():
    torch.manual_seed(0)
    queue = connectors.Queue(draw(2, 3), size=5).train()
    fed = [draw(2, 3, seed=k) for k in range(4)]
    before = queue.kept.clone()
    for k, x in enumerate(fed):
        now, old = queue(x)
        torch.testing.assert_close(now, F.normalize(x, dim=1))
        assert k or torch.equal(old, before)
    unit = F.normalize(torch.cat(fed), dim=1)  # eight entries in five slots: the last five remain
    torch.testing.assert_close(queue.kept, unit[[5, 6, 7, 3, 4]])
    kept = queue.kept.clone()
    queue.eval()(fed[0])
    assert torch.equal(kept, queue.kept)


def test_seed_similarity_by_hand_without_a_label():
    method = find("seed_similarity")(size=50)
    cast, batch, _, means = values(method)
    (*_, f_s, _), (*_, f_t, _) = sides(cast, batch)
    u, keys = F.normalize(f_t.mean((2, 3)), dim=1), cast["queue"].kept
    v = F.normalize(cast["projection"](f_s.mean((2, 3))), dim=1)
    p, q = (torch.cat([(x * u).sum(1, keepdim=True), x @ keys.T], 1) / t for x, t in ((v, 0.2), (u, 0.01)))
    torch.testing.assert_close(means["similarity"].detach(), F.cross_entropy(p, q.softmax(1)).detach(), **CLOSE)
    assert method.stages[0].trains == ("student:pool", "projection", "queue") and len(method.stages[0].updates[0].terms) == 1


def test_cross_task_never_uses_the_teachers_classifier():
    method = find("cross_task")()
    assert all(tap.path == "pool" for tap in method.taps() if tap.role == "teacher")
    cast, batch = make_cast(method), streams(method)(("train",), 0)
    build_parts(method, cast, batch)
    cast.eval()
    cast["centres"].train()
    terms = {t.name: t for _, _, t in method.terms()}
    scene = observe(cast, batch, [s for t in terms.values() for s in t.sources], learns=("student",))
    means = {k: (lambda s, c: s / c)(*evaluate_term(t, scene)) for k, t in terms.items()}
    (*_, f_s, z_s), (*_, f_t, _) = sides(cast, batch)
    f_s, f_t, y = f_s.mean((2, 3)), f_t.mean((2, 3)), batch["labels"]
    relations = F.kl_div((-torch.cdist(f_s, f_s)).log_softmax(1), (-torch.cdist(f_t, f_t)).softmax(1), reduction="batchmean")
    centres = torch.stack([f_t[y == c].mean(0) if (y == c).any() else torch.zeros(f_t.shape[1]) for c in range(10)])
    local = F.normalize(f_t, dim=1) @ F.normalize(centres, dim=1).T / 0.1
    torch.testing.assert_close(means["relations"].detach(), relations.detach(), rtol=1e-3, atol=1e-5)  # cdist by another formula
    torch.testing.assert_close(means["local"].detach(), soft(z_s, local, 4.0).detach(), **CLOSE)


def test_densely_guided_by_all_elders_with_random_drop():
    method = find("densely_guided")(chain=("teacher", "a", "b", "student"), alpha=0.9, drop=0.25)
    assert [len(s.updates[0].terms) for s in method.stages] == [2, 3, 4]
    assert [t.weight for t in method.stages[1].updates[0].terms] == pytest.approx([0.1, 0.45, 0.45])
    last = [t.weight for t in method.stages[2].updates[0].terms[1:]]
    steps = [[w(Progress("to student", k, 4000)) for w in last] for k in range(4000)]
    kept = torch.tensor(steps) > 0
    assert torch.tensor(steps).max().item() == pytest.approx(0.3)
    assert ((kept.float().mean(0) - 0.75).abs() < 0.03).all()
    both = (kept[:, 0] & kept[:, 1]).float().mean().item()
    assert abs(both - 0.75**2) < 0.03  # each is drawn on its own
    assert sometimes("a", 0.5)(Progress("s", 3, 9)) == sometimes("a", 0.5)(Progress("s", 3, 9))


def test_trusted_teachers_have_the_gradient_of_the_weighted_sum():
    method = find("teachers_trusted")()
    cast, batch, _, means = values(method)
    z_s, y = net(cast, "student", batch["inputs"])[3], batch["labels"]
    z = [net(cast, k, batch["inputs"])[3].detach() for k in ("teacher", "teacher_2", "teacher_3")]
    hard = torch.stack([F.cross_entropy(x, y, reduction="none").exp() for x in z])
    share = (1 - hard / hard.sum(0)) / 2
    torch.testing.assert_close(share.sum(0), torch.ones(64))
    each = torch.stack([F.kl_div((z_s / 4).log_softmax(1), (x / 4).softmax(1), reduction="none").sum(1) for x in z])
    paper = (share * each).sum(0).mean()
    own = list(cast["student"].parameters())
    for a, b in zip(torch.autograd.grad(means["soft"], own, retain_graph=True), torch.autograd.grad(paper, own), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)
    assert weights(method)["soft"] == 16.0
