"""No teacher: what every method is compared with."""

from limbeck import losses
from limbeck.methods._terms import task, words
from limbeck.models.fitted import fit_role, whole_train
from limbeck.plan import Method, Stage, Term, Update, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(paper="Cross-entropy training without a teacher (the baseline)", year=0)
def alone(role: str = "student") -> Method:
    """Train one role on the labels: L = CE(y, p).

    Use it when you want the baseline that any distilled student has to beat with the same data, budget and seed, or need to train
    a teacher.

    Args:
        role: who learns.
    """
    return single_stage(task(role), trains=(role,), name="train", deploys=role)


@method(paper="Breiman et al. 1984, Classification and Regression Trees (the baseline of soft_tree)", year=0)
def alone_tree(role: str = "student") -> Method:
    """Fit a role that has no gradient to the labels: a decision tree (CART, squared error of one-hot rows, the Gini
    criterion), or a Gaussian process.

    Use it when the baseline of a model without gradient, a decision tree or a Gaussian process, is wanted: what it reaches on the
    labels alone.

    Args:
        role: who is fitted.
    """
    fit = Update((role,), (task(role),), source=whole_train, apply=fit_role)
    return Method((Stage("fit", (fit,), steps=1),), deploys=role)


@method(paper="Graves et al. 2006, Connectionist Temporal Classification, ICML (the baseline of ctc_delayed)", year=2006)
def alone_ctc(role: str = "student") -> Method:
    """Train one role to write strings without being told when: L = CTC(y, q), class 0 being the blank.

    Use it when a network without a teacher is to write strings from longer inputs (speech, handwriting) and nobody has marked
    where each symbol stands; it is the baseline of `ctc_delayed`.

    Args:
        role: who learns; it answers every frame, (n, t, classes).
    """
    ctc = Term("ctc", losses.ctc, student=Tap(role), labels=Field("labels"))
    return single_stage(ctc, trains=(role,), name="train", deploys=role)


@method(
    paper="Bahdanau, Cho & Bengio 2015, Neural Machine Translation, arXiv 1409.0473 (the baseline of sequence_level)", year=2015
)
def alone_forced(role: str = "student") -> Method:
    """Train one role to write strings, each word knowing the right ones before it: L = -sum_t log q(y_t | y_<t, x).

    Use it when an encoder-decoder is to be trained on pairs of input and string without a teacher; it is the baseline of
    `sequence_level`.

    Args:
        role: who learns; called on inputs and labels it gives the labels' logits (teacher forcing), as `seq2seq` does.
    """
    return single_stage(words(role), trains=(role,), name="train", deploys=role)
