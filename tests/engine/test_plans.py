"""Actions, schedules, budgets, precision, and plans that no catalogue method has."""

import math

import pytest
import torch
from torch import nn
from toy import CLASSES, Cast, Toy, build, cast_of, copy, differing, fit_of, go, state

from limbeck import losses, methods
from limbeck.engine import Fit
from limbeck.errors import UserError
from limbeck.methods._terms import soft, task
from limbeck.models import save_weights
from limbeck.models.load import Load
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.actions import Follow, Promote, Reinit
from limbeck.plan.roles import Adapter
from limbeck.plan.schedules import Progress, choose, cosine, linear, ramp_up
from limbeck.plan.taps import Field, Tap

# ---------------------------------------------------------------------------------------- actions


def test_follow_by_hand():
    cast = Cast({"mean": nn.BatchNorm1d(1), "fast": nn.BatchNorm1d(1)})
    cast["mean"].weight.data.fill_(1.0)
    cast["fast"].weight.data.fill_(3.0)
    cast["fast"].num_batches_tracked.fill_(7)
    Follow("mean", "fast", decay=0.9)(cast, Progress("any", 0, 1000))  # min(0.9, 0 / 1): a copy
    assert cast["mean"].weight.item() == 3.0 and cast["mean"].num_batches_tracked.item() == 7
    cast["fast"].weight.data.fill_(5.0)
    Follow("mean", "fast", decay=0.9)(cast, Progress("any", 1, 1000))  # min(0.9, 1 / 2)
    assert cast["mean"].weight.item() == 4.0
    Follow("mean", "fast", decay=0.9, warm_up=False)(cast, Progress("any", 1, 1000))
    assert cast["mean"].weight.item() == pytest.approx(4.1, abs=1e-6)
    Follow("mean", "fast", decay=0.9)(cast, Progress("any", 100, 1000))
    assert cast["mean"].weight.item() == pytest.approx(4.19, abs=1e-6)


def test_follow_in_a_run_is_the_mean_of_the_steps():
    cast, seen = cast_of(student=2), []
    stage = Stage(
        "s",
        (Update(("student",), (task(),)),),
        before=(Promote("mean", "student"),),
        after_step=(Follow("mean", "student", decay=1.0),),
    )
    go(
        Method((stage,)),
        cast,
        listen=lambda kind, _: seen.append(cast["student"].linear.weight.detach().clone()) if kind == "step" else None,
    )
    assert torch.allclose(cast["mean"].linear.weight, torch.stack(seen).mean(0), atol=1e-6)  # rounding of 6 lerps


def test_promote_is_a_frozen_copy():
    cast = cast_of(student=2)
    cast.adapters["student"] = Adapter(logits="x")
    Promote("ancestor", "student")(cast, Progress("any", 0, 1, seed=0))
    assert differing(state(cast["ancestor"]), state(cast["student"])) == []
    assert not any(p.requires_grad for p in cast["ancestor"].parameters()) and cast["student"].linear.weight.requires_grad
    assert cast.adapters["ancestor"] == cast.adapters["student"]
    cast["student"].linear.weight.data.add_(1)
    assert "linear.weight" in differing(state(cast["ancestor"]), state(cast["student"]))


def test_reinit_depends_on_the_seed_alone_and_leaves_the_random_state():
    first, second, other = (cast_of(student=2) for _ in range(3))
    before = torch.get_rng_state()
    for cast, seed in ((first, 1), (second, 1), (other, 2)):
        cast.adapters["student"] = Adapter(factory=lambda: build_fresh())
        Reinit("student")(cast, Progress("any", 0, 1, seed=seed))
    assert torch.equal(before, torch.get_rng_state())
    assert differing(state(first), state(second)) == [] != differing(state(first), state(other))
    plain = cast_of(student=2)
    old = state(plain)
    Reinit("student")(plain, Progress("any", 0, 1, seed=1))
    assert "student.linear.weight" in differing(old, state(plain))


def build_fresh():
    from limbeck import models

    return models.build("cnn", classes=4, shape=(1, 8, 8), arguments={"width": 2})


def test_load_reads_a_role_from_a_file(tmp_path):
    cast, other = cast_of(student=2), build(width=2, seed=9)
    save_weights(other, tmp_path / "w.safetensors")
    Load("student", str(tmp_path / "w.safetensors"))(cast, Progress("any", 0, 1, seed=0))
    assert differing(state(cast["student"]), state(other)) == []
    with pytest.raises(UserError, match="student: .* does not exist"):
        Load("student", str(tmp_path / "none.safetensors"))(cast, Progress("any", 0, 1, seed=0))


def test_a_stage_may_load_what_it_starts_from(tmp_path):
    other = build(width=4, seed=9)
    save_weights(other, tmp_path / "w.safetensors")
    first, second = methods.fitnets().stages
    cast = cast_of(teacher=4, student=2)
    loading = Stage("kd", second.updates, share=0.7, before=(Load("teacher", str(tmp_path / "w.safetensors")),))
    go(methods.fitnets().but(stages=(first, loading)), cast)
    assert differing(state(cast["teacher"]), state(other)) == []


