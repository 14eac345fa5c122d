"""NaN and infinity stop the run at the step, with the term and where it came from."""

import pytest
import torch
from toy import Toy, cast_of, fit_of, go

from limbeck import losses, methods
from limbeck.engine import NonFinite, checkpoint
from limbeck.methods._terms import task
from limbeck.plan import Term, single_stage
from limbeck.plan.schedules import Progress
from limbeck.plan.taps import State, Tap

AT = 4


def spoilt(what):
    """Batches that are spoilt from step AT on."""

    def change(batch, position):
        if position >= AT:
            batch[what] = batch[what].clone()
            batch[what][1, 0] = torch.nan
        return batch

    return Toy(change=change)


def broken_at(student):
    return student.square().sum(1).sqrt() / broken_at.by


def test_a_term_that_turns_nan_names_stage_step_term_and_keeps_the_checkpoint(tmp_path):
    def listen(kind, facts):
        if kind == "step":
            broken_at.by = torch.nan if facts["done"] == AT - 1 else 1.0

    broken_at.by = 1.0
    method = single_stage(task(), Term("odd", broken_at, student=Tap("student")))
    with pytest.raises(NonFinite, match=rf"stage 'distil' step {AT}: term 'odd' is nan; it came from the loss itself") as caught:
        go(method, cast_of(student=2), fit=fit_of(8, checkpoint_seconds=0.0), listen=listen, folder=tmp_path)
    assert (
        str(checkpoint.existing(tmp_path)[0]) in str(caught.value)
        and checkpoint.existing(tmp_path)[0].name == f"step-{AT:09d}.safetensors"
    )
    assert "\n" not in str(caught.value)


def test_inputs_that_are_not_finite_are_named():
    with pytest.raises(
        NonFinite, match=rf"step {AT}: term 'task' is nan; it came from view 'inputs' of the data, which holds non-finite inputs"
    ):
        go(methods.kd(), cast_of(teacher=4, student=2), draw=spoilt("inputs"))


def test_a_teacher_that_is_broken_is_named():
    cast = cast_of(teacher=4, student=2)
    cast["teacher"].linear.bias.data[0] = torch.inf
    with pytest.raises(NonFinite, match=r"term 'soft' is nan; it came from role 'teacher', whose weights are no longer finite"):
        go(methods.kd(), cast)


def test_a_parameter_that_is_read_names_its_role():
    cast = cast_of(teacher=4, student=2)
    cast["teacher"].linear.bias.data[0] = torch.nan
    match = Term("bias", losses.mse, student=State("student", "linear.bias"), teacher=State("teacher", "linear.bias").detach())
    with pytest.raises(NonFinite, match=r"term 'bias' is nan; it came from role 'teacher', whose weights"):
        go(single_stage(task(), match), cast)


def test_a_rate_that_explodes_names_the_weights():
    with pytest.raises(
        NonFinite,
        match=r"the weight 'student\.[\w.]+' is not finite|role 'student', whose weights are no longer finite|largest value: .*e\+\d\d at student",
    ):
        go(methods.logit_regression(), cast_of(teacher=4, student=2), fit=fit_of(40, lr=1e20, schedule="constant"))


def test_the_last_step_is_looked_at_too():
    def listen(kind, facts):
        if kind == "step" and facts["done"] == 5:
            cast["student"].linear.bias.data[0] = torch.nan

    cast = cast_of(teacher=4, student=2)
    with pytest.raises(NonFinite, match="after step 6 the weight 'student.linear.bias' is not finite"):
        go(methods.kd(), cast, fit=fit_of(6), listen=listen)


def test_a_bad_step_is_not_taken():
    cast = cast_of(teacher=4, student=2)
    with pytest.raises(NonFinite):
        go(methods.kd(), cast, draw=spoilt("inputs"))
    assert all(torch.isfinite(p).all() for p in cast["student"].parameters())


def test_an_infinite_weight_of_a_term_stops():
    def endless(progress: Progress) -> float:
        return float("inf") if progress.step == AT else 1.0

    with pytest.raises(NonFinite, match=rf"step {AT}: the weight of term 'task' is inf"):
        go(single_stage(task(weight=endless)), cast_of(student=2))
