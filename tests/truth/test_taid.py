"""TAID: a number by hand, and three steps by a naive loop."""

import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from toy import CLASSES, Toy, cast_of, fit_of, go

from limbeck import losses, methods
from limbeck.plan import observe
from limbeck.plan.schedules import Progress
from limbeck.transforms.answers import interpolated


def test_a_number_by_hand():
    """t = 1/2 between the student's logits (0, ln 3), q = (1/4, 3/4), and the teacher's (2 ln 3, ln 3), which gives (3/4, 1/4):
    the target's logits are (ln 3, ln 3), p_t = (1/2, 1/2), and KL(p_t || q) = 1/2 ln 2 + 1/2 ln(2/3) = 1/2 ln(4/3)."""
    ln3 = torch.log(torch.tensor(3.0))
    student, teacher = torch.stack([0 * ln3, ln3])[None], torch.stack([2 * ln3, ln3])[None]
    target = interpolated(student, teacher, torch.tensor(0.5))
    expected = torch.log(torch.tensor([4 / 3])) / 2
    assert torch.allclose(losses.kl(student, target), expected, rtol=0, atol=1e-6)  # float32
    assert torch.allclose(interpolated(student, teacher, torch.tensor(0.0)), student)
    assert torch.allclose(interpolated(student, teacher, torch.tensor(1.0)), teacher)


def test_the_steps_of_a_naive_loop():
    """The authors' loss is -sum p_t log q with p_t of detached logits: the same gradient as the divergence."""
    cast, twin = (cast_of(student=2, teacher=3) for _ in range(2))
    steps, draw = 4, Toy()
    fit = fit_of(steps, schedule="constant", momentum=0.0, weight_decay=0.0, lr=0.1)
    go(methods.taid(start=0.2, end=0.8, labels=0.5), cast, draw=draw, fit=fit)
    student, teacher = twin["student"].train(), twin["teacher"].eval()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for step in range(steps):
        batch = draw(("train",), step)
        t = 0.2 + 0.6 * step / steps
        own = student(batch["inputs"])
        with torch.no_grad():
            target = ((1 - t) * own + t * teacher(batch["inputs"])).softmax(-1)
        value = -(target * own.log_softmax(-1)).sum(-1).mean() + 0.5 * F.cross_entropy(own, batch["labels"])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    for (name, mine), theirs in zip(cast["student"].named_parameters(), twin["student"].parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-6), name  # float32 over four steps


@pytest.mark.parametrize("step", [0, 5, 9])
def test_a_token_counts_where_its_label_is_known(step):
    """Sequences: one value per token, the mean over the known ones."""

    class Tokens(torch.nn.Module):
        def __init__(self, seed):
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                self.table = torch.nn.Embedding(CLASSES, CLASSES)

        def forward(self, words):
            return self.table(words)

    from limbeck.engine.step import evaluate_term
    from limbeck.plan.roles import Cast

    cast = Cast({"student": Tokens(0), "teacher": Tokens(1)})
    words = torch.randint(0, CLASSES, (3, 5), generator=torch.Generator().manual_seed(0))
    labels = words.roll(-1, 1)
    labels[:, -1], labels[0, 2:] = -100, -100
    (_, _, term), *_ = methods.taid().terms()
    batch = {"inputs": words, "labels": labels}
    total, count = evaluate_term(term, observe(cast, batch, term.sources, now=Progress("distil", step, 10)))
    t, kept = 0.4 + 0.6 * step / 10, labels != -100
    values = []
    for row, word in zip(*torch.nonzero(kept, as_tuple=True), strict=True):
        own, other = (cast[role](words)[row, word].detach().tolist() for role in ("student", "teacher"))
        p = torch.tensor([(1 - t) * a + t * b for a, b in zip(own, other, strict=True)]).softmax(0)
        q = torch.tensor(own).softmax(0)
        values.append(float((p * (p / q).log()).sum()))
    assert int(count) == len(values) == int(kept.sum())
    assert float(total / count) == pytest.approx(sum(values) / len(values), abs=1e-5)


def test_the_mentor_does_not_learn_and_the_target_has_no_graph():
    method = methods.taid()
    cast = cast_of(student=2, teacher=3)
    before = copy.deepcopy(cast["teacher"].state_dict())
    go(method, cast, fit=fit_of(3))
    assert all(torch.equal(value, before[key]) for key, value in cast["teacher"].state_dict().items())
