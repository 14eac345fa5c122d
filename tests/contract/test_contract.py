"""Every method of the catalogue keeps the same promises."""

import json

import pytest
import torch
from settings import DESCRIPTIONS, ROWS, cast_for, draw_for, fit_for, method_of, place_of
from toy import CLASSES, Stop, as_boxes, differing, go, state, stopping

from limbeck import methods
from limbeck.catalogue.describe import describe
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.data import from_datasets
from limbeck.data.streams import Streams
from limbeck.deploy.student import Deployed
from limbeck.engine.balance import balance
from limbeck.engine.check import quiet
from limbeck.plan.observe import observe
from limbeck.plan.roles import role_of
from limbeck.store.planner import plan
from limbeck.store.shelves import Store

pytestmark = pytest.mark.contract
KINDS = {(row.place, row.change): name for name, row in sorted(ROWS.items(), reverse=True)}  # the first row of each kind
NAMES = [pytest.param(name, marks=pytest.mark.quick) if name in KINDS.values() else name for name in sorted(ROWS)]


def name_of(parameter):
    return parameter if isinstance(parameter, str) else parameter.values[0]


def run(name, cast=None, **more):
    cast = cast or cast_for(name)
    trained = go(method_of(name), cast, draw=draw_for(name), fit=more.pop("fit", fit_for(name)), **more)
    return cast, trained


def test_every_method_has_a_row():
    assert set(ROWS) == set(methods.CATALOGUE)


@pytest.mark.parametrize("name", NAMES)
def test_it_moves_exactly_what_it_says(name):
    method, cast, seen = method_of(name), cast_for(name), {}

    def listen(kind, facts):
        if kind == "stage":
            stage = next(s for s in method.stages if s.name == facts["stage"])
            seen[stage.name] = [
                state(cast),
                None,
                told(cast, stage.trains),
                told(cast, [a.role for a in stage.after_step if hasattr(a, "role")]),
            ]
        elif kind == "step":
            seen[facts["stage"]][1] = state(cast)

    run(name, cast, listen=listen)
    for stage in method.stages:
        before, after, trained, followed = seen[stage.name]
        assert set(before) == set(after)
        moved = {key for key in before if not torch.equal(before[key], after[key])}
        assert moved - trained - followed == set(), f"stage {stage.name} moved what it does not train"
        learns = {key for key in trained if before[key].is_floating_point() and not fixed(cast, key)}
        assert learns - moved - set(ROWS[name].still) == set(), f"stage {stage.name} did not move all it trains"


def told(cast, paths):
    """The names of all tensors below the given paths."""
    found = {
        id(tensor) for path in paths for module in cast.members(path) for tensor in module.state_dict(keep_vars=True).values()
    }
    return {key for key, tensor in cast.state_dict(keep_vars=True).items() if id(tensor) in found}


def fixed(cast, key):
    """Buffers that no training moves: a bank's targets, a tree's unused nodes."""
    role, _, path = key.partition(".")
    return path in ("targets", "threshold", "probability")


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_with_a_seed_agree_and_a_stopped_one_goes_on_to_the_same_bits(name, tmp_path):
    whole, told = run(name, seed=3)
    again, _ = run(name, seed=3)
    assert differing(state(whole), state(again)) == []
    steps, fit = told.steps, fit_for(name, checkpoint_seconds=0.0)
    with pytest.raises(Stop):
        run(name, seed=3, folder=tmp_path, fit=fit, listen=stopping(after=steps // 2))
    resumed, continued = run(name, seed=3, folder=tmp_path, fit=fit)
    assert differing(state(whole), state(resumed)) == []
    assert continued.history == told.history


@pytest.mark.parametrize("name", [n for n in NAMES if "teacher" in ROWS[name_of(n)].roles])
def test_it_survives_a_teacher_with_relus_that_work_in_place(name):
    plain, _ = run(name)
    cast, _ = run(name, cast_for(name, relu_in_place=True))
    assert differing(state(plain), state(cast)) == []


@pytest.mark.parametrize("name", [n for n in NAMES if ROWS[name_of(n)].change in (None, as_boxes)])
def test_what_is_stored_of_a_frozen_model_is_what_it_would_say(name, tmp_path):
    """The store is filled in chunks that are not the batches of training."""
    toy = draw_for(name)
    train, more, hidden = (toy.change(toy.one(part, 0, size), 0) for part, size in (("train", 48), ("test", 16), ("more", 8)))
    found = from_datasets(
        (train["inputs"].clamp(0, 1), train["labels"]),
        validation=(more["inputs"], more["labels"]),
        classes=CLASSES,
        further={"unlabelled": hidden["inputs"]},
    )
    cast, method = cast_for(name), method_of(name)
    streams = Streams(found, size=12, seed=0, augment="flip", views=method.views, cycle=2)
    planned = plan(method, cast, streams, Store(tmp_path), folds=False)
    batches = [planned.draw(("train",), position) for position in (0, 4)] if planned.stored else []
    for batch in batches:
        with torch.no_grad(), quiet(cast):
            scene = observe(cast, batch, [item.source for item in planned.stored])
        for item in planned.stored:
            assert torch.allclose(batch[item.field].float(), scene(item.source).float(), atol=1e-4), str(item.source)


@pytest.mark.parametrize("name", NAMES)
def test_how_hard_its_terms_pull_is_measured_without_a_trace(name):
    cast, random = cast_for(name), torch.random.get_rng_state()
    before = state(cast)
    found = balance(method_of(name), cast, draw_for(name), fit_for(name), device="cpu")
    assert all(0 <= pull < float("inf") for each in found for pull in each.ratios.values())
    assert differing(before, state(cast)) == [] and torch.equal(random, torch.random.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_its_place_in_the_surveys(name):
    assert taxonomy(method_of(name)) == place_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_its_description_is_the_stored_one(name):
    stored = (DESCRIPTIONS / f"{name}.txt").read_text(encoding="utf-8")
    assert describe(methods.CATALOGUE[name]()) + "\n" == stored, "meant? then: python -m tests.contract.settings"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_json_and_comes_back_equal(name):
    method = method_of(name)
    text = json.dumps({"name": method.name, "arguments": dict(method.arguments)})
    back = methods.make(**json.loads(text))
    assert describe(back) == describe(method)
    assert repr(back.stages) == repr(method.stages) and back.deployed == method.deployed


@pytest.mark.parametrize("name", NAMES)
def test_what_it_deploys_answers_with_a_logit_per_class(name):
    cast, _ = run(name)
    inputs = draw_for(name)(("train",), 99)["inputs"]
    deployed = Deployed(cast, method_of(name).deployed).eval()
    with torch.no_grad():
        answer = deployed(inputs)
    last = CLASSES + 5 if ROWS[name].change is as_boxes else CLASSES
    assert (len(answer), answer.shape[-1]) == (len(inputs), last) and torch.isfinite(answer).all()


@pytest.mark.parametrize("name", NAMES)
def test_its_caller_brings_exactly_the_roles_of_the_row(name):
    assert set(method_of(name).roles()) == {role_of(role) for role in ROWS[name].roles}
