"""What cannot work is refused before the first step, in one sentence; and looking leaves no trace."""

import pytest
import torch
from torch import nn
from toy import Toy, build, cast_of, copy, differing, fit_of, go, state

from limbeck import losses, methods
from limbeck.connectors import Judge
from limbeck.engine.check import build_parts, check
from limbeck.errors import UserError
from limbeck.methods._terms import soft, task
from limbeck.plan import Method, Part, Stage, Term, Update, single_stage
from limbeck.plan.actions import Promote, Reinit
from limbeck.plan.taps import Field, Tap
from limbeck.transforms import attention_map
from limbeck.transforms.combine import sample_relations


def refused(method, words, cast=None, **fit):
    steps = []
    with pytest.raises(UserError, match=words) as caught:
        go(
            method,
            cast or cast_of(teacher=4, student=2),
            fit=fit_of(**fit),
            listen=lambda kind, _: steps.append(kind) if kind == "step" else None,
        )
    assert steps == [] and "\n" not in str(caught.value)


def hint(**changes):
    inputs = {"student": Tap("student", "layer1"), "teacher": Tap("teacher", "layer1").detach()} | changes
    return Term("hint", losses.mse, **inputs)


def flat(x):
    return x.flatten(1).mean(1)


def column(x):
    return flat(x)[:, None]


def test_a_missing_role():
    refused(methods.kd(), "method 'kd' needs the roles student, teacher; missing: teacher", cast_of(student=2))


def test_an_unknown_tap_offers_the_closest():
    refused(single_stage(hint(student=Tap("student", "layr1"))), "'layr1'; did you mean 'layer1'")


def test_an_unknown_trained_path_offers_the_closest():
    refused(single_stage(task(), trains=("student.linaer",)), "'linaer'; did you mean 'linear'")


def test_a_term_that_reaches_nothing():
    stopped = {"student": Tap("student", "layer1").detach(), "teacher": Tap("student", "layer1").detach()}
    refused(single_stage(task(), hint(**stopped)), "term 'hint' has no gradient to anything that its update trains")
    late = Method((Stage("s", (Update(("student.layer3",), (hint(**stopped),)),)),))
    refused(late, "term 'hint' has no gradient to anything")


def test_a_trained_path_that_no_term_reaches():
    only = single_stage(
        Term("low", losses.mse, student=Tap("student", "layer1"), teacher=Tap("student", "layer1").detach()),
        trains=("student.layer1", "student.linear"),
    )
    refused(only, "trains 'student.linear', but no term of its update has a gradient to it")


def test_nothing_to_train():
    refused(single_stage(task(), trains=("student.pool",)), "student.pool has no parameters to train")


def test_two_terms_of_one_name():
    refused(single_stage(task(), task()), "stage 'distil' has 2 terms called 'task'; rename them so that names differ")


def test_shapes_that_differ_name_the_term():
    refused(
        single_stage(task(), hint()), r"term 'hint': .*student \(8, 2, 8, 8\) and teacher \(8, 4, 8, 8\) differ; add a connector"
    )


def test_a_column_is_not_broadcast_against_a_row():
    mixed = hint(student=Tap("student", "layer1").via(flat), teacher=Tap("teacher", "layer1").via(column).detach())
    refused(single_stage(mixed), r"term 'hint': .*\(8,\).*\(8, 1\) differ")


def test_a_connector_that_does_not_fit_names_the_term():
    judged = Term("fool", losses.real, logit=Tap("student", "pool").via("judge"))
    made = single_stage(task(), judged, parts={"judge": Part(Judge, like=(Tap("teacher", "pool"),))})
    refused(made, r"term 'fool': its inputs do not fit together \(.*mat1 and mat2")


def test_a_transform_of_maps_names_the_layer_that_is_none():
    maps = Term("maps", losses.mse, student=Tap("student").via(attention_map), teacher=Tap("teacher").via(attention_map).detach())
    refused(single_stage(task(), maps), r"maps.* do not fit together \(Dimension out of range.*student \(8, 4\)")


@pytest.mark.parametrize("method", [methods.similarity, methods.rkd, methods.pkt, methods.dist])
def test_terms_over_the_batch_refuse_accumulation(method):
    refused(method(), "compares samples of a batch with each other, so gradient accumulation would change", accumulate=2)


def test_terms_over_the_batch_refuse_several_processes():
    with pytest.raises(UserError, match="so several processes would change its value"):
        check(methods.pkt(), cast_of(teacher=4, student=2), lambda u, c: Toy()(("train",), 0), processes=2)


def test_a_mask_of_a_model_refuses_accumulation():
    refused(single_stage(task(mask=Tap("teacher").via(flat))), "its mask depends on a model", accumulate=2)