# ---------------------------------------------------------------------------------------- numbers


def at(step, steps=10, stage="s"):
    return Progress(stage, step, steps)


def test_schedules_in_numbers():
    assert [linear(4, 1)(at(k)) for k in (0, 5)] == [4.0, 2.5]
    assert linear(0, 1, over=0.5)(at(5)) == 1.0 == linear(0, 1, over=0.5)(at(9)) and linear(0, 1, over=0.5)(at(1)) == 0.2
    assert cosine(1, 0)(at(0)) == 1.0 and cosine(1, 0)(at(5)) == pytest.approx(0.5) and cosine(2, 1, over=0.5)(at(7)) == 1.0
    assert ramp_up(10, over=0.4)(at(0)) == pytest.approx(10 * math.exp(-5)) and ramp_up(10, over=0.4)(at(4)) == 10.0
    assert ramp_up(10, over=0.4)(at(2)) == pytest.approx(10 * math.exp(-1.25))


def test_choose_gives_each_step_to_exactly_one_and_all_their_share():
    dealt = [[choose(k, 3, 0.9)(at(step, 3000)) for k in range(3)] for step in range(3000)]
    assert all(sorted(row) == [0.0, 0.0, 0.9] for row in dealt)
    assert all(900 < sum(1 for row in dealt if row[k]) < 1100 for k in range(3))  # 1000 +- 3.9 sigma


def test_a_teacher_with_weight_zero_does_not_run():
    cast, ran = cast_of(teacher=4, teacher_2=3, student=2), []
    for name in ("teacher", "teacher_2"):
        cast[name].register_forward_hook(lambda *_, name=name: ran.append(name))
    go(
        methods.teachers_switch(teachers=("teacher", "teacher_2")),
        cast,
        listen=lambda kind, _: ran.append(kind) if kind in ("stage", "step") else None,
    )
    steps = (
        "".join({"teacher": "1", "teacher_2": "2", "stage": "|", "step": "."}[word] for word in ran).split("|")[1].split(".")[:-1]
    )
    assert sorted(set(steps)) == ["1", "2"] and len(steps) == 6


def test_stage_steps():
    def lengths(steps, *shares, **fixed):
        return Fit(steps).stage_steps(
            tuple(Stage(str(k), (), share=s) for k, s in enumerate(shares))
            + tuple(Stage(k, (), steps=v) for k, v in fixed.items())
        )

    assert lengths(10, 0.3, 0.7) == [3, 7] and lengths(100, 1 / 3, 1 / 3, 1 / 3) == [33, 34, 33]
    assert lengths(10, 1.0, 1.0) == [10, 10] and lengths(1, 0.3, 0.7) == [1, 1] and lengths(10, 1.0, once=1) == [10, 1]


@pytest.mark.parametrize(("schedule", "rates"), [("constant", [0.05] * 8), ("multistep", [0.05] * 5 + [0.005, 0.0005, 0.00005]),
                                                 ("cosine", [0.025 * (1 + math.cos(math.pi * k / 8)) for k in range(8)])])  # fmt: skip
def test_learning_rates(schedule, rates):
    parameter = nn.Parameter(torch.zeros(1))
    fit, seen = Fit(8, schedule=schedule, lr=0.05), []
    optimizer = fit.make_optimizer([parameter])
    rate = fit.make_schedule(optimizer, 8)
    for _ in range(8):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        rate.step()
    assert seen == pytest.approx(rates, rel=1e-6)


# -------------------------------------------------------------------------------------- precision


def test_bfloat16_runs_finite_and_float32_after_it_in_the_same_process():
    made = {}
    for precision in ("float32", "bf16", "float32"):
        cast = cast_of(teacher=4, student=2)
        told = go(methods.kd(), cast, fit=fit_of(6, precision=precision))
        assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in cast["student"].parameters())
        assert all(math.isfinite(v) for record in told.history for v in record["terms"].values())
        made.setdefault(precision, []).append(state(cast))
    assert differing(*made["float32"]) == [] != differing(made["float32"][0], made["bf16"][0])


# ------------------------------------------------------------------------------- a plan of its own


class Generator(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(latent, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 64), nn.Sigmoid())
        self.latent = latent

    def forward(self, z):
        return self.net(z).view(-1, 1, 8, 8)


def imagined(cast, draw, generator):
    maker = cast["generator"]
    return {"inputs": maker(torch.randn(8, maker.latent, generator=generator))}


def confident(logits):
    return -logits.log_softmax(1).max(1).values


def data_free():
    """After Chen et al. 2019: the generator makes what the teacher is sure of, the student copies the answers."""
    make = Update(("generator",), (Term("sure", confident, logits=Tap("teacher")),), source=imagined)
    learn = Update(("student",), (soft(temperature=2.0),), source=imagined)
    return Method((Stage("play", (make, learn)),))


