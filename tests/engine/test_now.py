"""Time is a source: `Now` has the stage's moment in training, resume, micro-batches and turns, and is never stored."""

import pytest
import torch
from test_planner import cast_of as teacher_and_student
from test_planner import streams_of
from torch import nn
from toy import Cast, Stop, Toy, build, cast_of, differing, fit_of, go, state, stopping

import limbeck
from limbeck import data, losses, methods
from limbeck.engine import rehearse
from limbeck.errors import UserError
from limbeck.plan import Method, Now, Stage, Tap, Term, Update, observe, single_stage
from limbeck.plan.schedules import Progress, linear
from limbeck.store.planner import plan
from limbeck.store.shelves import Store


def seen(now, *rest):
    """A transform that records the moments it was called at and lets them weigh what it is given."""
    SEEN.append(float(now))
    return now * rest[0]


SEEN: list[float] = []


def recorded(of, steps=None):
    source = Now(of).via(seen, Tap("student"))
    return Stage(f"by {of}", (Update(("student",), (Term("small", losses.mse, student=source, teacher=source.detach()),)),))


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        ("step", [0, 1, 2, 3, 4, 5]),
        ("fraction", [k / 6 for k in range(6)]),
        ("epoch", [k / 3 for k in range(6)]),  # three steps make an epoch of the curve
        (linear(0.4, 1.0), [0.4 + 0.1 * k for k in range(6)]),
    ],
)
def test_its_values_are_those_of_the_stage(of, expected):
    SEEN.clear()
    method = single_stage(Term("pull", losses.mse, student=Tap("student"), teacher=Now(of).via(seen, Tap("student").detach())))
    go(method, cast_of(student=2), fit=fit_of(6))
    assert SEEN[0] == pytest.approx(expected[0])  # the check before the first step
    assert SEEN[1:] == pytest.approx(expected)


def test_it_is_a_number_where_the_batch_is_and_broadcasts():
    scene = observe(Cast({}), {"inputs": torch.zeros(2)}, [], now=Progress("kd", 3, 12))
    value = scene(Now("fraction"))
    assert value.shape == () and value.dtype == torch.float32 and float(value) == 0.25
    assert torch.equal(value * torch.ones(3, 2), torch.full((3, 2), 0.25))


def test_it_prints_is_hashed_described_and_drawn():
    assert Now(linear(0, 1)) == Now(linear(0, 1)) and len({Now("step"), Now("step"), Now("epoch")}) == 2
    made = methods.taid()
    assert "now linear(start=0.4, end=1.0, over=1.0)" in limbeck.describe(made)
    from limbeck.catalogue.diagram import svg

    assert ">time<" in svg(made) and ">0.4 to 1<" in svg(made)


def test_mistakes_are_one_sentence():
    with pytest.raises(UserError, match="unknown moment 'fractoin'; did you mean 'fraction'"):
        Now("fractoin")
    with pytest.raises(UserError, match="lambda cannot be printed"):
        Now(lambda now: 0.5)
    moving = single_stage(*methods.kd().stages[0].updates[0].terms, deploys=Now("step").via(seen, Tap("student")))
    with pytest.raises(UserError, match="deployed model has no training time"):
        rehearse(moving, cast_of(student=2, teacher=3), Toy(), fit_of(), device="cpu")
    with pytest.raises(UserError, match="now step has no value outside training"):
        observe(Cast({}), {}, [])(Now("step"))


@pytest.mark.parametrize("after", [1, 3, 4, 7])
def test_a_resumed_run_ends_with_the_same_bits(after, tmp_path):
    whole = cast_of(student=2, teacher=3)
    told = go(methods.taid(labels=0.5), whole, fit=fit_of(8))
    cast, fast = cast_of(student=2, teacher=3), fit_of(8, checkpoint_seconds=0.0)
    with pytest.raises(Stop):
        go(methods.taid(labels=0.5), cast, fit=fast, folder=tmp_path, listen=stopping(after))
    again = cast_of(student=2, teacher=3)
    assert go(methods.taid(labels=0.5), again, fit=fast, folder=tmp_path).history == told.history
    assert differing(state(whole), state(again)) == []


def mlp(width, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 4)).double()


def test_micro_batches_step_as_the_whole_batch():
    """Also where a mask follows time: it is no model's, so a batch may be cut."""
    stepped = []
    for pieces in (1, 4):
        cast = Cast({"teacher": mlp(16, 1), "student": mlp(8, 2)})
        double = Toy(change=lambda batch, position: batch | {"inputs": batch["inputs"].double()})
        go(methods.taid(labels=0.3), cast, draw=double, fit=fit_of(5, accumulate=pieces, lr=0.5))
        stepped.append(state(cast))
    for key, value in stepped[0].items():
        assert torch.allclose(value, stepped[1][key], rtol=0, atol=1e-12), key  # float64 sums in another order


def test_what_follows_time_is_not_stored_and_what_is_beside_it_is(tmp_path):
    """The teacher's answers are read from the store; the mixture with the student, which moves with time, is made anew."""
    cast, streams = teacher_and_student(), streams_of(data.load("digits", limit=300))
    planned = plan(methods.taid(), cast, streams, Store(tmp_path))
    assert [str(item.source) for item in planned.stored] == ["teacher"]
    (_, _, term), *_ = planned.method.terms()
    assert "now linear" in str(term.inputs["teacher"]) and "stored teacher" in str(term.inputs["teacher"])
    alone = single_stage(Term("pull", losses.mse, student=Tap("student"), teacher=Tap("teacher").detach().via(seen_last, Now())))
    planned = plan(alone, cast, streams, Store(tmp_path / "alone"))
    assert [str(item.source) for item in planned.stored] == ["teacher"]


def seen_last(value, now):
    return value * now


def test_in_stages_each_has_its_own_time():
    SEEN.clear()
    pull = Term("pull", losses.mse, student=Tap("student"), teacher=Now("step").via(seen, Tap("student").detach()))
    stages = tuple(Stage(name, (Update(("student",), (pull,)),), share=0.5) for name in ("first", "second"))
    go(Method(stages), cast_of(student=2), fit=fit_of(6))
    assert SEEN[2:] == [0, 1, 2, 0, 1, 2]  # after the checks of both stages


def test_runs_that_take_turns_have_each_their_own_time():
    """What they share is the teacher's answer alone."""
    from limbeck.engine import training
    from limbeck.engine.turns import take_turns
    from limbeck.plan.shared import SharedAnswers

    def made():
        teacher = build(width=3, seed=1)
        return [Cast({"teacher": teacher, "student": build(width=2, seed=2)}) for _ in range(2)]

    class Same(Toy):
        """The same tensors for both, as runs in turns have them."""

        def __call__(self, partitions, position):
            return KEPT.setdefault(position, super().__call__(partitions, position))

    KEPT: dict[int, dict] = {}
    both = (methods.taid(), methods.taid(start=0.0, end=0.5))
    apart, together, shared = made(), made(), SharedAnswers()
    for method, cast in zip(both, apart, strict=True):
        go(method, cast, draw=Same(), seed=3)
    runs = [
        training(method, cast, Same(), fit_of(), 3, None, lambda kind, facts: None, None, "cpu", shared)
        for method, cast in zip(both, together, strict=True)
    ]
    assert len(list(take_turns(runs))) == 2
    for one, other in zip(apart, together, strict=True):
        assert differing(state(one), state(other)) == []
    assert differing(state(apart[0]["student"]), state(apart[1]["student"]))
