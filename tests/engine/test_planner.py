"""Stored teacher answers: the right ones under shuffling and augmentation, computed once, never stale."""

import pytest
import torch
from torch import nn

from limbeck import data, engine, losses, methods, models
from limbeck.data.streams import Streams
from limbeck.errors import UserError
from limbeck.plan import Term, single_stage
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast, Normalise
from limbeck.plan.taps import Field, Tap
from limbeck.store.checking import ASKED
from limbeck.store.estimate import estimate
from limbeck.store.filling import CHUNK
from limbeck.store.identity import identity
from limbeck.store.planner import plan
from limbeck.store.shelves import Key, Shelf, Store
from limbeck.transforms import pairwise_distances


@pytest.fixture(scope="module")
def digits():
    return data.load("digits", limit=300)


def cast_of(seed: int = 0, mean: float = 0.3) -> Cast:
    torch.manual_seed(seed)
    make = lambda width: models.build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": width})  # noqa: E731
    return Cast({"teacher": make(4).eval(), "student": make(2)}, {"teacher": Adapter(prepare=Normalise((mean,), (0.4,)))})


def streams_of(digits, seed: int = 0, augment: str = "crop:1", cycle: int | None = 2) -> Streams:
    return Streams(digits, size=32, seed=seed, augment=augment, cycle=cycle)


def field_of(planned) -> str:
    (stored,) = planned.stored
    return stored.field


def test_a_stored_answer_is_the_answer_to_the_very_view_the_student_sees(digits, tmp_path):
    cast, streams = cast_of(), streams_of(digits)
    planned = plan(methods.kd(), cast, streams, Store(tmp_path))
    for position in (0, 5, streams.steps_per_epoch + 1, 3 * streams.steps_per_epoch + 2):  # several views, shuffled anew
        batch = planned.draw(("train",), position)
        with torch.no_grad():
            live = observe(cast, batch, [Tap("teacher")])(Tap("teacher"))
        assert torch.allclose(batch[field_of(planned)], live, atol=1e-5)
    first, second = (planned.draw(("train",), p) for p in (0, streams.steps_per_epoch))
    assert first["view"] == 0 and second["view"] == 1
    rows = {int(i): row for i, row in zip(first["index"], first[field_of(planned)], strict=True)}
    moved = [
        (rows[int(i)] - row).abs().max()
        for i, row in zip(second["index"], second[field_of(planned)], strict=True)
        if int(i) in rows
    ]
    assert moved and max(moved) > 1e-3  # another view has another answer


def test_the_planned_run_equals_the_unplanned_one(digits, tmp_path):
    fit = engine.Fit(steps=40, steps_per_epoch=10)
    results = []
    for stored in (False, True):
        cast, streams = cast_of(), streams_of(digits)
        planned = plan(methods.kd(), cast, streams, Store(tmp_path))
        method, draw = (planned.method, planned.draw) if stored else (methods.kd(), streams)
        results.append((engine.train(method, cast, draw, fit, seed=1, device="cpu"), cast["student"].state_dict()))
    (live, a), (read, b) = results
    for one, two in zip(live.history, read.history, strict=True):
        assert one["terms"] == pytest.approx(two["terms"], rel=1e-4)
    assert all(torch.allclose(a[k], b[k], atol=1e-4) for k in a)


def test_the_teacher_answers_once_per_view_and_a_second_run_asks_nothing(digits, tmp_path):
    asked = []
    for seed in (0, 1):  # another seed of the run: other order, the same stored views
        cast = cast_of()
        cast["teacher"].register_forward_hook(lambda m, i, o: asked.append(len(o)))
        planned = plan(methods.kd(), cast, streams_of(digits, seed), Store(tmp_path))
        asked.clear() if seed == 0 else None
        before = len(asked)
        for position in range(30):
            planned.draw(("train",), position)
        if seed == 0:
            assert sum(asked) == 2 * len(digits["train"])
        else:
            assert sum(asked[before:]) == 2 * ASKED  # a few, of each view, to see whether the store is right


