"""Row 7: a Gaussian process teaches on pseudo inputs. The process against scikit-learn's own answers, the fidelity weight
against the paper's formula, and what the periods do to the inputs."""

import copy
import math

import numpy as np
import pytest
import torch
from digits import DIGITS, states
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from torch.nn import functional as F  # noqa: N812

from limbeck import engine, losses, models
from limbeck.connectors import Beside, Copy, PseudoInputs, interpolate
from limbeck.data.streams import Streams
from limbeck.engine.state import seed_of
from limbeck.errors import UserError
from limbeck.methods import alone_tree, find
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress
from limbeck.plan.taps import Tap

X = DIGITS["train"].inputs[:60].float().flatten(1) / 255
Y = DIGITS["train"].labels[:60]
ASKED = DIGITS["test"].inputs[:40].float().flatten(1) / 255


def fitted(points=60):
    gp = models.build("gp", classes=10, shape=(64,), arguments={"points": points})
    gp.fit(X, torch.nn.functional.one_hot(Y, 10).float())
    return gp


def test_it_answers_as_scikit_learns_own_one_against_the_rest():
    apart = np.linalg.norm(X[:, None].double().numpy() - X[None].double().numpy(), axis=-1)
    middle = float(np.median(apart[apart > 0]))
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(middle, (middle / 100, middle * 100))
    theirs = GaussianProcessClassifier(kernel, random_state=0).fit(X.double().numpy(), Y.numpy())
    expected = torch.from_numpy(theirs.predict_proba(ASKED.double().numpy()))
    for gp in (fitted(), fitted(points=75)):  # room for more points than there are changes nothing
        torch.testing.assert_close(gp(ASKED.double()).exp(), expected, rtol=1e-6, atol=1e-8)  # a sum of terms near 3500
    mean, variance = fitted().latent(ASKED)
    for c, binary in enumerate(theirs.base_estimator_.estimators_):
        m, v = binary.latent_mean_and_variance(ASKED.double().numpy())
        torch.testing.assert_close(mean[c], torch.from_numpy(m), rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(variance[c], torch.from_numpy(v), rtol=1e-6, atol=1e-9)


def test_its_uncertainty_can_be_tapped_and_grows_away_from_the_data():
    cast = Cast({"teacher": fitted()})
    tap = Tap("teacher", "uncertainty")
    near = observe(cast, {"inputs": X}, [tap])(tap)
    far = observe(cast, {"inputs": X + 3.0}, [tap])(tap)
    assert near.shape == (60,) and (far > 1.5 * near).all()
    torch.testing.assert_close(near, fitted().latent(X)[1].sqrt().mean(0).float())


def test_a_class_that_is_not_there_is_never_the_answer():
    gp = models.build("gp", classes=10, shape=(64,))
    gp.fit(X[Y < 4], torch.nn.functional.one_hot(Y[Y < 4], 10).float())
    assert gp(ASKED).argmax(1).max() < 4
    assert torch.allclose(models.build("gp", classes=3, shape=(2,))(torch.rand(5, 2)).exp(), torch.tensor(1 / 3))


def test_more_samples_than_points_are_refused():
    with pytest.raises(UserError, match="points=60, or fewer samples with data.limit=50"):
        fitted(points=50)


def test_it_is_trained_by_the_plan_and_comes_back_from_its_weights(tmp_path):
    data = Streams(DIGITS, size=32, seed=0)
    gp = models.build("gp", classes=10, shape=DIGITS.shape, arguments={"points": len(DIGITS["train"])})
    cast = Cast({"student": gp})
    few = alone_tree()
    engine.train(few, cast, FewOf(data, 80), engine.Fit(steps=1), seed=0, device="cpu")
    models.save_weights(gp, tmp_path / "gp.safetensors")
    again = models.build("gp", classes=10, shape=DIGITS.shape, arguments={"points": len(DIGITS["train"])})
    models.load_weights(again, tmp_path / "gp.safetensors", who="teacher")
    asked = DIGITS["test"].inputs[:200].float() / 255
    assert torch.equal(gp(asked), again(asked))
    assert (gp(asked).argmax(1) == DIGITS["test"].labels[:200]).float().mean() > 0.7  # 80 digits suffice for that


class FewOf:
    """The first samples of a stream's training part, as all there is."""

    def __init__(self, streams, count):
        self.streams, self.count = streams, count

    def whole(self, partitions):
        batch = self.streams.whole(partitions)
        return {k: v[: self.count] if isinstance(v, torch.Tensor) else v for k, v in batch.items()}

    def first(self, partitions):
        return self(partitions, 0)

    def __call__(self, partitions, position):
        whole = self.whole(partitions)
        rows = torch.arange(16 * position, 16 * position + 16) % self.count
        return {k: v[rows] if isinstance(v, torch.Tensor) else v for k, v in whole.items()}


def test_fidelity_weight_by_the_papers_formula():
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 7, 4, dtype=torch.float64, generator=generator)
    spread = torch.rand(7, dtype=torch.float64, generator=generator)
    top, usual = 1.3, 0.4
    mean = sum(spread.tolist()) / 7
    for n, value in enumerate(losses.fidelity_kl(student, teacher, spread, highest=top, typical=usual)):
        weight = top * math.exp(-math.log(top / usual) * spread[n].item() / mean)
        p, q = teacher[n].softmax(0).tolist(), student[n].softmax(0).tolist()
        naive = weight * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        assert value.item() == pytest.approx(naive, rel=1e-12)
    with pytest.raises(UserError, match="0 < typical <= highest"):
        losses.fidelity_kl(student, teacher, spread, typical=2.0)
    with pytest.raises(UserError, match="one number per sample"):
        losses.fidelity_kl(student, teacher, spread[:3])


