"""A stopped run goes on to the same last bit, wherever it was stopped; damage falls back and is said."""

import pytest
import torch
from torch import nn
from toy import Cast, Stop, build, cast_of, differing, fit_of, go, state, stopping

from limbeck import methods
from limbeck.engine import NonFinite, checkpoint
from limbeck.errors import UserError
from limbeck.plan import Stage, Term, Update

CASES = {
    "kd": (lambda: methods.kd(), lambda: cast_of(teacher=4, student=2)),
    "fitnets": (lambda: methods.fitnets(), lambda: cast_of(teacher=4, student=2)),
    "adversarial": (lambda: methods.adversarial(), lambda: cast_of(teacher=4, student=2)),
    "born_again": (lambda: methods.born_again(ensemble=True), lambda: cast_of(student=2)),
    "mean_teacher": (lambda: methods.mean_teacher(), lambda: cast_of(student=2)),
    "zero_shot": (lambda: methods.zero_shot(size=20), lambda: cast_of(teacher=4, student=2)),
    "own_teacher": (lambda: methods.own_teacher(), lambda: cast_of(student=2)),
    "mutual": (lambda: methods.mutual(), lambda: cast_of(student=2, peer=3)),
}


def resumed(method, cast_fn, tmp_path, after, **fit):
    fast = fit_of(8, checkpoint_seconds=0.0, **fit)
    with pytest.raises(Stop):
        go(method(), cast_fn(), fit=fast, seed=2, folder=tmp_path, listen=stopping(after))
    cast = cast_fn()
    return cast, go(method(), cast, fit=fast, seed=2, folder=tmp_path)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fraction", [0.0, 0.15, 0.3, 0.5, 0.8, 1.0])
def test_weights_and_history_are_those_of_the_uninterrupted_run(name, fraction, tmp_path):
    method, cast_fn = CASES[name]
    whole = cast_fn()
    told = go(method(), whole, fit=fit_of(8), seed=2)
    cast, again = resumed(method, cast_fn, tmp_path, after=int(fraction * (told.steps - 1)))
    assert differing(state(whole), state(cast)) == []
    assert again.history == told.history and again.steps == told.steps


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("schedule", ["cosine", "multistep", "constant"])
def test_with_other_optimisers_and_schedules(optimizer, schedule, tmp_path):
    method, cast_fn = CASES["fitnets"]
    whole = cast_fn()
    told = go(method(), whole, fit=fit_of(8, optimizer=optimizer, schedule=schedule), seed=2)
    cast, again = resumed(method, cast_fn, tmp_path, 5, optimizer=optimizer, schedule=schedule)
    assert differing(state(whole), state(cast)) == [] and again.history == told.history


class Dropping(nn.Module):
    """Layers after the tap draw from the random state too, and have batch statistics."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5))
        self.linear = nn.Sequential(nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4))

    def forward(self, x):
        return self.linear(self.layer1(x))


def dropping():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Cast({"student": Dropping(), "teacher": Dropping()})


def shallow():
    """Trains the whole student by its first layer alone, so that forwards are cut short."""
    from limbeck import losses
    from limbeck.plan import Method
    from limbeck.plan.taps import Tap

    term = Term("hint", losses.mse, student=Tap("student", "layer1"), teacher=Tap("teacher", "layer1").detach())
    return Method((Stage("hint", (Update(("student",), (term,)),)),))


@pytest.mark.parametrize("method", [methods.kd, shallow])
def test_the_random_state_of_dropout_survives(method, tmp_path):
    whole = dropping()
    go(method(), whole, fit=fit_of(8), seed=2)
    cast, _ = resumed(method, dropping, tmp_path, 4)
    assert differing(state(whole), state(cast)) == []


class Draws:
    """An action that draws from torch's global generator."""

    role = "student"

    def __call__(self, cast, seed):
        with torch.no_grad():
            cast["student"].linear.bias.add_(torch.randn(4))