def test_bits_do_not_depend_on_who_asked_first(digits, tmp_path):
    answers = []
    for seed in (0, 7):
        planned = plan(methods.kd(), cast_of(), streams_of(digits, seed), Store(tmp_path / str(seed)))
        planned.draw(("train",), 0)
        rows = digits["train"].index
        answers.append(planned.stored[0].shelf.get(rows, 0))
    assert torch.equal(*answers)


def test_what_it_depends_on_changes_the_key(digits, tmp_path):
    def folders(cast, streams, method=None):
        store = Store(tmp_path)
        plan(method or methods.kd(), cast, streams, store)
        return {folder.name for folder, _ in store.shelves()}

    known = folders(cast_of(), streams_of(digits))
    assert len(known) == 1
    assert folders(cast_of(), streams_of(digits, seed=3)) == known  # the seed of the order does not matter
    for cast, streams in (
        (cast_of(seed=5), streams_of(digits)),  # other weights
        (cast_of(mean=0.1), streams_of(digits)),  # other preprocessing
        (cast_of(), streams_of(digits, augment="crop:2")),  # other view
        (cast_of(), streams_of(data.load("digits", limit=200))),  # other data
    ):
        now = folders(cast, streams)
        assert len(now) == len(known) + 1
        known = now
    assert folders(cast_of(), streams_of(digits), methods.kd_standardised()) == known  # shares the teacher's logits
    assert len(folders(cast_of(), streams_of(digits), methods.attention())) == len(known) + 3


def test_identity_follows_weights_and_preprocessing():
    cast = cast_of()
    before = identity(cast, "teacher")
    assert identity(cast_of(), "teacher") == before
    with torch.no_grad():
        next(cast["teacher"].parameters()).view(-1)[0] += 1e-6
    assert identity(cast, "teacher") != before


def test_what_cannot_be_stored_runs_live_and_says_why(digits, tmp_path):
    def why(method, streams, store=None, cast=None):
        planned = plan(method, cast or cast_of(), streams, store or Store(tmp_path))
        assert not planned.stored and planned.draw is streams and planned.method == method
        return [d.why for d in planned.decisions]

    assert "new views" in why(methods.kd(), streams_of(digits, cycle=None))[0]
    assert "limit" in why(methods.kd(), streams_of(digits), Store(tmp_path, limit=100))[0]
    cast = cast_of()
    cast.add("peer", cast_of(3)["student"])
    assert why(methods.mutual(), streams_of(digits), cast=cast) == []  # nobody is frozen
    assert "during training" in why(methods.soft_tree(), streams_of(digits))[0]


def test_what_depends_on_batch_mates_or_on_chance_is_not_stored_by_sample(digits, tmp_path):
    """A relation within the batch of 32 is smaller than the logits' rows are long, and yet no value of one sample."""
    teacher, student = Tap("teacher").detach(), Tap("student")
    noisy = lambda x: x + 0.1 * torch.randn_like(x)  # noqa: E731
    for unmarked in (lambda x: torch.cdist(x, x), lambda x: x - x.mean(0), noisy):
        own = Term("own", losses.mse, student=student.via(unmarked), teacher=teacher.via(unmarked))
        planned = plan(single_stage(own), cast_of(), streams_of(digits), Store(tmp_path))
        assert not planned.stored and "other samples of the batch, or is random" in planned.decisions[0].why
    marked = Term("own", losses.mse, student=student.via(pairwise_distances), teacher=teacher.via(pairwise_distances))
    planned = plan(single_stage(marked), cast_of(), streams_of(digits), Store(tmp_path))
    assert [str(item.source) for item in planned.stored] == [str(teacher)]  # what it is computed from can be


def test_without_augmentation_one_answer_per_sample_serves_all_epochs(digits, tmp_path):
    planned = plan(methods.kd(), cast_of(), streams_of(digits, augment="", cycle=None), Store(tmp_path))
    for position in range(25):
        planned.draw(("train",), position)
    assert planned.stored[0].shelf.filled() == {0: len(digits["train"])}


def test_two_stages_share_what_they_can(digits, tmp_path):
    planned = plan(methods.fitnets(), cast_of(), streams_of(digits), Store(tmp_path))
    fields = {str(s.source) for s in planned.stored}
    assert fields == {"teacher.layer2", "teacher"}
    assert all(isinstance(term.inputs["teacher"].sources[0] if not isinstance(term.inputs["teacher"], Field) else term.inputs["teacher"], Field)
               for stage in planned.method.stages for u in stage.updates for term in u.terms if "teacher" in term.inputs)  # fmt: skip


