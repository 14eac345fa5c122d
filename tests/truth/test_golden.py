"""Every reference value in golden.json, value and gradient norm, in float64.

golden.json holds numbers computed by running the authors' (or a public framework's) code on closed-form
inputs. A line here says how limbeck writes the same thing; a constant in it is one the item's note names.
"""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from limbeck import losses as L  # noqa: N812
from limbeck import transforms as T  # noqa: N812

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
ITEMS = {item["name"]: item for item in GOLDEN["items"]}
TOLERANCE = 1e-6  # relative: golden values have 15 digits, their gradients 12; the authors' eps costs up to 1e-7


def wave(shape, amplitude, terms):
    """amplitude·sin(terms(grid)) on the index grid of `shape`."""
    grid = torch.meshgrid(*[torch.arange(s, dtype=torch.float64) for s in shape], indexing="ij")
    return amplitude * terms(*grid).sin()


def feature(amplitude, first, phase):
    return wave(
        (6, 8, 5, 5),
        amplitude,
        lambda n, c, h, w: first * n + 1.7 * c + 0.9 * h + 0.53 * w + 0.29 * n * c + 0.13 * c * h * w + phase,
    )


def inputs():
    return {
        "zs": wave((6, 10), 2.0, lambda i, j: 0.37 * i + 1.7 * j + 0.29 * i * j + 0.3),
        "zt": wave((6, 10), 3.0, lambda i, j: 0.61 * i + 1.1 * j + 0.17 * i * j + 1.2),
        "zu": wave((6, 10), 2.5, lambda i, j: 0.83 * i + 0.7 * j + 0.23 * i * j + 2.1),
        "fs": feature(1.0, 0.37, 0.5),
        "ft": feature(1.5, 0.61, 1.3),
        "fs2": feature(0.8, 0.47, 2.2),
        "ft2": feature(1.2, 0.71, 3.1),
        "es": wave((6, 12), 1.0, lambda e, d: 0.37 * e + 1.7 * d + 0.29 * e * d + 0.3),
        "et": wave((6, 12), 1.5, lambda e, d: 0.61 * e + 1.1 * d + 0.17 * e * d + 1.2),
        "centers": wave((10, 12), 1.0, lambda k, d: 0.45 * k + 0.8 * d + 0.21 * k * d + 0.7 + torch.pi / 2),
        "y": torch.tensor([3, 1, 4, 1, 5, 9]),
    }


def vid_full(fs, ft):
    """The code's regressor: three 1x1 convolutions with ReLU between, then the loss; variance starts at 5."""
    out = fs
    for layer in range(3):
        weight = wave((8, 8), 0.3, lambda o, i, shift=0.1 * layer: 0.7 * o + 1.3 * i + shift)
        out = F.conv2d(out if layer == 0 else out.relu(), weight[..., None, None])
    raw = (torch.tensor(5 - 1e-5, dtype=torch.float64).exp() - 1).log().expand(8)
    return L.vid(out, ft, raw)


def mgd_fixed_mask(fs, ft):
    """The code's generator on channel-masked features: two 3x3 convolutions with ReLU between; weight 7e-5."""
    keep = (wave((6, 8), 1.0, lambda n, c: 1.9 * n + 2.3 * c) > -0.5).to(fs.dtype)[..., None, None]
    weights = [wave((8, 8, 3, 3), 0.1, lambda o, i, a, b, s=0.1 * k: 0.7 * o + 1.3 * i + 0.5 * a + 0.3 * b + s) for k in range(2)]
    out = F.conv2d(F.conv2d(fs * keep, weights[0], padding=1).relu(), weights[1], padding=1)
    return 7e-5 * L.mgd(out, ft)


def kdcl_naive(zs, zt, zu, y):
    return L.soft_target(zs, T.lowest_loss_logits(y, zs, zt, zu).detach(), temperature=3)


def kdcl_general(zs, zt, zu, y):
    peers = [z.detach() for z in (zs, zt, zu)]
    return L.soft_target(zs, T.weighted_logits(T.covariance_weights(y, *peers), *peers), temperature=3)


def okddip(zs, zt, zu, y, es, et):
    hidden = torch.stack([es, et, wave((6, 12), 1.0, lambda e, d: 0.5 * e + 0.9 * d + 0.3)])
    left = wave((12, 12), 0.3, lambda o, i: 0.7 * o + 1.3 * i)
    right = wave((12, 12), 0.3, lambda o, i: 0.5 * o + 0.9 * i + torch.pi / 2)
    target = T.attended_target(hidden[0] @ left.T, hidden @ right.T, torch.stack([zs, zt, zu]), temperature=3)
    return 9 * L.kl_to_probabilities(zs / 3, target.detach())


def entropy(zs, zt):
    return L.soft_cross_entropy(zt, zt) + 0 * zs.sum()


