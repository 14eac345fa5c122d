"""Losses on logits that golden.json does not hold, against numbers derived by hand and naive loops."""

from math import exp, log

import pytest
import torch

from limbeck import losses as L  # noqa: N812
from limbeck.losses import chunked

DOUBLE = torch.float64
TIGHT = {"rtol": 1e-12, "atol": 1e-12}  # the same float64 sums in another order


def draw(*shape, seed=0, scale=1.0):
    return scale * torch.randn(shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def softmax(row, temperature=1.0):
    powers = [exp(z / temperature) for z in row]
    return [x / sum(powers) for x in powers]


def naive_kl(p, q):
    return sum(a * log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


S, T = draw(4, 5, seed=1), draw(4, 5, seed=2, scale=2.0)


def per_row(function):
    return torch.tensor([function(s, t) for s, t in zip(S.tolist(), T.tolist(), strict=True)], dtype=DOUBLE)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_kl_both_ways(temperature):
    forward = per_row(lambda s, t: naive_kl(softmax(t, temperature), softmax(s, temperature)))
    backward = per_row(lambda s, t: naive_kl(softmax(s, temperature), softmax(t, temperature)))
    torch.testing.assert_close(L.kl(S, T, temperature=temperature), forward, **TIGHT)
    torch.testing.assert_close(L.reverse_kl(S, T, temperature=temperature), backward, **TIGHT)
    torch.testing.assert_close(L.soft_target(S, T, temperature=temperature), temperature**2 * forward, **TIGHT)


def test_kl_is_infinitely_patient():
    """Opposed certainty: KL = 200 (p puts all on a class with log q = -200), in half precision too."""
    s = torch.tensor([[100.0, -100.0]], dtype=torch.float16)
    assert L.kl(s, -s).item() == pytest.approx(200)
    assert L.reverse_kl(s, -s).item() == pytest.approx(200)


def test_cross_entropies():
    expected = per_row(lambda s, t: -sum(p * log(q) for p, q in zip(softmax(t, 2.0), softmax(s, 2.0), strict=True)))
    torch.testing.assert_close(L.soft_cross_entropy(S, T, temperature=2.0), expected, **TIGHT)
    torch.testing.assert_close(L.soft_target_cross_entropy(S, T, temperature=2.0), 4 * expected, **TIGHT)
    torch.testing.assert_close(L.soft_labels_cross_entropy(S / 2, (T / 2).softmax(-1)), expected, **TIGHT)
    torch.testing.assert_close(L.kl_to_probabilities(S / 2, (T / 2).softmax(-1)), L.kl(S, T, temperature=2.0), **TIGHT)


def test_kl_to_a_hard_label_is_its_cross_entropy():
    hard = torch.eye(5, dtype=DOUBLE)[[0, 3, 3, 1]]
    torch.testing.assert_close(L.kl_to_probabilities(S, hard), L.cross_entropy(S, torch.tensor([0, 3, 3, 1])), **TIGHT)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_is_torchs(smoothing):
    labels = torch.tensor([0, 3, -100, 1])
    torchs = torch.nn.functional.cross_entropy(S, labels, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(L.cross_entropy(S, labels, label_smoothing=smoothing), torchs, **TIGHT)
    given = T.softmax(-1)
    torchs = torch.nn.functional.cross_entropy(S, given, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(L.cross_entropy(S, given, label_smoothing=smoothing), torchs, **TIGHT)


def test_squared_differences():
    square = per_row(lambda s, t: sum((a - b) ** 2 for a, b in zip(s, t, strict=True)))
    torch.testing.assert_close(L.logit_mse(S, T), square / 5, **TIGHT)
    torch.testing.assert_close(L.logit_regression(S, T), square / 2, **TIGHT)
    expected = per_row(lambda s, t: sum((a - b) ** 2 for a, b in zip(softmax(s), softmax(t), strict=True)) / 5)
    torch.testing.assert_close(L.probability_mse(S, T), expected, **TIGHT)


def test_dkd_splits_the_kl():
    """KL = KL(binary) + (1 - p_y) KL(non-target): the identity the paper starts from."""
    labels = torch.tensor([0, 3, 3, 1])
    p_y = T.softmax(-1).gather(1, labels[:, None])[:, 0]
    target = L.dkd_target(S, T, labels, temperature=1.0)
    others = L.dkd_nontarget(S, T, labels, temperature=1.0)
    torch.testing.assert_close(target + (1 - p_y) * others, L.kl(S, T), **TIGHT)


def test_dkd_keeps_its_precision_when_the_teacher_is_certain():
    """1 - p_y = 2e-44 would round to 0 in float32; the logsumexp complement keeps KL(non-target) and its gradient."""
    z = torch.tensor([[100.0, 1.0, 0.0]], dtype=torch.float32)
    s = torch.zeros(1, 3, requires_grad=True)
    value = L.dkd_nontarget(s, z, torch.tensor([0]), temperature=1.0)
    p = 1 / (1 + exp(-1))
    assert value.item() == pytest.approx(p * log(2 * p) + (1 - p) * log(2 * (1 - p)), rel=1e-5)
    assert L.dkd_target(s, z, torch.tensor([0]), temperature=1.0).item() == pytest.approx(log(3), rel=1e-5)


def test_generalised_jsd_normalised_is_continuous():
    for end, limit in ((1e-7, L.kl(S, T)), (1 - 1e-7, L.reverse_kl(S, T))):
        # the remainder is of order beta
        torch.testing.assert_close(L.jsd(S, T, beta=end, normalised=True), limit, rtol=1e-5, atol=1e-6)
    assert (L.jsd(S, T, beta=1e-7) < 1e-5).all()
    assert (L.jsd(S, T) <= log(2)).all()


def test_jsd_refuses_a_beta_outside():
    with pytest.raises(ValueError, match="jsd: beta is 1.5; give a number from 0 to 1"):
        L.jsd(S, T, beta=1.5)


@pytest.mark.parametrize("alpha, beta", [(0.6, 0.0), (0.0, 0.6), (0.6, -0.6), (0.0, 0.0)])
def test_alpha_beta_limits_are_limits(alpha, beta):
    h = 1e-5  # the general form a step away from the limit on both sides; its remainder is of order h
    near = [L.alpha_beta(S, T, alpha=alpha + a, beta=beta + b) for a, b in ((h, 2 * h), (-h, -2 * h))]
    torch.testing.assert_close(L.alpha_beta(S, T, alpha=alpha, beta=beta), sum(near) / 2, rtol=1e-4, atol=1e-5)


def test_dist_ignores_what_correlation_ignores():
    p = torch.tensor([[0.1, 0.2, 0.7]], dtype=DOUBLE)
    shrunk = 0.5 * p + 0.5 / 3
    torch.testing.assert_close(L.dist_inter(p.log(), shrunk.log()), torch.zeros(1, dtype=DOUBLE), **TIGHT)


def test_uld_pads_the_shorter_vocabulary():
    # (.5 .5) against (.5 .25 .25): |0| + |.25| + |.25|
    s, t = torch.zeros(1, 2, dtype=DOUBLE), torch.tensor([[0.25, 0.5, 0.25]], dtype=DOUBLE).log()
    torch.testing.assert_close(L.uld(s, t), torch.tensor([0.5], dtype=DOUBLE), **TIGHT)
    torch.testing.assert_close(L.uld(t, s), torch.tensor([0.5], dtype=DOUBLE), **TIGHT)


def test_adversarial_values():
    x = torch.tensor([-2.0, 0.0, 3.0], dtype=DOUBLE)
    torch.testing.assert_close(L.real(x), torch.tensor([log(1 + exp(2)), log(2), log(1 + exp(-3))], dtype=DOUBLE), **TIGHT)
    torch.testing.assert_close(L.fake(x), L.real(-x), **TIGHT)
    torch.testing.assert_close(L.real_squares(x), torch.tensor([9.0, 1.0, 4.0], dtype=DOUBLE), **TIGHT)
    torch.testing.assert_close(L.fake_squares(x), torch.tensor([4.0, 0.0, 9.0], dtype=DOUBLE), **TIGHT)


def test_masks():
    total, count = L.masked_sum(torch.tensor([1.0, float("nan"), 3.0]), torch.tensor([1, 0, 1]))
    assert (total.item(), count.item()) == (4.0, 2.0)
    values = torch.tensor([1.0, float("nan")], requires_grad=True)
    (gradient,) = torch.autograd.grad(L.masked_mean(values, torch.tensor([True, False])), values)
    assert gradient.tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match=r"values \(2,\) and mask \(2, 1\) differ"):
        L.masked_sum(values, torch.ones(2, 1))
    total, count = L.masked_sum(torch.zeros(0))
    assert (total / count).item() == 0


def test_loss_module_is_the_masked_mean():
    module = L.Loss(L.kl, temperature=2.0)
    keep = torch.tensor([True, False, True, False])
    torch.testing.assert_close(module(S, T), L.kl(S, T, temperature=2.0).mean())
    torch.testing.assert_close(module(S, T, mask=keep), L.kl(S, T, temperature=2.0)[keep].mean())
    assert repr(module) == "Loss(kl, temperature=2.0)" and not list(module.parameters())


MASKED = torch.tensor([0.0, 0.0, -torch.inf])


@pytest.mark.parametrize(("name", "settings"), [("kl", {}), ("soft_target", {"temperature": 1.0})])
def test_a_class_that_the_teacher_rules_out_adds_nothing(name, settings):
    """Student uniform over three, teacher over two of them: KL = ln 1.5; both over two: 0; gradients are finite."""
    rule = getattr(L, name)
    for inputs, value in ((torch.zeros(3), log(1.5)), (MASKED, 0.0)):
        student = inputs[None].clone().requires_grad_()
        found = rule(student, MASKED[None], **settings)
        found.sum().backward()
        assert found.item() == pytest.approx(value, abs=1e-6) and student.grad.isfinite().all()


def test_ruled_out_classes_in_the_other_divergences():
    """Cross-entropy ln 3 and ln 2; Jensen-Shannon and the skewed ones against sums over the classes that are left."""
    uniform, masked = torch.zeros(1, 3), MASKED[None]
    assert L.soft_cross_entropy(uniform, masked).item() == pytest.approx(log(3))
    assert L.soft_cross_entropy(masked, masked).item() == pytest.approx(log(2))
    p, q = (1 / 2, 1 / 2, 0), (1 / 3, 1 / 3, 1 / 3)
    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    by_hand = sum(a * log(a / c) / 2 for a, c in zip(p, m, strict=True) if a)
    by_hand += sum(b * log(b / c) / 2 for b, c in zip(q, m, strict=True))
    assert L.jsd(uniform, masked).item() == pytest.approx(by_hand, abs=1e-6)
    for rule in (L.jsd, L.skew_kl, L.skew_reverse_kl):
        student = masked.clone().requires_grad_()
        found = rule(student, masked)
        found.sum().backward()
        assert found.item() == pytest.approx(0, abs=1e-6) and student.grad.isfinite().all()


@pytest.mark.parametrize("rule", [chunked.linear_kl, chunked.linear_jsd, chunked.linear_skew_kl])
def test_ruled_out_classes_in_chunks(rule):
    """A head of zeros is uniform over three words; the teacher's logits rule one of them out."""
    hidden, head = torch.zeros(2, 3, requires_grad=True), torch.zeros(3, 3, requires_grad=True)
    whole = {chunked.linear_kl: L.kl, chunked.linear_jsd: L.jsd, chunked.linear_skew_kl: L.skew_kl}[rule]
    found = rule(hidden, head, MASKED.expand(2, 3))
    found.backward()
    assert found.item() == pytest.approx(whole(torch.zeros(1, 3), MASKED[None]).item(), abs=1e-6)
    assert hidden.grad.isfinite().all() and head.grad.isfinite().all()


FOUR = torch.tensor([0.0, 0.0, 0.0, -torch.inf])
LABEL = torch.tensor([0])


def finite(value, student):
    value.sum().backward()
    assert student.grad.isfinite().all()
    return value.item()


@pytest.mark.parametrize(("student", "dkd_rest", "nkd_all"), [(torch.zeros(4), log(1.5), log(4) / 3 + 1.5 * log(3)), (FOUR, 0.0, log(3) / 3 + 1.5 * log(2))])  # fmt: skip
def test_ruled_out_classes_beside_a_label(student, dkd_rest, nkd_all):
    """The teacher is uniform over three of four; label 0. Without it: 1/2, 1/2, 0 against 1/3 each (ln 1.5) or the same (0).

    NKD: p_y = 1/3 times -log q_y, and 1.5 times the cross-entropy of the rest. OFA and the target's part likewise.
    """
    for name, value in (
        ("dkd_nontarget", dkd_rest),
        ("nkd", nkd_all),
        ("ofa", (log(4) if dkd_rest else log(3))),
        ("target_cross_entropy", (log(4) if dkd_rest else log(3)) / 3),
    ):
        given = student[None].clone().requires_grad_()
        how = {"temperature": 1.0} if name != "target_cross_entropy" else {}
        assert finite(getattr(L, name)(given, FOUR[None], LABEL, **how), given) == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(("student", "value"), [(torch.zeros(5), log(1.5)), (torch.tensor([0.0, 0, 0, 0, -torch.inf]), 0.0)])
def test_rld_over_classes_of_which_the_teacher_rules_one_out(student, value):
    """Below the label are two classes alike and one ruled out: 1/2, 1/2, 0 against a student's 1/3 each, or the same."""
    teacher = torch.tensor([[9.0, 12.0, 1.0, 1.0, -torch.inf]])
    given = student[None].clone().requires_grad_()
    assert finite(L.rld_correlation(given, teacher, LABEL, temperature=1.0), given) == pytest.approx(value, abs=1e-6)
    only = torch.tensor([[9.0, 12.0, -torch.inf, -torch.inf, -torch.inf]])
    assert L.rld_correlation(given, only, LABEL, temperature=1.0).item() == 0  # nothing is left to correlate


def test_the_label_alone_leaves_nothing_to_decouple():
    alone = torch.tensor([[0.0, -torch.inf, -torch.inf]])
    assert L.dkd_nontarget(torch.zeros(1, 3), alone, LABEL).item() == 0


@pytest.mark.parametrize("chunks", [False, True])
@pytest.mark.parametrize(
    ("student", "kept", "value"),
    [
        (FOUR, [1 / 3, 1 / 3, 1 / 3], 0.0),  # no tail on either side
        (torch.tensor([0.0, 0.0, -torch.inf, -torch.inf]), [0.5, 0.5, 0.0], 0.0),  # a kept class of probability 0
        (torch.zeros(4), [0.5, 0.5, 0.0], log(2)),
    ],
)
def test_top_k_with_ruled_out_classes(chunks, student, kept, value):
    index, p = torch.tensor([[0, 1, 2]]), torch.tensor([kept])
    if chunks:  # the hidden state is 1 wide, so that the head is the logits
        hidden, head = torch.ones(1, 1), student[:, None].clone().requires_grad_()
        found = chunked.linear_top_k_kl(hidden, head, index, p)
        assert found.item() == pytest.approx(value, abs=1e-6)
        return
    given = student[None].clone().requires_grad_()
    assert finite(L.top_k_kl(given, index, p), given) == pytest.approx(value, abs=1e-6)
