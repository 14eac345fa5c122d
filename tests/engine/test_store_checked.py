"""Stored answers are not trusted: whatever changed behind the same weights, and whatever draws random numbers, is noticed."""

import copy
import functools
import random

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from limbeck import methods
from limbeck.data import from_datasets
from limbeck.data.streams import Streams
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.taps import Tap
from limbeck.store import checking
from limbeck.store.filling import Filling
from limbeck.store.forms import FORMS
from limbeck.store.identity import identity
from limbeck.store.planner import plan
from limbeck.store.shelves import Store


class Teacher(nn.Module):
    """A network with settings that are no tensors."""

    def __init__(self, slope: float = 0.01):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.act, self.last = nn.Linear(4, 8), nn.LeakyReLU(slope), nn.Linear(8, 2)
        self.scale, self.options, self.own = 1.0, {"turn": [1, 2]}, functools.partial(torch.mul, other=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return helper(self.last(self.act(self.first(self.own(x))))) * self.scale


def helper(x: Tensor) -> Tensor:
    return x


class Items(Dataset):
    """Items one by one; `change` is applied to those from `start` on."""

    def __init__(self, count: int = 60, start: int = 0, change=None):
        torch.manual_seed(5)
        self.inputs, self.start, self.change = torch.randn(count, 4), start, change

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        x = self.inputs[row]
        return (self.change(x) if self.change and row >= self.start else x), row % 2


def planned_on(samples, teacher: nn.Module, store, said: list[str], **how):
    streams = Streams(from_datasets(samples, validation=tensors(20), classes=2), size=16, seed=0, cycle=1)
    cast = Cast({"teacher": teacher.eval(), "student": nn.Linear(4, 2)}, {"teacher": Adapter()})
    return plan(methods.kd(), cast, streams, Store(store), say=said.append, **how), cast


def answers_are_the_teachers(planned, cast, positions=range(12)) -> None:
    (stored,) = planned.stored
    for position in positions:
        batch = planned.draw(("train",), position)
        with torch.no_grad():
            live = observe(cast, batch, [Tap("teacher")])(Tap("teacher"))
        assert torch.allclose(batch[stored.field], live, atol=1e-5), position


def tensors(count: int = 60) -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    return torch.randn(count, 4), torch.arange(count) % 2


def sloped(teacher: Teacher) -> None:
    teacher.act.negative_slope = 0.5


def scaled(teacher: Teacher) -> None:
    teacher.scale = 2.0


def turned(teacher: Teacher) -> None:
    teacher.options["turn"].append(3)


def multiplied(teacher: Teacher) -> None:
    teacher.own = functools.partial(torch.mul, other=-1.0)


@pytest.mark.parametrize("change", [sloped, scaled, turned, multiplied])
def test_settings_that_are_no_tensors_are_part_of_the_key(change):
    before, after = Teacher(), Teacher()
    change(after)
    one, other = (identity(Cast({"teacher": t}), "teacher") for t in (before, after))
    assert one != other and one == identity(Cast({"teacher": copy.deepcopy(before)}), "teacher")


def test_a_change_that_no_key_can_see_is_seen_by_asking_again(tmp_path, monkeypatch):
    said: list[str] = []
    planned, cast = planned_on(tensors(), Teacher(), tmp_path, said)
    answers_are_the_teachers(planned, cast)
    monkeypatch.setitem(globals(), "helper", lambda x: x.flip(1))  # the same weights, the same key
    planned, cast = planned_on(tensors(), Teacher(), tmp_path, said)
    assert planned.stored
    answers_are_the_teachers(planned, cast)
    assert len(said) == 1 and "asked again are not the model's" in said[0] and said[0].startswith("8 of 8")


@pytest.mark.parametrize("form", [name for name, form in FORMS.items() if not form.loose])
def test_no_form_of_storage_is_taken_for_a_change(tmp_path, form):
    said: list[str] = []
    for _ in range(2):
        planned, _ = planned_on(tensors(200), Teacher(), tmp_path, said, form=form)
        for position in range(20):
            planned.draw(("train",), position)
    assert not said


@pytest.mark.parametrize("asks", [True, False])
def test_data_behind_a_dataset_that_changed_after_its_first_items(tmp_path, monkeypatch, asks):
    """The key holds 16 of them; the rest is compared with what was fed when it was answered."""
    if not asks:
        monkeypatch.setattr(Filling, "_ask_again", lambda *_: None)
    said: list[str] = []
    for samples in (Items(), Items(start=40, change=torch.neg)):
        planned, cast = planned_on(samples, Teacher(), tmp_path, said)
        answers_are_the_teachers(planned, cast)
    assert len(said) == 1 and ("inputs of train are not those" in said[0] or "asked again are not" in said[0])
    planned, cast = planned_on(Items(start=40, change=torch.neg), Teacher(), tmp_path, said)
    answers_are_the_teachers(planned, cast)
    assert len(said) == len(list(tmp_path.iterdir())) == 1  # the same shelf, now right, and nothing to say


@pytest.mark.parametrize("chance", [lambda x: x + torch.randn(4), lambda x: x * random.choice((-1, 1))])
def test_items_that_draw_random_numbers_are_not_stored(tmp_path, chance):
    planned, _ = planned_on(Items(change=chance), Teacher(), tmp_path, [])
    assert not planned.stored and "not the same whenever they are read" in planned.decisions[0].why


def test_items_that_are_seldom_random_are_answered_live(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "READ", 1)
    said: list[str] = []
    planned, cast = planned_on(Items(start=20, change=lambda x: x + torch.randn(4)), Teacher(), tmp_path, said)
    assert planned.stored
    answers_are_the_teachers(planned, cast)
    assert len(said) == 2 and "computed live" in said[1]


class Chance(nn.Module):
    """Drops also in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Teacher()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.body(x), 0.5)


class LittleChance(Chance):
    """Draws a factor so near 1 that half of a batch and all of it look alike."""

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * (1 + 1e-3 * torch.rand(()))


@pytest.mark.parametrize("kind", [Chance, LittleChance])
def test_a_teacher_that_draws_random_numbers_is_not_stored(tmp_path, kind):
    planned, _ = planned_on(tensors(), kind(), tmp_path, [])
    assert not planned.stored and "is random" in planned.decisions[0].why


def test_what_is_asked_again_is_no_cost_of_training_and_leaves_no_trace(tmp_path):
    planned, cast = planned_on(tensors(), Teacher(), tmp_path, [])
    planned.draw(("train",), 0)
    planned, cast = planned_on(tensors(), Teacher(), tmp_path, [])
    cast.answered.clear()
    torch.manual_seed(11)
    before = torch.get_rng_state()
    planned.draw(("train",), 0)
    assert torch.equal(before, torch.get_rng_state()) and not cast.answered.get("teacher") and not cast.filled


def test_rows_differ_beyond_noise_and_rounding_only():
    live = torch.tensor([[1.0, -2.0], [0.5, float("nan")]])
    near, far = live + torch.tensor([[1e-5, 0.0], [0.0, 0.0]]), live + torch.tensor([[1e-2, 0.0], [0.0, 0.0]])
    assert checking.differing(near, live, FORMS["float32"]) == 0 and checking.differing(far, live, FORMS["float32"]) == 1
    assert checking.differing(live[:, :1], live, FORMS["float32"]) == 2
