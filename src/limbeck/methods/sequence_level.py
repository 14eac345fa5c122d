"""The student reads what its teacher writes, in place of what people wrote."""

from functools import partial

from limbeck import losses
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Tap
from limbeck.transforms.combine import n_best_labels, n_best_shares


@method(
    paper="Mun'im, Inoue & Shinoda 2019, Sequence-Level Knowledge Distillation for Model Compression of Attention-Based "
    "Sequence-to-Sequence Speech Recognition, ICASSP, arXiv 1811.04531",
    year=2019,
    serves=("strings",),
)
def sequence_level(at: str = "search", uniform: bool = False) -> Method:
    """The teacher's n best strings, found by beam search, take the place of the labels.

    L = -sum_k w_k log q(y_k | x), y_k the k-th best string, w its probability among the n best, or 1 / n

    The teacher is frozen, so that its search runs once for each sample where answers are stored. With one beam this is
    Kim & Rush 2016 (arXiv 1606.07947), where the likeliest string is all.

    Use it when an encoder-decoder for translation or speech is compressed: the student trains on strings that the teacher finds
    by beam search. It must run that search once for all training data, and the student never sees what else the teacher held
    likely.

    Args:
        at: where the teacher gives its list (n, k, 1 + t), log-probabilities first; its `beams` say how long it is.
        uniform: all strings count alike; both are in use, and which the paper's figures have is recalled, not read.
    """
    listed = Tap("teacher", at).detach()
    labels = listed.via(n_best_labels)
    read = Term(
        "n best",
        losses.n_best_nll,
        student=Field("inputs").via("student", labels),
        labels=labels,
        shares=listed.via(partial(n_best_shares, uniform=uniform)),
    )
    return single_stage(read)