def test_a_killed_filling_goes_on_and_a_damaged_row_is_computed_again(digits, tmp_path):
    said: list[str] = []
    planned = plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path), say=said.append)
    planned.draw(("train",), 0)
    rows = digits["train"].index
    whole = planned.stored[0].shelf.get(rows, 0)
    folder = planned.stored[0].shelf.folder
    values, marks = folder / "view-0000.safetensors", folder / "view-0000.checksums"
    raw = bytearray(marks.read_bytes())
    raw[int(rows[-1]) * 4 : int(rows[-1]) * 4 + 4] = b"\0\0\0\0"  # killed before this row
    marks.write_bytes(raw)
    bits = bytearray(values.read_bytes())
    start = len(bits) - (1 + max(int(p.index.max()) for p in digits.partitions.values())) * 40
    bits[start + int(rows[3]) * 40] ^= 0xFF  # a flipped bit in another
    values.write_bytes(bits)
    again = plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path), say=said.append)
    again.draw(("train",), 0)
    assert torch.equal(again.stored[0].shelf.get(rows, 0), whole)
    assert said == ["1 stored answers of teacher were damaged and will be computed again"]


def test_a_shelf_is_an_ordinary_safetensors_file(tmp_path):
    from safetensors.torch import load_file

    shelf = Shelf(tmp_path, (3,), 5)
    shelf.put(torch.tensor([4, 1]), 0, torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    values = load_file(tmp_path / "view-0000.safetensors")["values"]
    assert values.tolist() == [[0, 0, 0], [4, 5, 6], [0, 0, 0], [0, 0, 0], [1, 2, 3]]
    assert shelf.has(torch.arange(5), 0).tolist() == [False, True, False, False, True]
    assert Shelf(tmp_path, (3,), 5).get(torch.tensor([1, 4]), 0).tolist() == [[4, 5, 6], [1, 2, 3]]


def test_half_precision_rounds_and_refuses_what_does_not_fit(tmp_path):
    shelf = Shelf(tmp_path, (2,), 2, "float16")
    shelf.put(torch.tensor([0]), 0, torch.tensor([[0.1, 1000.4]]))
    assert shelf.get(torch.tensor([0]), 0).tolist() == [[0.0999755859375, 1000.5]]
    with pytest.raises(UserError, match="too large for float16"):
        shelf.put(torch.tensor([1]), 0, torch.tensor([[1e6, 0.0]]))


@pytest.mark.parametrize("form", ["float16", "bfloat16", "int8"])
def test_a_rounded_form_is_within_its_own_step(tmp_path, form):
    values = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0)) * 5
    values[2] = 1.25  # a constant answer has no range to cut
    shelf = Shelf(tmp_path, (3, 4), 6, form)
    shelf.put(torch.arange(6), 0, values)
    back = Shelf(tmp_path, (3, 4), 6, form).get(torch.arange(6), 0)
    span = values.flatten(1).amax(1) - values.flatten(1).amin(1)
    bound = {"float16": values.abs() * 2**-11, "bfloat16": values.abs() * 2**-8, "int8": (span / 510 * 1.001).view(6, 1, 1)}[form]
    assert ((back - values).abs() <= bound + 1e-7).all() and not torch.equal(back, values)
    assert torch.equal(back[2], values[2])


def test_eight_bits_take_a_quarter_of_the_room_and_train_alike(digits, tmp_path):
    sizes, terms = {}, {}
    for form in ("float32", "int8"):
        cast, streams = cast_of(), streams_of(digits)
        planned = plan(methods.attention(), cast, streams, Store(tmp_path), form=form)
        sizes[form] = sum(item.bytes for item in planned.stored)
        run = engine.train(planned.method, cast, planned.draw, engine.Fit(steps=20, steps_per_epoch=10), seed=1, device="cpu")
        terms[form] = run.history[-1]["terms"]
    assert sizes["int8"] < 0.5 * sizes["float32"]
    assert terms["int8"] == pytest.approx(terms["float32"], rel=0.02) and terms["int8"] != terms["float32"]


