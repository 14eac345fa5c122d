"""Micro-batches add up to the whole batch: the gradient of accumulate = 4 is that of one batch."""

import pytest
import torch
from torch import nn
from toy import Cast, Toy, fit_of, go

from limbeck import losses, methods
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Stage, Term, Update, single_stage
from limbeck.plan.taps import Field, Tap


def mlp(width, seed):
    """No batch statistics: these alone would make the pieces differ from the whole."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 4)).double()


def cast():
    return Cast({"teacher": mlp(16, 1), "student": mlp(8, 2)})


def in_double(batch, position):
    few = torch.tensor([1, 0, 0, 0, 1, 0, 1, 1, 1, 0][: len(batch["labels"])])
    return {**batch, "inputs": batch["inputs"].double(), "few": few, "real": few * 0.5}


TERMS = {
    "whole": (task(weight=0.3), soft(weight=0.7)),
    "masked": (task(mask=Field("few")), soft()),
    "masked by real numbers": (task(mask=Field("real")), soft()),
    "many values per sample": (
        Term("mid", losses.mse, student=Tap("student", "1"), teacher=Tap("student", "1").detach()),
        task(),
    ),
}


@pytest.mark.parametrize("size", [8, 10])  # 10 does not divide by 4
@pytest.mark.parametrize("name", TERMS)
def test_four_pieces_step_as_one_batch(name, size):
    stepped = {}
    for pieces in (1, 4):
        made = cast()
        told = go(
            single_stage(*TERMS[name]),
            made,
            draw=Toy(size, change=in_double),
            fit=fit_of(2, accumulate=pieces, schedule="constant"),
        )
        stepped[pieces] = made["student"], told.history[-1]["terms"]
    for one, four in zip(stepped[1][0].parameters(), stepped[4][0].parameters(), strict=True):
        assert torch.allclose(one, four, rtol=0, atol=1e-6)  # observed below 1e-12: sums in another order, in double
    assert stepped[4][1] == pytest.approx(stepped[1][1], abs=1e-6)


def shifted(cast, draw, generator):
    """A batch with a graph: the learner made its own inputs."""
    batch = draw(("train",))
    return {**batch, "inputs": batch["inputs"] + cast["student"][1].bias.sum()}


def test_pieces_may_share_the_graph_that_made_the_batch():
    stepped = {}
    for pieces in (1, 4):
        made = cast()
        method = Method((Stage("s", (Update(("student",), (task(), soft()), source=shifted),)),))
        go(method, made, draw=Toy(change=in_double), fit=fit_of(3, accumulate=pieces, schedule="constant"))
        stepped[pieces] = made["student"]
    for one, four in zip(stepped[1].parameters(), stepped[4].parameters(), strict=True):
        assert torch.allclose(one, four, rtol=0, atol=1e-6)


def test_more_pieces_than_samples_are_as_many_as_there_are_samples():
    go(methods.kd(), cast(), draw=Toy(2, change=in_double), fit=fit_of(2, accumulate=5))


def test_an_empty_mask_steps_nowhere():
    made = cast()
    before = [p.clone() for p in made["student"].parameters()]
    none = Toy(change=lambda b, k: {**in_double(b, k), "few": torch.zeros(8)})
    go(single_stage(task(mask=Field("few"))), made, draw=none, fit=fit_of(2, weight_decay=0.0))
    assert all(torch.equal(a, b) for a, b in zip(before, made["student"].parameters(), strict=True))


def test_a_clipped_gradient_has_at_most_that_norm():
    made = cast()
    before = [p.clone() for p in made["student"].parameters()]
    go(
        single_stage(task(weight=100.0)),
        made,
        draw=Toy(change=in_double),
        fit=fit_of(1, clip=0.5, lr=1.0, momentum=0.0, weight_decay=0.0),
    )
    moved = torch.cat([(a - b).detach().flatten() for a, b in zip(before, made["student"].parameters(), strict=True)]).norm()
    assert float(moved) == pytest.approx(0.5, rel=1e-5)
