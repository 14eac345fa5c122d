"""What every loss of `CATALOGUE` promises, checked through one table; a loss without a row fails.

A row gives inputs for n samples (by argument name), the hyper-parameters to test with, and how "the student
equals the teacher" looks. Values are float64 unless a test says otherwise.
"""

import inspect

import pytest
import torch
from beartype import beartype
from jaxtyping import jaxtyped
from loss_rows import LABELLED, LOGITS, ROWS, Inputs, Row, draw
from torch import Tensor

from limbeck import losses as L  # noqa: N812
from limbeck.errors import UserError

every = pytest.mark.parametrize("fn", L.CATALOGUE, ids=lambda fn: fn.__name__)


def row_of(fn) -> Row:
    return ROWS[fn.__name__]


def call(fn, inputs: Inputs, **extra) -> Tensor:
    return fn(**inputs, **row_of(fn).hyper, **extra)


def learned(inputs: Inputs) -> list[str]:
    return [key for key in inputs if key.startswith(("student", "logit", "score", "slope", "code", "raw_variance"))]


def test_every_loss_has_a_row_and_every_row_a_loss():
    assert sorted(ROWS) == sorted(fn.__name__ for fn in L.CATALOGUE)


def test_every_decorated_function_is_in_the_catalogue():
    exported = [value for value in vars(L).values() if isinstance(getattr(value, "facts", None), L.Traits)]
    assert {fn.__name__ for fn in exported} == {fn.__name__ for fn in L.CATALOGUE}


@every
def test_form(fn):
    """Tensors first, hyper-parameters keyword-only, a source, one value per sample in float64."""
    kinds = [p.kind for name, p in inspect.signature(fn).parameters.items() if name not in row_of(fn).make(2)]
    optional = [p for p in inspect.signature(fn).parameters.values() if p.name.endswith("_lengths")]
    assert sum(k is not inspect.Parameter.KEYWORD_ONLY for k in kinds) == len(optional)
    assert L.traits_of(fn).source and ">>>" in fn.__doc__
    values = call(fn, row_of(fn).make(4))
    assert values.shape[0] == 4 and values.dtype == torch.float64 and values.isfinite().all()


@every
def test_shapes_are_the_annotated_ones(fn):
    checked = jaxtyped(typechecker=beartype)(fn)
    values = checked(**row_of(fn).make(4), **row_of(fn).hyper)
    assert torch.equal(values, call(fn, row_of(fn).make(4)))


