"""What a term passes on and how it is compared: kinds of knowledge and families of transfer, read from the functions that a
source goes through and from the loss. The tables here are about functions; no method is in them."""

from collections.abc import Callable, Iterator
from typing import Any

from limbeck import losses, transforms
from limbeck.plan import Method, Term
from limbeck.plan.taps import Field, Source, State, Tap, Via, leaves
from limbeck.transforms import combine, labelling

SAMPLES, CHANNELS, CLASSES, LAYERS = (f"relations of {x}" for x in ("samples", "channels", "classes", "layers"))

OF_FUNCTION: dict[Callable[..., Any], str] = {
    transforms.attention_map: "attention maps",
    transforms.gram: SAMPLES,
    transforms.pairwise_distances: SAMPLES,
    transforms.angles: SAMPLES,
    transforms.voted_order: SAMPLES,
    combine.similarities: SAMPLES,
    combine.sample_relations: SAMPLES,
    combine.beside: SAMPLES,
    combine.channel_relations: CHANNELS,
    combine.class_costs: CLASSES,
    transforms.class_similarity: CLASSES,
    transforms.hard_labels: "hard labels",
    labelling.noisy_votes: "hard labels",
    combine.n_best_labels: "hard labels",
    transforms.probabilities: "soft labels",
}
OF_LOSS: dict[Callable[..., Any], str] = {
    **dict.fromkeys((losses.logit_mse, losses.logit_regression, losses.irg_vertices), "logits"),
    **dict.fromkeys((losses.attention, losses.attention_paper), "attention maps"),
    **dict.fromkeys((losses.fsp, losses.fsp_paper, losses.irg_transformations), LAYERS),
    **dict.fromkeys((losses.rkd_distance, losses.rkd_angle, losses.pkt, losses.irg_edges, losses.batch_gram), SAMPLES),
    **dict.fromkeys((losses.similarity_preserving, losses.correlation_congruence, losses.relative_order), SAMPLES),
    **dict.fromkeys((losses.correlation_congruence_code, losses.relative_order_votes), SAMPLES),
    **dict.fromkeys((losses.ickd, losses.nst), CHANNELS),
    losses.class_gram: CLASSES,
    losses.affinity: "relations of positions",
    **dict.fromkeys((losses.activation_boundary, losses.activation_boundary_code), "activation boundaries"),
}
_Functions = tuple[Callable[..., Any], ...]
_SQUARES: _Functions = (
    losses.mse,
    losses.l2,
    losses.logit_mse,
    losses.logit_regression,
    losses.probability_mse,
    losses.hcl,
    losses.mgd,
)
_SQUARES += (losses.mse_to_probabilities, losses.attention, losses.attention_paper, losses.fsp, losses.fsp_paper, losses.vid)
_SQUARES += (losses.similarity_preserving, losses.correlation_congruence, losses.irg_vertices, losses.irg_edges, losses.srd)
_SQUARES += (losses.irg_transformations, losses.class_gram, losses.batch_gram, losses.ickd, losses.affinity, losses.nst)
_SQUARES += (losses.rkd_distance, losses.rkd_angle)
_DIVERGENCE: _Functions = (
    losses.kl,
    losses.soft_target,
    losses.reverse_kl,
    losses.soft_cross_entropy,
    losses.soft_labels_cross_entropy,
)
_DIVERGENCE += (losses.soft_target_cross_entropy, losses.kl_to_probabilities, losses.cross_entropy, losses.dkd, losses.nkd)
_DIVERGENCE += (losses.wsld, losses.ofa, losses.soft_target_at, losses.rld_confidence, losses.rld_correlation, losses.cwd)
_DIVERGENCE += (losses.target_cross_entropy, losses.jsd, losses.skew_kl, losses.skew_reverse_kl, losses.alpha_beta, losses.pkt)
_DIVERGENCE += (losses.adaptive_kl, losses.top_k_kl, losses.delayed_kl, losses.sequence_nll, losses.dkd_target)
_DIVERGENCE += (losses.dkd_nontarget,)
OF_VALUES = (losses.mse, losses.l1, losses.l2, losses.cosine, losses.one_minus_pearson)  # of an answer: logits, not probabilities
OF_TRANSFER: dict[Callable[..., Any], str] = {
    **dict.fromkeys(_SQUARES, "squares"),
    **dict.fromkeys(_DIVERGENCE, "divergence"),
    **dict.fromkeys((losses.l1, losses.total_variation, losses.uld, losses.factor, losses.factor_code), "absolute"),
    **dict.fromkeys((losses.correlation_congruence_code,), "absolute"),
    **dict.fromkeys((losses.cosine, losses.norm_direction), "angle"),
    **dict.fromkeys((losses.dist, losses.dist_inter, losses.dist_intra, losses.pkd, losses.one_minus_pearson), "correlation"),
    **dict.fromkeys((losses.relative_order, losses.relative_order_votes), "order"),
    **dict.fromkeys((losses.info_nce, losses.noise_contrast, losses.nt_xent), "contrast"),
    **dict.fromkeys((losses.transport, losses.gaussian_transport), "transport"),
    **dict.fromkeys((losses.real, losses.fake, losses.real_squares, losses.fake_squares), "judge"),
}


def plain(fn: Any) -> Any:
    """The function inside a partial."""
    while hasattr(fn, "func"):
        fn = fn.func
    return fn


def knowledge_of(leaf: Source, term: Term, method: Method) -> str:
    """The kind of knowledge that a mentor's source brings into a term: by what it goes through, else by the loss, else by
    where it is read."""
    for source in term.inputs.values():
        for fn in _way(source, leaf):
            built = plain(method.parts[fn].build) if isinstance(fn, str) and fn in method.parts else fn
            found = OF_FUNCTION.get(plain(fn)) if not isinstance(fn, str) else getattr(built, "knowledge", None)
            if found:
                return found
    if isinstance(leaf, Field):
        return f"the view {leaf.key}" if leaf.key in ("inputs", *method.views) else "stored targets"
    by_loss = OF_LOSS.get(plain(term.by))
    inside = isinstance(leaf, Tap) and bool(leaf.path)
    if by_loss and not (by_loss == "logits" and inside):  # squares of what a map's places say
        return by_loss
    if isinstance(leaf, State):
        return "parameters"
    if inside:
        return "features"
    return "logits" if plain(term.by) in OF_VALUES else "soft labels"


def _way(source: Source, leaf: Source) -> Iterator[Any]:
    """The functions and modules between a leaf and the root of a source, the nearest to the leaf first."""
    if isinstance(source, Via):
        for inner in source.sources:
            if leaf in set(leaves(inner)):
                yield from _way(inner, leaf)
                yield source.fn
                return


def transfer_of(term: Term) -> str:
    """The family of a term's loss; a loss that is in no family stands for itself."""
    fn = plain(term.by)
    return OF_TRANSFER.get(fn, getattr(fn, "__name__", str(fn)))