def taught(method, steps=40, listen=None):
    torch.manual_seed(0)
    student = models.build("cnn", classes=10, shape=DIGITS.shape, arguments={"width": 4})
    gp = models.build("gp", classes=10, shape=DIGITS.shape, arguments={"points": 60})
    gp.fit(X, torch.nn.functional.one_hot(Y, 10).float())
    cast = Cast({"teacher": gp, "student": student})
    draw = FewOf(Streams(DIGITS, size=16, seed=0), 60)
    trained = engine.train(method, cast, draw, engine.Fit(steps=steps, steps_per_epoch=10), seed=0, device="cpu", listen=listen)
    return cast, trained


def test_pseudo_inputs_lie_between_two_labelled_ones_then_rise():
    method = find("few_shot")(size=20, periods=2, moves=5)
    first, _ = taught(method.but(stages=method.stages[:1]))
    start = first["pseudo"].groups[0].images.detach().flatten(1)
    for row in start:  # on the line between some pair: |a - x| + |x - b| = |a - b|
        to = (X - row).norm(dim=1)
        gap = to[:, None] + to[None] - torch.cdist(X, X)
        assert gap[torch.triu(torch.ones(60, 60), 1).bool()].min() < 1e-3
    seen = []
    cast, _ = taught(method, listen=lambda kind, facts: seen.append(facts["terms"]) if kind == "step" else None)
    rises = [terms["harder"] for terms in seen if "harder" in terms]
    assert len(rises) == 5 and rises[-1] > rises[0]  # the value shown is the divergence itself: it grows
    groups = cast["pseudo"].groups
    assert torch.equal(groups[0].images.flatten(1), start)  # the first stay where they were made
    moved = (groups[1].images - groups[0].images).abs()
    assert 0 < moved.max() <= 5 * 0.02 * 1.01  # Adam's steps of 0.02


def test_each_period_adds_a_group_and_the_batch_stands_beside_the_real_one():
    bank = PseudoInputs(torch.zeros(1, 2), size=3, periods=3)
    for k, group in enumerate(bank.groups):
        group.images.data.fill_(k)
    cast = Cast({"pseudo": bank})

    def draw(partitions):
        return {"inputs": torch.full((50, 2), 9.0), "labels": torch.zeros(50, dtype=torch.int64)}

    batch = Beside("pseudo", 0, 1)(cast, draw, torch.Generator().manual_seed(0))
    assert batch["inputs"].shape == (100, 2) and (batch["inputs"][:50] == 9).all()
    assert set(batch["inputs"][50:].unique().tolist()) == {0.0, 1.0}
    assert batch["made"].tolist() == [False] * 50 + [True] * 50 and batch["labels"].tolist() == [0] * 50 + [-100] * 50
    assert Beside("pseudo", 2, 2, whole=True)(cast, draw, None)["inputs"].tolist() == [[2.0, 2.0]] * 3
    Copy("pseudo", 2)(cast, Progress("any", 0, 1, seed=0))
    assert (bank.groups[2].images == 1).all()
    interpolate(cast, ("pseudo.groups.0",), draw(()), None, [])
    assert (bank.groups[0].images == 9).all()


def test_labels_teach_on_real_rows_and_the_teacher_on_made_ones():
    """The two terms of the first step, rebuilt from the joint batch in training mode."""
    method = find("few_shot")(size=20, periods=1)
    seen = []
    cast, _ = taught(method.but(stages=method.stages[:1]))
    student = copy.deepcopy(cast["student"]).train()
    batch = Beside("pseudo", 0, 0)(cast, FewOf(Streams(DIGITS, size=16, seed=0), 60).first, generator_of(method))
    logits = student(batch["inputs"])
    hard = F.cross_entropy(logits[:16], batch["labels"][:16])
    with torch.no_grad():
        goal, spread = cast["teacher"](batch["inputs"][16:]), cast["teacher"].latent(batch["inputs"][16:])[1].sqrt().mean(0)
    soft = losses.fidelity_kl(logits[16:], goal, spread.float()).mean()
    taught(method, listen=lambda kind, facts: seen.append(facts["terms"]) if kind == "step" else None)
    assert seen[1] == pytest.approx({"task": hard.item(), "imitate": soft.item()}, rel=1e-5)


def generator_of(method):
    """The generator that the engine gives to the source in the first step of the second stage."""
    return torch.Generator().manual_seed(seed_of(0, 1, 0, 0, 0))


def test_without_an_uncertainty_any_network_can_be_imitated():
    method = find("few_shot")(size=4, periods=1, uncertainty="", labels=0.0)
    terms = {term.name: term for _, _, term in method.terms()}
    assert set(terms) == {"task", "imitate"} and terms["imitate"].weight == 0.5
    torch.manual_seed(0)
    cast = Cast(
        {who: models.build("cnn", classes=10, shape=DIGITS.shape, arguments={"width": 2}) for who in ("teacher", "student")}
    )
    before = states(cast)
    engine.train(method, cast, FewOf(Streams(DIGITS, size=16, seed=0), 60), engine.Fit(steps=3), seed=0, device="cpu")
    after = states(cast)
    assert all(torch.equal(after[k], v) for k, v in before.items() if k.startswith("teacher"))
    assert not torch.equal(after["student.linear.weight"], before["student.linear.weight"])
