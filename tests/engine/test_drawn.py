"""Words drawn from a teacher's answers: how often each is drawn, what is stored, and when the teacher is asked live instead."""

from functools import partial

import pytest
import torch

from limbeck import losses, methods
from limbeck.errors import UserError
from limbeck.store.forms import FORMS
from limbeck.store.planner import plan
from limbeck.store.shelves import Store
from limbeck.store.thin import drawn_of
from tests.engine.test_planner import cast_of, digits, streams_of  # noqa: F401


def test_words_are_drawn_as_often_as_their_probability_says():
    torch.manual_seed(0)
    z = torch.randn(1, 1, 7).expand(4000, 2, 7) * 2
    words = drawn_of(z, torch.arange(4000), k=5, temperature=1.5)
    assert words.shape == (4000, 2, 5)
    seen = torch.bincount(words.flatten(), minlength=7) / words.numel()
    p = (z[0, 0] / 1.5).softmax(-1)
    assert torch.allclose(seen, p, atol=4e-3)
    counts = torch.nn.functional.one_hot(words, 7).sum(-2)  # never more than one too often or too seldom
    assert bool((counts >= (5 * p).floor()).all()) and bool((counts <= (5 * p).ceil()).all())


def test_draws_depend_on_the_sample_alone():
    z = torch.randn(6, 3, 11, generator=torch.Generator().manual_seed(1))
    index = torch.tensor([9, 4, 7, 0, 2, 5])
    whole = drawn_of(z, index, k=4, temperature=1.0)
    assert torch.equal(whole[2:4], drawn_of(z[2:4], index[2:4], k=4, temperature=1.0))
    assert not torch.equal(whole[0], drawn_of(z[:1], torch.tensor([10]), k=4, temperature=1.0)[0])


def test_the_gradient_is_on_average_that_of_the_divergence():
    torch.manual_seed(0)
    teacher, student = torch.randn(9) * 2, torch.randn(9).requires_grad_()
    (wanted,) = torch.autograd.grad(losses.soft_target(student, teacher, temperature=2.0), student)
    words = drawn_of(teacher.expand(20_000, 9), torch.arange(20_000), k=3, temperature=2.0)
    value = losses.drawn_cross_entropy(student.expand(20_000, 9), words, temperature=2.0, power=2.0)
    (found,) = torch.autograd.grad(value.mean(), student)
    assert torch.allclose(found, wanted, atol=5e-3)
    p = (teacher / 2).softmax(-1)
    assert float(value.detach().mean()) == pytest.approx(
        float(losses.soft_target(student, teacher, temperature=2.0).detach() - 4 * (p * p.log()).sum()), rel=5e-3
    )


@pytest.mark.parametrize(("name", "width"), [("uint16", 2), ("uint24", 3)])
def test_words_are_written_in_two_or_three_bytes(name, width):
    form = FORMS[name]
    words = torch.tensor(
        [[0, 1, 255, 256, 65_535], [7, 300, 50_256, 2, 9]] if width == 2 else [[0, 65_536, 151_935, 2, (1 << 24) - 1]]
    )
    rows = form.write(words.float())
    assert rows.dtype == "u1" and rows.shape == (*words.shape, width) and form.bytes(tuple(words.shape[1:])) == width * 5
    assert torch.equal(form.read(rows, tuple(words.shape[1:])), words.float())
    with pytest.raises(UserError, match="is outside 0 to"):
        form.write(torch.tensor([[1 << 8 * width]]))


def test_stored_draws_take_the_place_of_the_teacher(digits, tmp_path):  # noqa: F811
    cast, streams = cast_of(), streams_of(digits)
    planned = plan(methods.kd(temperature=2.0), cast, streams, Store(tmp_path), draws=5)
    (decision,) = planned.decisions
    assert decision.stored and "drawn_of[k=5, temperature=2.0]" in decision.why
    term = next(term for _, _, term in planned.method.terms() if term.name == "soft")
    assert isinstance(term.by, partial) and term.by.func is losses.drawn_cross_entropy
    batch = planned.draw(("train",), 0)
    with torch.no_grad():
        z = cast.adapter_of("teacher").find_logits(cast.feed("teacher", batch["inputs"]), "teacher")
    words = batch[planned.stored[0].field]
    assert (words.long() == drawn_of(z, batch["index"], k=5, temperature=2.0)).float().mean() > 0.99


def test_where_there_is_no_room_the_whole_answer_is_asked_live(digits, tmp_path):  # noqa: F811
    planned = plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path, limit=10), draws=5)
    assert not planned.decisions[0].stored
    assert [str(term) for _, _, term in planned.method.terms()] == [str(term) for _, _, term in methods.kd().terms()]


def test_more_draws_than_there_are_words_are_refused(digits, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match=r"store.draws = 11, but there are 10 to draw from"):
        plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path), draws=11)


def test_the_share_that_the_likeliest_classes_hold_is_said(digits, tmp_path):  # noqa: F811
    cast, streams = cast_of(), streams_of(digits)
    planned = plan(methods.kd(temperature=50.0), cast, streams, Store(tmp_path), top_k=2)
    batch = streams(("train",), 0)
    with torch.no_grad():
        z = cast.adapter_of("teacher").find_logits(cast.feed("teacher", batch["inputs"]), "teacher")
    held = (z / 50).softmax(-1).topk(2).values.sum(-1).mean()
    assert f"the classes kept hold {100 * float(held):.0f} % of its probability; nothing orders" in planned.decisions[0].why


def test_where_nothing_can_be_drawn_that_is_said(digits, tmp_path):  # noqa: F811
    heard = []
    plan(methods.logit_regression(), cast_of(), streams_of(digits), Store(tmp_path), draws=5, say=heard.append)
    assert [text for text in heard if "nothing is drawn" in text] == heard[:1] and heard
    heard.clear()
    plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path), draws=5, say=heard.append)
    plan(methods.alone(), cast_of(), streams_of(digits), Store(tmp_path), draws=5, say=heard.append)
    assert not heard
