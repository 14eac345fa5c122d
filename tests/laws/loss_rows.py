"""The table behind `test_losses.py`: inputs, hyper-parameters and matches for every loss of `CATALOGUE`."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from limbeck import losses as L  # noqa: N812
from limbeck.transforms import top_k_with_tail, voted_order

CLASSES = 5
Inputs = dict[str, Tensor]


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shaped(*shape: int, names: tuple[str, ...] = ("student", "teacher")) -> Callable[[int], Inputs]:
    return lambda n: {name: draw(n, *shape, seed=k) for k, name in enumerate(names)}


def labels_for(n: int) -> Tensor:
    return (torch.arange(n) * 2 + 1) % CLASSES


def with_labels(make: Callable[[int], Inputs]) -> Callable[[int], Inputs]:
    return lambda n: make(n) | {"labels": labels_for(n)}


def student_to_teacher(inputs: Inputs) -> Inputs:
    return {key: inputs[key.replace("teacher", "student")] for key in inputs}


@dataclass(frozen=True)
class Row:
    make: Callable[[int], Inputs]
    hyper: dict[str, float] = field(default_factory=dict)
    match: Callable[[Inputs], Inputs] = student_to_teacher
    shared: tuple[str, ...] = ()  # inputs that do not belong to single samples
    extreme: float = 100.0  # the half-precision test's size of logits and features
    frozen: Callable[[Inputs], Callable[[Tensor], Tensor]] | None = None  # the loss with its stop-gradient weight fixed


LOGITS = shaped(CLASSES)
LABELLED = with_labels(LOGITS)
ROWS_ = shaped(6)
MAPS = shaped(3, 4, 4)
FOUR = ("student_first", "student_second", "teacher_first", "teacher_second")


def probabilities_match(inputs: Inputs) -> Inputs:
    return inputs | {"probabilities": inputs["student"].softmax(-1)}


def top_k_match(inputs: Inputs) -> Inputs:
    indices, top, _ = top_k_with_tail(inputs["student"], 2)
    return inputs | {"indices": indices, "probabilities": top}


def frozen_wsld(inputs: Inputs) -> Callable[[Tensor], Tensor]:
    hard = [L.cross_entropy(inputs[key], inputs["labels"]) for key in ("student", "teacher")]
    weight = 1 - (-hard[0] / (hard[1] + 1e-7)).exp()
    return lambda s: weight * L.soft_target_cross_entropy(s, inputs["teacher"], temperature=2.0)


def frozen_adaptive(inputs: Inputs) -> Callable[[Tensor], Tensor]:
    q, p = inputs["student"].softmax(-1), inputs["teacher"].softmax(-1)
    shares = []
    for a, b in zip(p.tolist(), q.tolist(), strict=True):  # the naive loop
        order, mass, head, total = sorted(range(CLASSES), key=lambda j: -a[j]), 0.0, 0.0, 0.0
        for rank, j in enumerate(order):
            mass += a[j]
            head += abs(a[j] - b[j]) if rank == 0 or mass <= 0.5 else 0.0
            total += abs(a[j] - b[j])
        shares.append(head / total)
    share = torch.tensor(shares, dtype=torch.float64)
    return lambda s: share * L.kl(s, inputs["teacher"]) + (1 - share) * L.reverse_kl(s, inputs["teacher"])


ROWS: dict[str, Row] = {
    "kl": Row(LOGITS, {"temperature": 2.0}),
    "soft_target": Row(LOGITS),
    "reverse_kl": Row(LOGITS),
    "soft_cross_entropy": Row(LOGITS),
    "soft_target_cross_entropy": Row(LOGITS),
    "soft_labels_cross_entropy": Row(
        lambda n: {"student": draw(n, CLASSES, seed=0), "probabilities": draw(n, CLASSES, seed=1).softmax(-1)}
    ),
    "kl_to_probabilities": Row(
        lambda n: {"student": draw(n, CLASSES, seed=0), "probabilities": draw(n, CLASSES, seed=1).softmax(-1)},
        match=probabilities_match,
    ),
    "fidelity_kl": Row(lambda n: LOGITS(n) | {"uncertainty": draw(n, seed=2).abs()}, {"typical": 0.3}),
    "cross_entropy": Row(lambda n: {"student": draw(n, CLASSES, seed=0), "labels": labels_for(n)}, {"label_smoothing": 0.1}),
    "probability_mse": Row(LOGITS),
    "mse_to_probabilities": Row(
        lambda n: {"student": draw(n, CLASSES, seed=0), "probabilities": draw(n, CLASSES, seed=1).softmax(-1)},
        match=probabilities_match,
    ),
    "logit_mse": Row(LOGITS),
    "logit_regression": Row(LOGITS),
    "dist_inter": Row(LOGITS, {"temperature": 2.0}),
    "dist_intra": Row(LOGITS),
    "dist": Row(LOGITS, {"beta": 2.0, "gamma": 3.0}),
    "dkd_target": Row(LABELLED),
    "dkd_nontarget": Row(LABELLED),
    "dkd": Row(LABELLED),
    "nkd": Row(LABELLED, {"temperature": 2.0}),
    "wsld": Row(LABELLED, frozen=frozen_wsld),
    "ofa": Row(LABELLED, {"epsilon": 1.5}),
    "soft_target_at": Row(lambda n: LOGITS(n) | {"temperatures": draw(n, seed=9).exp() + 1}),
    "rld_confidence": Row(LABELLED),
    "rld_correlation": Row(LABELLED, {"temperature": 2.0}),
    "target_cross_entropy": Row(LABELLED),
    "transport": Row(lambda n: LABELLED(n) | {"cost": draw(CLASSES, CLASSES, seed=9).abs()}, {"iterations": 5}, shared=("cost",)),
    "jsd": Row(LOGITS, {"beta": 0.3}),
    "skew_kl": Row(LOGITS),
    "skew_reverse_kl": Row(LOGITS),
    "total_variation": Row(LOGITS),
    "alpha_beta": Row(LOGITS),
    "adaptive_kl": Row(LOGITS, frozen=frozen_adaptive),
    "uld": Row(LOGITS),
    "mse": Row(MAPS),
    "l1": Row(MAPS),
    "l2": Row(MAPS),
    "batch_l2": Row(MAPS),
    "attention": Row(MAPS),
    "attention_paper": Row(MAPS),
    "fsp": Row(shaped(2, 4, 4, names=FOUR)),
    "fsp_paper": Row(shaped(2, 4, 4, names=FOUR)),
    "activation_boundary": Row(MAPS),
    "activation_boundary_code": Row(MAPS),
    "factor": Row(MAPS),
    "factor_code": Row(MAPS),
    "hcl": Row(shaped(2, 6, 6)),
    "cwd": Row(MAPS),
    "vid": Row(lambda n: MAPS(n) | {"raw_variance": draw(3, seed=9)}, shared=("raw_variance",)),
    "mgd": Row(MAPS),
    "cosine": Row(ROWS_),
    "one_minus_pearson": Row(ROWS_),
    "pkd": Row(MAPS),
    "norm_direction": Row(lambda n: with_labels(ROWS_)(n) | {"centers": draw(CLASSES, 6, seed=9)}, shared=("centers",)),
    "srd": Row(ROWS_),
    "similarity_preserving": Row(ROWS_),
    "correlation_congruence_code": Row(ROWS_),
    "correlation_congruence": Row(ROWS_),
    "rkd_distance": Row(ROWS_),
    "rkd_angle": Row(ROWS_),
    "pkt": Row(ROWS_),
    "irg_vertices": Row(ROWS_),
    "irg_edges": Row(ROWS_, extreme=10.0),  # of fourth power: at 100 the gradient itself is beyond float16
    "irg_transformations": Row(shaped(4, names=FOUR), extreme=10.0),  # likewise
    "class_gram": Row(LOGITS),
    "batch_gram": Row(LOGITS),
    "relative_order": Row(ROWS_, {"margin": 0.1}),
    "relative_order_votes": Row(lambda n: {"student": draw(n, 6, seed=0), "order": voted_order(draw(n, 6, seed=1))}),
    "ickd": Row(MAPS),
    "affinity": Row(MAPS),
    "nst": Row(MAPS),
    "position_similarity": Row(MAPS, {"temperature": 0.5}),
    "gaussian_transport": Row(MAPS, {"grid": 2}),
    "ctc": Row(lambda n: {"student": draw(n, 6, CLASSES, seed=0), "labels": labels_for(2 * n).reshape(n, 2) % 4 + 1}),
    "delayed_kl": Row(shaped(5, CLASSES), {"delay": 2}, match=lambda x: x | {"teacher": x["student"]}),
    "top_k_kl": Row(
        lambda n: (
            {"student": draw(n, CLASSES, seed=0)}
            | dict(zip(("indices", "probabilities"), top_k_with_tail(draw(n, CLASSES, seed=1), 2)[:2], strict=True))
        ),
        match=top_k_match,
    ),
    "drawn_cross_entropy": Row(
        lambda n: {"student": draw(n, CLASSES, seed=0), "words": labels_for(3 * n).reshape(n, 3)}, {"temperature": 2.0}
    ),
    "n_best_nll": Row(
        lambda n: {
            "student": draw(n, 2, 3, CLASSES, seed=0),
            "labels": labels_for(6 * n).reshape(n, 2, 3),
            "shares": draw(n, 2, seed=1).softmax(1),
        }
    ),
    "sequence_nll": Row(lambda n: {"student": draw(n, 4, CLASSES, seed=0), "labels": labels_for(4 * n).reshape(n, 4)}),
    "real": Row(lambda n: {"logit": draw(n, seed=0)}),
    "fake": Row(lambda n: {"logit": draw(n, seed=0)}),
    "real_squares": Row(lambda n: {"score": draw(n, seed=0)}),
    "fake_squares": Row(lambda n: {"score": draw(n, seed=0)}),
    "nt_xent": Row(ROWS_, {"temperature": 0.5}),
    "noise_contrast": Row(lambda n: {"score": draw(n, 6, seed=0).exp()}, {"samples": 20}),
    "critic_real": Row(lambda n: {"score": draw(n, seed=0)}),
    "critic_fake": Row(lambda n: {"score": draw(n, seed=0)}),
    "slope_penalty": Row(lambda n: {"slope": draw(n, seed=0).abs()}),
    "unit_l2": Row(MAPS),
    "background_cross_entropy": Row(LOGITS),
    "smooth_l1": Row(ROWS_),
    "binary_cross_entropy": Row(
        lambda n: {"student": draw(n, CLASSES, seed=0), "labels": (torch.arange(n * CLASSES).view(n, CLASSES) * 7 % 5 < 2).long()}
    ),
    "binary_kl": Row(LOGITS),
    "binary_soft_target": Row(LOGITS, {"temperature": 2.0}),
    "bounded_regression": Row(lambda n: ROWS_(n) | {"goal": draw(n, 6, seed=2)}),
    "magnitude": Row(lambda n: {"code": draw(n, 3, 4, seed=0)}),
    "info_nce": Row(lambda n: ROWS_(n) | {"negatives": draw(4, 6, seed=9)}, {"temperature": 0.5}, shared=("negatives",)),
}
