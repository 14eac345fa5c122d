"""Linear head + divergence in chunks against the plain form: same value, same gradients."""

import pytest
import torch

from limbeck import losses
from limbeck.errors import UserError
from limbeck.losses.chunked import linear_jsd, linear_kl, linear_skew_kl, linear_top_k_kl

T, D, E, V = 13, 5, 7, 11
PLAIN = {
    "kl": (linear_kl, losses.kl, {"temperature": 2.0}),
    "jsd": (linear_jsd, losses.jsd, {"beta": 0.3, "temperature": 1.5}),
    "skew": (linear_skew_kl, losses.skew_kl, {"alpha": 0.1, "temperature": 2.0}),
    "skew without skew is kl": (linear_skew_kl, losses.kl, {"alpha": 0.0, "temperature": 2.0}),
}


def tensors(dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    shapes = ((T, D), (V, D), (T, E), (V, E))
    h, w, th, tw = (torch.randn(*s, generator=g, dtype=torch.float64).to(dtype) for s in shapes)
    return h.requires_grad_(), w.requires_grad_(), th, tw


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("chunk", [1, 4, 13, 100])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_plain_form(name, chunk, masked):
    fused, plain, settings = PLAIN[name]
    h, w, th, tw = tensors()
    mask = (torch.arange(T) % 3 != 0).double() if masked else None
    per_token = plain(h @ w.T, th @ tw.T, **{k: v for k, v in settings.items() if not (plain is losses.kl and k == "alpha")})
    expected = per_token.mean() if mask is None else (per_token * mask).sum() / mask.sum()
    wanted = torch.autograd.grad(3.0 * expected, (h, w))
    got = fused(h, w, th, tw, mask, chunk=chunk, **settings)
    grads = torch.autograd.grad(3.0 * got, (h, w))
    assert torch.allclose(got, expected, rtol=1e-10, atol=0)
    for a, b in zip(grads, wanted, strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-12)


def test_dense_teacher_logits_equal_its_hidden_states():
    h, w, th, tw = tensors()
    assert torch.equal(linear_kl(h, w, th, tw), linear_kl(h, w, th @ tw.T))


@pytest.mark.parametrize("chunk", [1, 5, 100])
def test_top_k_with_tail_equals_the_plain_form(chunk):
    h, w, th, tw = tensors()
    p, indices = (th @ tw.T / 2).softmax(-1).topk(3)
    expected = losses.top_k_kl(h @ w.T, indices, p, temperature=2.0).mean()
    wanted = torch.autograd.grad(expected, (h, w))
    got = linear_top_k_kl(h, w, indices, p, temperature=2.0, chunk=chunk)
    for a, b in zip((got, *torch.autograd.grad(got, (h, w))), (expected, *wanted), strict=True):
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-12)


def test_top_k_has_no_gradient_at_a_perfect_match():
    h, w, _, _ = tensors()
    p, indices = (h @ w.T).softmax(-1).detach().topk(4)
    value = linear_top_k_kl(h, w, indices, p)
    assert abs(value.item()) < 1e-12
    assert all(g.abs().max() < 1e-12 for g in torch.autograd.grad(value, (h, w)))


def test_gradients_by_finite_differences():
    h, w, th, tw = tensors()
    for fused, settings in ((linear_kl, {}), (linear_jsd, {"beta": 0.7}), (linear_skew_kl, {})):
        assert torch.autograd.gradcheck(lambda a, b, f=fused, s=settings: f(a, b, th, tw, chunk=4, temperature=1.3, **s), (h, w))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_at_large_logits(dtype):
    h, w, th, tw = tensors(torch.float32)
    h, w = (h.detach() * 20).to(dtype).requires_grad_(), w.detach().to(dtype).requires_grad_()
    for fused in (linear_kl, linear_jsd, linear_skew_kl):
        value = fused(h, w, (th * 20).to(dtype), tw.to(dtype))
        grads = torch.autograd.grad(value, (h, w))
        assert value.dtype == torch.float32 and torch.isfinite(value)
        assert all(torch.isfinite(g).all() and g.dtype == dtype for g in grads)


def test_all_masked_is_zero_with_a_graph():
    h, w, th, tw = tensors()
    value = linear_kl(h, w, th, tw, torch.zeros(T))
    grads = torch.autograd.grad(value, (h, w))
    assert value.item() == 0 and all((g == 0).all() for g in grads)


def test_only_what_needs_a_gradient_gets_one():
    h, w, th, tw = tensors()
    value = linear_kl(h, w.detach(), th, tw)
    value.backward()
    assert h.grad is not None


def test_shapes_that_do_not_fit_are_refused():
    h, w, th, tw = tensors()
    with pytest.raises(UserError, match="does not fit 13 tokens and 11 words"):
        linear_kl(h, w, th[:5], tw)
    with pytest.raises(UserError, match="one weight per token"):
        linear_kl(h, w, th, tw, torch.ones(4))