CASES = {
    "kd_T4": partial(L.soft_target, temperature=4),
    "kd_T4_repdistiller": partial(L.soft_target, temperature=4),
    "kd_soft_ce_T4": partial(L.soft_target_cross_entropy, temperature=4),
    "dkd_a1_b8_T4": L.dkd,
    "dkd_nontarget_part_T4": L.dkd_nontarget,
    "nkd_target_part": partial(L.nkd, gamma=0.0),
    "nkd_g1.5_T2": partial(L.nkd, temperature=2.0),
    "dist_inter_T1": L.dist_inter,
    "dist_intra_T1": L.dist_intra,
    "dist_intra_T4": partial(L.dist, beta=0.0, temperature=4.0, eps=1e-8),  # the code's eps, 1.3e-6 of the gradient
    "logit_std_kd_T2": lambda s, t: L.soft_target(T.standardise(s), T.standardise(t), temperature=2),
    "mlkd_class_gram_T4": L.class_gram,
    "mlkd_batch_gram_T4": L.batch_gram,
    "ofa_eps1_T1": L.ofa,
    "ofa_eps1.5_T1": partial(L.ofa, epsilon=1.5),
    "wsld_T2": L.wsld,
    "forward_kl": partial(L.jsd, beta=0),
    "reverse_kl": partial(L.jsd, beta=1),
    "jsd_beta0.1": partial(L.jsd, beta=0.1),
    "jsd_beta0.5": L.jsd,
    "jsd_beta0.9": partial(L.jsd, beta=0.9),
    "distillm_reverse_kl": L.reverse_kl,
    "skew_forward_kl_0.1": lambda s, t: L.skew_kl(s, t) + ITEMS["teacher_entropy"]["value"],
    "teacher_entropy": entropy,
    "skew_reverse_kl_0.1": L.skew_reverse_kl,
    "js_distance_lam0.9": partial(L.jsd, beta=1 - 0.9),
    "tv_distance": L.total_variation,
    "abkd_a0.2_b0.7": L.alpha_beta,
    "abkd_a0.5_b0.5": partial(L.alpha_beta, alpha=0.5, beta=0.5),
    "abkd_a1_b0": partial(L.alpha_beta, alpha=1, beta=0),
    "abkd_a0_b1": partial(L.alpha_beta, alpha=0, beta=1),
    "abkd_cls_a0.2_b0.7_T4": partial(L.alpha_beta, temperature=4),
    "akl_mu0.5": L.adaptive_kl,
    "uld_sorted_l1": L.uld,
    "at_code": L.attention,
    "at_kdzoo": L.attention,
    "sp": L.similarity_preserving,
    "cc_code": L.correlation_congruence_code,
    "rkd_distance": L.rkd_distance,
    "rkd_angle": L.rkd_angle,
    "pkt": L.pkt,
    "fsp": L.fsp,
    "vid_full": vid_full,
    "ab_repdistiller": L.activation_boundary_code,
    "ft_kdzoo": lambda s, t: L.factor(s, t) / (8 * 5 * 5),
    "ft_repdistiller": L.factor_code,
    "reviewkd_hcl_authors": L.hcl,
    "cwd_T1": L.cwd,
    "cwd_T4": partial(L.cwd, temperature=4),
    "mgd_fixed_mask": mgd_fixed_mask,
    "at_paper": L.attention_paper,
    "ickd": lambda s, t: L.ickd(s, t) / 6,
    "srd_exp4": lambda es, et, zs, zt: 2 * L.srd(es, et) + L.kl(zs, zt),
    "fitnet_mse": L.mse,
    "irg_vertex_kdzoo": L.irg_vertices,
    "kdcl_naive": kdcl_naive,
    "kdcl_general": kdcl_general,
    "okddip_peer0_target": okddip,
}


@pytest.mark.parametrize("name", inputs())
def test_inputs_are_the_documented_ones(name):
    check, value = GOLDEN["checksums"][name], inputs()[name].double()
    assert list(value.shape) == check["shape"]
    assert value.sum().item() == pytest.approx(check["sum"], abs=1e-9)
    assert value.norm().item() == pytest.approx(check["l2"], rel=1e-12)


def test_every_golden_item_has_a_line():
    assert set(CASES) == set(ITEMS)


@pytest.mark.parametrize("name", ITEMS)
def test_value_and_gradient(name):
    item, tensors = ITEMS[name], inputs()
    learned = {key: tensors[key].requires_grad_() for key in item["grad_l2"]}
    value = CASES[name](*[tensors[key] for key in item["inputs"]]).mean()
    assert value.item() == pytest.approx(item["value"], rel=TOLERANCE)
    gradients = torch.autograd.grad(value, list(learned.values()))
    for (key, expected), gradient in zip(item["grad_l2"].items(), gradients, strict=True):
        assert gradient.norm().item() == pytest.approx(expected, rel=TOLERANCE, abs=1e-14), key