@every
def test_stated_minimum_at_match(fn):
    if L.traits_of(fn).minimum is None:
        return
    inputs = row_of(fn).match(row_of(fn).make(5))
    leaves = [inputs["student_first" if "student_first" in inputs else "student"].requires_grad_()]
    values = call(fn, inputs)
    torch.testing.assert_close(values, torch.full_like(values, L.traits_of(fn).minimum), rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(values.sum(), leaves)
    assert gradient.norm() < 1e-6  # a minimum is stationary (or takes 0 as its subgradient): rounding only
    away = call(fn, row_of(fn).make(5))
    assert (away >= L.traits_of(fn).minimum - 1e-12).all() and away.mean() > L.traits_of(fn).minimum + 1e-6


@every
def test_gradient_is_the_derivative(fn):
    inputs = row_of(fn).make(3)
    row = row_of(fn)
    if row.frozen is not None:  # the loss stops the gradient of a weight: compare with the weight held fixed
        fixed = row.frozen(inputs)
        student = inputs["student"].requires_grad_()
        torch.testing.assert_close(call(fn, inputs), fixed(student))
        ours, theirs = (torch.autograd.grad(f.sum(), student)[0] for f in (call(fn, inputs), fixed(student)))
        torch.testing.assert_close(ours, theirs)
        assert torch.autograd.gradcheck(fixed, (student,))
        return
    keys = learned(inputs) + [key for key in inputs if key.startswith(("teacher", "negatives"))]
    leaves = [inputs[key].requires_grad_() for key in keys]
    assert torch.autograd.gradcheck(lambda *x: call(fn, inputs | dict(zip(keys, x, strict=True))), leaves)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@every
def test_finite_at_extremes_in_half_precision(fn, dtype):
    inputs = row_of(fn).make(4)
    for key, value in inputs.items():
        if key.startswith(("student", "teacher", "logit", "score", "negatives")):
            inputs[key] = (value.sign() * row_of(fn).extreme).to(dtype)
        elif value.is_floating_point():
            inputs[key] = value.to(dtype)
    leaves = [inputs[key].requires_grad_() for key in learned(inputs)]
    values = call(fn, inputs)
    assert values.dtype == torch.float32 and values.isfinite().all()
    for gradient in torch.autograd.grad(values.mean(), leaves):
        assert gradient.isfinite().all()


@every
def test_fully_masked_batch_gives_zero_with_its_graph(fn):
    inputs = row_of(fn).make(4)
    leaves = [inputs[key].requires_grad_() for key in learned(inputs)]
    values = call(fn, inputs)
    mean = L.masked_mean(values, torch.zeros_like(values, dtype=torch.bool))
    assert mean.item() == 0 and mean.requires_grad
    assert all((g == 0).all() for g in torch.autograd.grad(mean, leaves))


@every
def test_depends_on_batch_mates_only_if_declared(fn):
    row, inputs = row_of(fn), row_of(fn).make(5)
    if "order" in inputs:  # (n, n, n): not one entry per sample, the two-sample cut is taken by hand
        part = {"student": inputs["student"][:3], "order": inputs["order"][:3, :3, :3]}
    else:
        part = {k: v if k in row.shared else v[:3] for k, v in inputs.items()}
    same = torch.allclose(call(fn, inputs)[:3], call(fn, part), rtol=1e-10, atol=1e-13)
    assert same is not L.traits_of(fn).batchwise


@every
def test_symmetric_exactly_if_declared(fn):
    inputs = row_of(fn).make(5)
    if not any(key.startswith("teacher") for key in inputs):
        assert not L.traits_of(fn).symmetric
        return
    other = {"student": "teacher", "teacher": "student"}
    swap = {key: inputs[key.replace(w, other[w])] for key in inputs for w in other if key.startswith(w)}
    same = torch.allclose(call(fn, inputs), call(fn, inputs | swap), rtol=1e-10, atol=1e-13)
    assert same is L.traits_of(fn).symmetric


@every
def test_unequal_samples_are_refused(fn):
    row, inputs = row_of(fn), row_of(fn).make(4)
    for key in list(inputs)[1:]:
        if key not in row.shared:
            with pytest.raises(UserError):
                call(fn, inputs | {key: inputs[key][:-1]})
            with pytest.raises(UserError):  # one sample would broadcast
                call(fn, inputs | {key: inputs[key][:1]})


@every
def test_n_against_n_by_1_is_refused(fn):
    inputs = row_of(fn).make(4)
    if set(inputs) != {"student", "teacher"}:
        return
    with pytest.raises(UserError, match=r"student \(4,\) and teacher \(4, 1\) differ"):
        call(fn, {"student": draw(4, seed=0), "teacher": draw(4, 1, seed=1)})


TAKES_LABELS = [f for f in L.CATALOGUE if "labels" in inspect.signature(f).parameters]
ON_LOGITS = [f for f in L.CATALOGUE if ROWS[f.__name__].make in (LOGITS, LABELLED) and "gram" not in f.__name__]


@pytest.mark.parametrize("fn", TAKES_LABELS, ids=lambda f: f.__name__)
def test_label_minus_100_is_left_out(fn):
    if fn is L.ctc:
        return  # there it marks padding
    inputs = row_of(fn).make(3)
    inputs["labels"] = inputs["labels"].clone()
    whole = call(fn, inputs)
    inputs["labels"][1] = -100
    student = inputs["student"].requires_grad_()
    values = call(fn, inputs)
    assert values[1] == 0 and values[0] == whole[0] and values[2] == whole[2]
    (gradient,) = torch.autograd.grad(values.sum(), student)
    assert (gradient[1] == 0).all() and gradient.isfinite().all()


@pytest.mark.parametrize("fn", ON_LOGITS, ids=lambda f: f.__name__)
def test_tokens_are_samples_too(fn):
    """(n, t, C) gives (n, t), the values of the flattened (n·t, C)."""
    inputs = row_of(fn).make(6)
    tokens = {key: value.unflatten(0, (2, 3)) for key, value in inputs.items()}
    torch.testing.assert_close(call(fn, tokens), call(fn, inputs).unflatten(0, (2, 3)))


@every
def test_autocast_changes_nothing(fn):
    """Inside autocast matrix products would fall to bfloat16; the losses keep float32."""
    inputs = {k: v.float() if v.is_floating_point() else v for k, v in row_of(fn).make(4).items()}
    plain = call(fn, inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(call(fn, inputs), plain, rtol=0, atol=0)


def test_angles_are_compared_without_holding_all_of_them():
    """The peak of what is kept for the gradient, in numbers: far below n^3, and the value is that of all at once."""
    from torch.nn.functional import smooth_l1_loss

    from limbeck.transforms import angles

    n, d = 96, 5
    student, teacher = (draw(n, d, seed=k) for k in (0, 1))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (kept.append(t.numel()), t)[1], lambda t: t):
        value = L.rkd_angle(student.requires_grad_(), teacher)
    assert sum(kept) < n * n
    (gradient,) = torch.autograd.grad(value.sum(), student)
    plain = smooth_l1_loss(angles(student), angles(teacher), reduction="none").mean((1, 2))
    (other,) = torch.autograd.grad(plain.sum(), student)
    assert torch.allclose(value, plain) and torch.allclose(gradient, other)
