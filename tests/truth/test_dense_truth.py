"""Methods for a class at every pixel, term by term against naive loops (rows 18 and 19, and Liu et al. 2019)."""

import math

import pytest
import torch
from torch.nn import functional as F

from limbeck import losses, models
from limbeck.connectors import Critic, Encoder, Restorer
from limbeck.engine import Fit, train
from limbeck.engine.check import build_parts
from limbeck.engine.step import evaluate_term
from limbeck.methods import find
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast
from limbeck.tasks.segment import Segment

SHAPE, CLASSES = (1, 24, 32), 3


def dense_cast(teacher=("fcn", {"width": 6, "stride": 4}), student=("fcn_mobile", {"width": 0.25, "stride": 16})):
    cast = Cast({})
    for seed, (role, (name, arguments)) in enumerate({"teacher": teacher, "student": student}.items()):
        torch.manual_seed(seed)
        net = models.build(name, classes=CLASSES, shape=SHAPE, arguments=arguments)
        cast.add(role, net, Adapter(logits=Segment().finder(CLASSES, SHAPE)))
    return cast


def dense_batch(n=3):
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(0, CLASSES, (n, *SHAPE[1:]), generator=generator)
    labels[:, :4] = -100
    return {"inputs": torch.rand(n, *SHAPE, generator=generator), "labels": labels, "index": torch.arange(n)}


def dense_values(method, cast):
    """(batch, scene, {term: its mean}) with everything in evaluation mode."""
    batch = dense_batch()
    torch.manual_seed(7)
    build_parts(method, cast, batch)
    cast.eval()
    terms = [term for _, _, term in method.terms()]
    scene = observe(cast, batch, [s for t in terms for s in t.sources], learns=tuple(cast.keys()))
    return batch, scene, {t.name: (lambda s, c: s / c)(*evaluate_term(t, scene)) for t in terms}


def layer(net, inputs, path):
    seen = []
    handle = net.get_submodule(path).register_forward_hook(lambda m, i, o: seen.append(o))
    out = net(inputs)
    handle.remove()
    return seen[0], out


def naive_affinity(first, second):
    """mean over pairs of places of the squared difference of their cosines, with plain loops."""
    values = []
    for s, t in zip(first.flatten(2), second.flatten(2), strict=True):
        gaps = []
        for i in range(s.shape[1]):
            for j in range(s.shape[1]):
                gaps.append((F.cosine_similarity(s[:, i], s[:, j], 0) - F.cosine_similarity(t[:, i], t[:, j], 0)) ** 2)
        values.append(sum(gaps) / len(gaps))
    return sum(values) / len(values)


def test_distance_of_directions_is_the_naive_loop():
    s, t = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0)), torch.randn(2, 3, 2, 2)
    expected = [
        sum(math.dist((a / a.norm()).tolist(), (b / b.norm()).tolist()) for a, b in zip(x.flatten(1).T, y.flatten(1).T)) / 4
        for x, y in zip(s, t, strict=True)
    ]
    torch.testing.assert_close(losses.unit_l2(s, t), torch.tensor(expected))
    assert losses.unit_l2(5 * s, s).abs().max() < 1e-6  # lengths do not count


def test_knowledge_adaptation_term_by_term():
    method, cast = find("knowledge_adaptation")(), dense_cast()
    batch, _, means = dense_values(method, cast)
    with torch.no_grad():
        (mine, _), (theirs, _) = (layer(cast[role], batch["inputs"], "layer3") for role in ("student", "teacher"))
        assert theirs.shape[2:] == (6, 8) and mine.shape[2:] == (2, 2)
        code = cast["encoder"](theirs)
        assert code.shape == (3, theirs.shape[1], 2, 2)
        torch.testing.assert_close(means["restore"], ((cast["restorer"](code) - theirs) ** 2).mean())
        torch.testing.assert_close(means["sparse"], code.abs().mean())
        adapted, gaps = cast["adapter"](mine), []
        for a, b in zip(adapted, code, strict=True):
            gaps += [(u / u.norm() - v / v.norm()).norm() for u, v in zip(a.flatten(1).T, b.flatten(1).T, strict=True)]
        torch.testing.assert_close(means["adapt"], sum(gaps) / len(gaps))
        torch.testing.assert_close(means["affinity"], naive_affinity(mine, code))
    weights = {t.name: t.weight for _, _, t in method.terms()}
    assert weights == {"restore": 1.0, "sparse": 1e-7, "task": 1.0, "adapt": 50.0, "affinity": 1.0}


