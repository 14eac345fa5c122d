"""How hard terms pull: against gradients taken by hand, and that nothing of the caller's is changed."""

import pytest
import torch
import torch.nn.functional as F
from toy import Toy, build, fit_of, state

from limbeck import losses
from limbeck.engine.balance import balance, is_lesson, rescaled
from limbeck.methods import find
from limbeck.methods._terms import task
from limbeck.plan import Term, single_stage
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress, linear
from limbeck.plan.taps import Tap

FIT = fit_of(6)


def cast_of():
    torch.manual_seed(0)
    return Cast({"teacher": build(width=4), "student": build(width=2)})


def near(weight=1.0):
    return Term("near", losses.mse, weight=weight, student=Tap("student"), teacher=Tap("teacher").detach())


def test_the_ratio_is_that_of_the_gradients():
    cast, batch = cast_of(), Toy()(("train",), 0)
    student = cast["student"].eval()
    answers = student(batch["inputs"]), cast["teacher"].eval()(batch["inputs"]).detach()
    sizes = []
    for value in (F.cross_entropy(answers[0], batch["labels"]), 3 * F.mse_loss(*answers)):
        gradients = torch.autograd.grad(value, list(student.parameters()), retain_graph=True)
        sizes.append(sum(g.square().sum().item() for g in gradients) ** 0.5)
    before, random = state(student), torch.get_rng_state()
    (found,) = balance(single_stage(task(), near(3.0)), cast, Toy(), FIT, device="cpu")
    assert found.ratios == pytest.approx({"near": sizes[1] / sizes[0]}, rel=1e-4)
    assert "near x " in str(found)
    assert all(torch.equal(v, before[k]) for k, v in state(student).items()) and torch.equal(torch.get_rng_state(), random)


def test_weights_count_and_schedules_are_taken_from_their_middle():
    def pull(weight):
        return balance(single_stage(task(), near(weight)), cast_of(), Toy(), FIT, device="cpu")[0].ratios["near"]

    assert pull(6.0) == pytest.approx(2 * pull(3.0), rel=1e-4)
    assert pull(linear(2.0, 4.0)) == pytest.approx(pull(3.0), rel=1e-4)


@pytest.mark.parametrize(("name", "stages"), [("alone", []), ("fitnets", ["kd"]), ("mutual", ["distil", "distil"])])
def test_only_updates_with_labels_and_something_else_are_weighed(name, stages):
    cast = cast_of()
    if name == "mutual":
        cast = Cast({"student": build(width=2), "peer": build(width=2)})
    found = balance(find(name)(), cast, Toy(), FIT, device="cpu")
    assert [line.stage for line in found] == [stages[k] if name != "mutual" else "mutual" for k in range(len(stages))]
    assert set(cast) == ({"student", "peer"} if name == "mutual" else {"teacher", "student"})


def test_the_pull_is_of_all_lessons_together_on_several_batches():
    cast, toy = cast_of(), Toy()
    student = cast["student"].eval()
    ways = []
    for position in (0, 1, 2):
        batch = toy(("train",), position)
        answer, theirs = student(batch["inputs"]), cast["teacher"].eval()(batch["inputs"]).detach()
        lessons = 3 * F.mse_loss(answer, theirs) + 2 * F.l1_loss(answer, theirs)  # their gradients add up before the norm
        sizes = [
            sum(g.square().sum().item() for g in torch.autograd.grad(value, list(student.parameters()), retain_graph=True)) ** 0.5
            for value in (lessons, F.cross_entropy(answer, batch["labels"]))
        ]
        ways.append(sizes[0] / sizes[1])
    far = Term("far", losses.l1, weight=2.0, student=Tap("student"), teacher=Tap("teacher").detach())
    (found,) = balance(single_stage(task(), near(3.0), far), cast, toy, FIT, device="cpu", batches=3)
    assert found.pull == pytest.approx(sorted(ways)[1], rel=1e-4) and found.update == 0


def test_lessons_that_read_labels_too_are_lessons_and_only_they_are_rescaled():
    method = find("dkd")(beta=1.0)
    labels, lesson = method.stages[0].updates[0].terms
    assert not is_lesson(labels, ("student",)) and is_lesson(lesson, ("student",))
    changed = rescaled(method, {0: 0.5}).stages[0].updates[0].terms
    now = Progress("distil", 900, 1000)
    assert [term.weight_at(now) for term in changed] == [1.0, 0.5] and "times 0.5" in str(changed[1].weight.words())
    assert rescaled(method, {1: 0.5}).stages == method.stages