@pytest.mark.parametrize("after", [2, 4, 6])
def test_an_action_that_draws_between_stages_repeats_its_draw(after, tmp_path):
    first, second = methods.fitnets(hint_share=0.5).stages

    def method():
        return methods.fitnets(hint_share=0.5).but(stages=(first, Stage("kd", second.updates, share=0.5, before=(Draws(),))))

    whole = cast_of(teacher=4, student=2)
    go(method(), whole, fit=fit_of(8), seed=2)
    cast, _ = resumed(method, lambda: cast_of(teacher=4, student=2), tmp_path, after)
    assert differing(state(whole), state(cast)) == []


def test_a_stop_between_the_stages_goes_on_too(tmp_path, monkeypatch):
    method, cast_fn = CASES["born_again"]
    whole = cast_fn()
    told = go(method(), whole, fit=fit_of(4), seed=2)
    real, count = checkpoint.save, []

    def save(folder, step, tensors, meta):
        real(folder, step, tensors, meta)
        if meta["state"]["stage"] == 1 and meta["state"]["step"] == 0:
            count.append(step)
            raise Stop

    monkeypatch.setattr(checkpoint, "save", save)
    fast = fit_of(4, checkpoint_seconds=0.0)
    with pytest.raises(Stop):
        go(method(), cast_fn(), fit=fast, seed=2, folder=tmp_path)
    monkeypatch.setattr(checkpoint, "save", real)
    cast = cast_fn()
    again = go(method(), cast, fit=fast, seed=2, folder=tmp_path)
    assert count == [4] and differing(state(whole), state(cast)) == [] and again.history == told.history


def flipped(path):
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 0x10
    path.write_bytes(raw)


def flipped_header(path):
    raw = bytearray(path.read_bytes())
    raw[30] ^= 0x10
    path.write_bytes(raw)


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flipped, flipped_header, truncated, emptied])
def test_a_damaged_newest_checkpoint_falls_back_and_says_so(damage, tmp_path):
    method, cast_fn = CASES["kd"]
    whole, fast = cast_fn(), fit_of(8, checkpoint_seconds=0.0)
    go(method(), whole, fit=fast, seed=2)
    with pytest.raises(Stop):
        go(method(), cast_fn(), fit=fast, seed=2, folder=tmp_path, listen=stopping(5))
    newest, before = checkpoint.existing(tmp_path)
    damage(newest)
    cast, said = cast_fn(), []
    go(
        method(),
        cast,
        fit=fast,
        seed=2,
        folder=tmp_path,
        listen=lambda kind, facts: said.append(facts["text"]) if kind == "say" else None,
    )
    assert differing(state(whole), state(cast)) == []
    assert f"checkpoint {newest.name} is damaged" in said[0] and "falling back" in said[0]
    assert said[1] == "resumed at step 4 of 8" and before.name.endswith("4.safetensors")


def test_a_folder_of_another_plan_is_refused(tmp_path):
    method, cast_fn = CASES["kd"]
    with pytest.raises(Stop):
        go(method(), cast_fn(), fit=fit_of(8, checkpoint_seconds=0.0), folder=tmp_path, listen=stopping(5))
    with pytest.raises(UserError, match="belongs to another plan"):
        go(methods.mutual(), cast_of(student=2, peer=3), fit=fit_of(8), folder=tmp_path)


def test_no_more_than_two_checkpoints_are_kept(tmp_path):
    go(methods.kd(), cast_of(teacher=4, student=2), fit=fit_of(8, checkpoint_seconds=0.0), folder=tmp_path)
    assert len(checkpoint.existing(tmp_path)) == 2 and len(list(tmp_path.iterdir())) == 2


def test_a_checkpoint_is_never_made_of_weights_that_are_not_finite(tmp_path):
    def spoil(kind, facts):
        if kind == "step" and facts["done"] == 4:
            cast["student"].layer1[0][0].weight.data[0, 0, 0, 0] = torch.nan

    cast = cast_of(teacher=4, student=2)
    with pytest.raises(
        NonFinite, match=r"after step 5 the weight 'student.layer1.0.0.weight' .*last good checkpoint is .*step-000000004"
    ):
        go(methods.kd(), cast, fit=fit_of(8, checkpoint_seconds=0.0), folder=tmp_path, listen=spoil)


def test_build_is_repeatable():
    assert differing(state(build(seed=4)), state(build(seed=4))) == [] != differing(state(build(seed=4)), state(build(seed=5)))