def test_a_mistake_in_the_last_stage_shows_before_the_first_step():
    first = Stage("one", (Update(("student",), (task(),)),), share=0.5)
    last = Stage(
        "three",
        (Update(("student",), (task(), hint(student=Tap("student", "lyer2")))),),
        before=(Promote("old", "student"), Reinit("student")),
    )
    refused(Method((first, first, last)), "'lyer2'; did you mean 'layer2'")
    wrong = Stage("two", (Update(("student",), (task(),)),), before=(Promote("old", "studnt"),))
    with pytest.raises(UserError, match="studnt"):
        go(Method((first, wrong)), cast_of(student=2, teacher=4))


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(64, 4))

    def forward(self, x):
        return x.flatten(1) @ self.weight


def test_a_model_that_cannot_start_again_is_found_out_before_the_first_step():
    refused(
        methods.born_again(),
        r"role 'student' cannot be re-initialised: layer .*Plain.*Adapter\(factory=",
        cast_of(student=Plain()),
    )


def test_declarations_are_checked_when_they_are_made():
    with pytest.raises(UserError, match="unknown input of mse in term 'x': 'studnet'; did you mean 'student'"):
        Term("x", losses.mse, studnet=Tap("student"), teacher=Tap("teacher"))
    with pytest.raises(UserError, match="term 'x': mse also needs teacher"):
        Term("x", losses.mse, student=Tap("student"))
    with pytest.raises(UserError, match="a lambda cannot be printed"):
        Term("x", lambda student: student, student=Tap("student"))
    with pytest.raises(UserError, match="input 'teacher' must be a source"):
        Term("x", losses.mse, student=Tap("student"), teacher="teacher")
    with pytest.raises(UserError, match="unknown setting of method kd 'temprature'; did you mean 'temperature'"):
        methods.kd(temprature=2)


class Drop(nn.Module):
    """Leaves traces wherever it can: batch statistics and the random state."""

    def __init__(self):
        super().__init__()
        self.net = build(width=2)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.net(x))


def noise(cast, draw, generator):
    """A source of its own that runs a model of the cast."""
    batch = draw(("train",))
    return {**batch, "inputs": batch["inputs"] + 0 * cast["student"](batch["inputs"]).mean()}


MADE = Method((Stage("s", (Update(("student",), (task(), soft()), source=noise),)),))


@pytest.mark.parametrize(
    "method",
    [methods.kd(), methods.soft_tree(), methods.fitnets(), methods.born_again(), methods.own_teacher(), MADE],
    ids=lambda m: m.name or "own source",
)
@pytest.mark.parametrize("training", [True, False])
def test_the_check_leaves_no_trace(method, training):
    small = {"student": build("tree")} if method.name == "soft_tree" else {"student": build(width=2)}
    teacher = Drop() if method.name != "fitnets" else build(width=4)
    cast = cast_of(teacher=teacher, **small) if method.name not in ("born_again", "own_teacher") else cast_of(**small)
    cast.train(training)
    cast["student"].requires_grad_(False)

    def probe(update, given):
        real = Toy(views=tuple(method.views))
        draw = lambda partitions=("train",), whole=False: real(partitions, 0)  # noqa: E731
        return update.source(given, draw, torch.Generator()) if callable(update.source) else draw(update.partitions)

    build_parts(method, cast, Toy()(("train",), 0))
    before = (
        state(cast),
        torch.get_rng_state(),
        [p.requires_grad for p in cast.parameters()],
        [m.training for m in cast.modules()],
        list(cast),
    )
    check(method, cast, probe)
    after = (
        state(cast),
        torch.get_rng_state(),
        [p.requires_grad for p in cast.parameters()],
        [m.training for m in cast.modules()],
        list(cast),
    )
    assert differing(before[0], after[0]) == [] and torch.equal(before[1], after[1]) and before[2:] == after[2:]
    assert all(p.grad is None for p in cast.parameters())


def test_training_leaves_torchs_random_state_alone():
    before = torch.get_rng_state()
    go(methods.kd(), cast_of(teacher=4, student=2))
    assert torch.equal(before, torch.get_rng_state())


def test_a_frozen_student_is_trained_all_the_same():
    cast = cast_of(teacher=4, student=2)
    twin = copy.deepcopy(cast)
    cast.requires_grad_(False)
    go(methods.kd(), cast)
    go(methods.kd(), twin)
    assert differing(state(cast), state(twin)) == []


def test_an_unknown_field_is_named():
    refused(
        single_stage(Term("t", losses.cross_entropy, student=Tap("student"), labels=Field("lables"))),
        "unknown batch field 'lables'; did you mean 'labels'",
    )


def test_a_relation_on_the_way_to_a_plain_loss_is_refused_where_batches_are_cut():
    term = Term("near", losses.mse, student=Tap("student").via(sample_relations), teacher=Tap("teacher").via(sample_relations))
    assert term.batchwise and not Term("far", losses.mse, student=Tap("student"), teacher=Tap("teacher")).batchwise
    refused(single_stage(term), "compares samples", cast_of(student=2, teacher=2), accumulate=2)