def data_free_cast():
    with torch.random.fork_rng():
        torch.manual_seed(7)
        maker = Generator()
    return cast_of(teacher=4, student=2, generator=maker)


def never(partitions, position):
    raise AssertionError("no data may be drawn")


def test_a_data_free_plan_sends_gradients_to_the_generator_through_a_frozen_teacher():
    cast = data_free_cast()
    before = state(cast)
    go(data_free(), cast, draw=Draws_nothing(), fit=fit_of(6, schedule="constant"), seed=4)
    moved = differing(before, state(cast))
    assert {"generator.net.0.weight", "generator.net.3.bias", "student.linear.weight"} <= set(moved)
    assert not any(name.startswith("teacher.") for name in moved)
    assert all(p.grad is None for p in cast.parameters())


class Draws_nothing(Toy):  # noqa: N801  reads as a sentence where it is used
    def __call__(self, partitions, position):
        return {"inputs": torch.zeros(0)}


def test_it_equals_a_loop_by_hand_in_which_neither_learns_from_the_others_loss():
    cast = data_free_cast()
    hand = copy.deepcopy(cast)
    go(data_free(), cast, draw=Draws_nothing(), fit=fit_of(4, schedule="constant"), seed=4)
    teacher, student, maker = (hand[name] for name in ("teacher", "student", "generator"))
    teacher.eval().requires_grad_(False)
    student.train(), maker.train()
    fit = fit_of(4)
    optimizers = {
        role: torch.optim.SGD(hand[role].parameters(), lr=fit.lr, momentum=0.9, weight_decay=5e-4)
        for role in ("generator", "student")
    }

    def z(step, number):
        seed = 4
        for word in (0, number, 0, step):
            seed = (seed * 1_000_003 + word + 1) % 2**62
        return torch.randn(8, 6, generator=torch.Generator().manual_seed(seed))

    for step in range(4):
        loss = confident(teacher(maker(z(step, 0)))).sum() / 8
        loss.backward()
        optimizers["generator"].step()
        optimizers["generator"].zero_grad()
        with torch.no_grad():
            inputs = maker(z(step, 1))
            answer = teacher(inputs)
        value = losses.soft_target(student(inputs), answer, temperature=2.0).sum() / 8
        value.backward()
        optimizers["student"].step()
        optimizers["student"].zero_grad()
    assert differing(state(cast), state(hand)) == []


def test_repeat_takes_several_steps_a_turn_with_a_batch_each():
    asked = []

    class Noting(Toy):
        def __call__(self, partitions, position):
            asked.append(position)
            return super().__call__(partitions, position)

    go(Method((Stage("s", (Update(("student",), (task(),), repeat=3),)),)), cast_of(student=2), draw=Noting(), fit=fit_of(2))
    assert [p for p in asked if p] == [1, 2, 3, 4, 5]


def test_one_optimiser_per_set_of_parameters_and_its_schedule_ends_where_its_steps_end():
    rates = []
    plain = Update(("student",), (task(),))
    other = Update(("student",), (soft(),))
    cast = cast_of(teacher=4, student=2)
    told = go(
        Method((Stage("s", (plain, other)),)),
        cast,
        fit=fit_of(5, steps_per_epoch=5),
        listen=lambda kind, facts: rates.append(facts["lr"]) if kind == "epoch" else None,
    )
    final = 0.05 / 25 / 1e4  # OneCycleLR: max / div_factor / final_div_factor
    assert told.steps == 5 and rates[-1]["1"] == pytest.approx(final) and rates[-1]["0"] > final


def test_labels_never_seen_are_not_needed():
    cast = cast_of(teacher=4, student=2)
    go(Method((Stage("s", (Update(("student",), (soft(),)),)),)), cast, draw=Toy(change=lambda b, k: {"inputs": b["inputs"]}))


def test_a_source_may_join_fields_of_its_own():
    def counted(cast, draw, generator):
        return {**draw(("train",)), "goal": torch.full((8, CLASSES), 0.25)}

    flat = Term("flat", losses.soft_labels_cross_entropy, student=Tap("student"), probabilities=Field("goal"))
    cast = cast_of(student=2)
    told = go(Method((Stage("s", (Update(("student",), (flat,), source=counted),)),)), cast, fit=fit_of(40, lr=0.1))
    first, last = (told.history[k]["terms"]["flat"] for k in (0, -1))
    assert math.log(4) - 1e-6 < last < math.log(4) + 0.01 < first  # the entropy of four equal classes


@pytest.mark.parametrize(
    "make",
    [lambda over: linear(0.0, 2.0, over=over), lambda over: cosine(1.0, 2.0, over=over), lambda over: ramp_up(2.0, over=over)],
)
def test_a_change_over_nothing_is_done_at_once_and_none_goes_backwards(make):
    assert make(0.0)(Progress("s", 0, 10)) == 2.0
    with pytest.raises(UserError, match="cannot change over -0.5 of a stage; give a part of it, 0 to 1"):
        make(-0.5)(Progress("s", 0, 10))