@pytest.mark.parametrize(("mine", "theirs"), [((6, 8), (23, 30)), ((12, 15), (23, 30)), ((8, 8), (8, 8)), ((1, 1), (1, 1))])
def test_a_code_has_the_students_size_and_is_brought_back_to_the_teachers(mine, theirs):
    student, teacher = torch.randn(2, 4, *mine), torch.randn(2, 6, *theirs)
    code = Encoder(student, teacher, channels=5)(teacher)
    assert code.shape == (2, 5, *mine) and Restorer(code, teacher)(code).shape == teacher.shape


def test_the_autoencoder_is_fixed_while_the_student_learns():
    method, cast, kept = find("knowledge_adaptation")(), dense_cast(), {}

    def listen(kind, facts):
        if kind == "stage" and facts["stage"] == "distil":
            kept.update({k: v.clone() for k, v in cast["encoder"].state_dict().items()})

    fit = Fit(6, steps_per_epoch=3, lr=0.01)
    train(method, cast, lambda partitions, position: dense_batch(), fit, device="cpu", listen=listen)
    assert kept and all(torch.equal(v, cast["encoder"].state_dict()[k]) for k, v in kept.items())


def test_dense_hints_term_by_term():
    nets = {"teacher": ("unet", {"width": 4, "depth": 3}), "student": ("unet", {"width": 2, "depth": 2})}
    cast = dense_cast(**nets)
    batch, _, means = dense_values(find("dense_hints")(temperature=2.0), cast)
    with torch.no_grad():
        (mine, s), (theirs, t) = (layer(cast[role], batch["inputs"], "up1") for role in ("student", "teacher"))
        torch.testing.assert_close(means["hint"], ((cast["connector"](mine) - theirs) ** 2).mean())
        p, q = (t / 2).softmax(1), (s / 2).softmax(1)
        torch.testing.assert_close(means["soft"], 4 * (p * (p / q).log()).sum(1).mean())
        torch.testing.assert_close(means["task"], F.cross_entropy(s, batch["labels"], ignore_index=-100))


@pytest.mark.parametrize("name", ["structured", "structured_code"])
def test_structured_term_by_term(name):
    method = find(name)(nodes=2)
    cast = dense_cast(student=("fcn", {"width": 4, "stride": 4}))
    batch, _, means = dense_values(method, cast)
    critic = cast["critic"]
    with torch.no_grad():
        (mine, s), (theirs, t) = (layer(cast[role], batch["inputs"], "layer3") for role in ("student", "teacher"))
        p, q = t.softmax(1), s.softmax(1)
        torch.testing.assert_close(means["pixels"], (p * (p / q).log()).sum(1).mean())
        pooled = [F.max_pool2d(x, (3, 4)) for x in (mine, theirs)]  # the authors' pooling, by half of 6 x 8
        torch.testing.assert_close(means["pairs"], naive_affinity(*pooled))
        image = batch["inputs"]
        score = (lambda x: critic.net(torch.cat([x.softmax(1), image], 1))) if name == "structured" else critic.net
        torch.testing.assert_close(means["fake"], score(s).mean())
        torch.testing.assert_close(means["real"], -score(t).mean())
        torch.testing.assert_close(means["whole"], -score(s).mean())


def test_the_slope_of_a_linear_critic_is_known():
    answers = torch.randn(4, 6, 6, 2, generator=torch.Generator().manual_seed(0))
    critic = Critic(answers, width=2)
    for module in critic.net.modules():
        if isinstance(module, torch.nn.LeakyReLU):
            module.negative_slope = 1.0  # now linear: its slope is the same everywhere
    slope = critic.penalty(answers, torch.zeros_like(answers))
    basis = torch.eye(72).view(72, 6, 6, 2)
    with torch.no_grad():
        weights = critic(basis) - critic(torch.zeros(72, 6, 6, 2))
    torch.testing.assert_close(slope, weights.norm().expand(4))
    slope.sum().backward()  # the penalty reaches the critic's weights
    assert critic.net[0].weight.grad.abs().sum() > 0
    assert set(critic.state_dict()) == {f"net.{k}.{w}" for k in (0, 2, 4) for w in ("weight", "bias")} | {"net.6.weight"}