def test_top_k_with_a_tail_is_stationary_at_a_match_and_close_to_the_whole(digits, tmp_path):
    cast, streams = cast_of(), streams_of(digits)
    cast.add("student", cast_of()["teacher"], cast.adapter_of("teacher"))
    planned = plan(methods.kd(alpha=1.0), cast, streams, Store(tmp_path), form="float16", top_k=4)
    (item,) = planned.stored
    assert item.shelf.shape == (8,) and item.shelf.form.name == "float32"  # class numbers are not rounded
    term = next(t for u in planned.method.stages[0].updates for t in u.terms if t.name == "soft")
    batch = planned.draw(("train",), 0)
    scene = observe(cast, batch, term.sources, learns=("student",))
    value = term.by(**{key: scene(source) for key, source in term.inputs.items()}).sum()
    (gradient,) = torch.autograd.grad(value, scene(Tap("student")))
    assert abs(value.item()) < 1e-3 and gradient.abs().max() < 1e-5
    alike = plan(methods.kd(alpha=1.0), cast_of(), streams, Store(tmp_path), top_k=10)  # all ten classes: nothing is left out
    whole = engine.train(methods.kd(alpha=1.0), cast_of(), streams, engine.Fit(steps=5), seed=1, device="cpu")
    kept = engine.train(alike.method, cast_of(), alike.draw, engine.Fit(steps=5), seed=1, device="cpu")
    assert kept.history[-1]["terms"] == pytest.approx(whole.history[-1]["terms"], rel=1e-4)


def _fill(folder, start):
    planned = plan(methods.kd(), cast_of(), streams_of(data.load("digits", limit=300)), Store(folder))
    start.wait()
    planned.draw(("train",), 0)


def test_two_processes_fill_one_store_at_once(digits, tmp_path):
    import multiprocessing

    context = multiprocessing.get_context("spawn")  # a fork after PyTorch has started its threads may never end
    start = context.Barrier(2)
    both = [context.Process(target=_fill, args=(tmp_path, start)) for _ in range(2)]
    [process.start() for process in both]
    [process.join() for process in both]
    assert [process.exitcode for process in both] == [0, 0]
    rows = digits["train"].index
    shared = plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path)).stored[0].shelf
    alone = plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path / "alone"))
    alone.draw(("train",), 0)
    assert shared.has(rows, 0).all() and torch.equal(shared.get(rows, 0), alone.stored[0].shelf.get(rows, 0))


def test_a_folder_without_hard_links_will_do(digits, tmp_path, monkeypatch):
    def refused(*_args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refused)
    planned = plan(methods.kd(), cast_of(), streams_of(digits), Store(tmp_path))
    planned.draw(("train",), 0)
    assert planned.stored[0].shelf.filled() == {0: len(digits["train"])}


def test_prune_removes_the_longest_unused_first(tmp_path):
    import os

    store = Store(tmp_path)
    for k in range(3):
        store.shelf(Key({"source": f"s{k}", "data": "d", "view": "v"}), (1,), 10, 1)
        folder = tmp_path / Key({"source": f"s{k}", "data": "d", "view": "v"}).name
        os.utime(folder, (1000 + k, 1000 + k))
    size = store.size() // 3
    said: list[str] = []
    assert store.prune(size, said.append) == 2 * size
    assert [facts["source"] for _, facts in store.shelves()] == ["s2"] and "s0" in said[0] and "s1" in said[1]


def test_what_does_not_fit_together_leaves_nothing_behind(digits, tmp_path):
    cast, streams, method = cast_of(), streams_of(digits), methods.attention()
    every = plan(method, cast, streams, Store(tmp_path / "roomy")).stored
    assert len(every) > 1
    store = Store(tmp_path / "tight", limit=sum(item.bytes for item in every) - 1)
    planned = plan(method, cast, streams, store)
    assert planned.stored == () and not planned.decisions[0].stored and list(store.shelves()) == []
    (found,) = estimate(method, cast, streams, planned, engine.Fit(steps=10, steps_per_epoch=10))
    assert found.fill == 0
    assert len(plan(method, cast, streams, Store(tmp_path / "tight", limit=store.limit + 1)).stored) == len(every)


def test_a_shelf_counts_the_samples_that_are_asked_for(digits, tmp_path):
    streams = streams_of(digits)
    stored = plan(methods.kd(), cast_of(), streams, Store(tmp_path)).stored[0]
    assert stored.bytes == (streams.cycle or 1) * len(digits["train"]) * (10 * 4 + 4)
    assert Store(tmp_path).size() == stored.bytes


def test_a_shelf_may_come_to_hold_more(tmp_path):
    key, store = Key({"source": "s", "data": "d", "view": "v"}), Store(tmp_path, limit=100)
    assert store.shelf(key, (1,), 50, 1, used=5) is not None and store.size() == 40
    assert store.shelf(key, (1,), 50, 1, used=10) is not None and store.size() == 80
    assert store.shelf(key, (1,), 50, 1, used=3) is not None and store.size() == 80
    assert store.shelf(key, (1,), 50, 1) is None and store.size() == 80


def test_the_estimate_measures_without_a_trace(digits, tmp_path):
    cast, streams = cast_of(), streams_of(digits)
    before = {k: v.clone() for k, v in cast.state_dict().items()}
    planned = plan(methods.kd(), cast, streams, Store(tmp_path))
    (found,) = estimate(methods.kd(), cast, streams, planned, engine.Fit(steps=100, steps_per_epoch=10))
    assert found.steps == 100 and found.live > 0 and found.planned > 0 and found.fill > 0 and found.memory > 10_000
    assert all(torch.equal(v, before[k]) for k, v in cast.state_dict().items())
    assert planned.stored[0].shelf.filled() == {} and "100 steps" in str(found)
    assert CHUNK > 0


@pytest.mark.parametrize(("optimizer", "states"), [("sgd", 2), ("adam", 3)])
def test_the_memory_of_a_step_is_what_can_be_counted_by_hand(digits, optimizer, states):
    """A hidden layer that dwarfs the rest: of it are kept the output of ReLU, and weight, gradient and moments."""
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 5000), nn.ReLU(), nn.Linear(5000, 10))
    cast, streams = Cast({"student": wide}), Streams(digits, size=64, seed=0)
    plain = methods.alone(role="student")
    planned = plan(plain, cast, streams, None)
    fit = engine.Fit(steps=100, steps_per_epoch=10, optimizer=optimizer)
    (found,) = estimate(plain, cast, streams, planned, fit)
    weights, kept = 4 * sum(p.numel() for p in wide.parameters()), 4 * 64 * 5000
    assert found.memory == pytest.approx((1 + states) * weights + kept, rel=0.1)


@pytest.mark.parametrize("form", ["float32", "float16"])
def test_strings_that_a_teacher_writes_are_kept_whole_in_any_form(tmp_path, form):
    from dataclasses import replace

    from limbeck.tasks.translate import Translate
    from limbeck.transforms.combine import n_best_labels

    torch.manual_seed(0)
    sources, targets = torch.randint(1, 9, (40, 5)), torch.randint(4, 5000, (40, 4))
    pairs = data.from_datasets((sources, targets), classes=5000, validation=0.2, task=Translate())
    pairs = replace(pairs, partitions={k: replace(p, inputs=p.inputs.float()) for k, p in pairs.partitions.items()}, _memo={})
    made = [models.build("seq2seq", classes=5000, shape=(5,), arguments={"beams": 3, "longest": 4, "width": 8}) for _ in "ts"]
    cast = Cast({"teacher": made[0].eval(), "student": made[1]})
    planned = plan(methods.sequence_level(), cast, Streams(pairs, size=8, seed=0), Store(tmp_path), form=form)
    batch = planned.draw(("train",), 3)
    (stored,) = [item for item in planned.stored if batch[item.field].dim() == 3]  # the other holds the shares
    with torch.no_grad():
        live = observe(cast, batch, [Tap("teacher", "search")])(Tap("teacher", "search"))
    assert torch.equal(n_best_labels(batch[stored.field]), n_best_labels(live))  # numbers up to 5000: beyond half precision
    engine.train(planned.method, cast, planned.draw, engine.Fit(steps=3), device="cpu")
