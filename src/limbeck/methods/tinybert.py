"""Every layer of a small text model follows one of its teacher's: what it attends to, and what it makes of it."""

from functools import partial

from limbeck import losses
from limbeck.connectors import Linear
from limbeck.plan import Count, Method, Part, Stage, Term, Update, method
from limbeck.plan.taps import Field, Source, Tap
from limbeck.transforms.combine import attention_scores


@method(
    paper="Jiao et al. 2020, TinyBERT: Distilling BERT for Natural Language Understanding, arXiv 1909.10351 (its task stage)",
    year=2020,
    serves=("text",),
)
def tinybert(
    layers: tuple[tuple[int, int], ...] = ((0, 1), (1, 3)),
    heads: Count = 4,
    temperature: float = 1.0,
    share: float = 0.6,
    body: str = "bert",
) -> Method:
    """First embeddings, attention and hidden states of chosen layers, then the answer.

    stage 1: L = MSE(E W_e, E_t) + sum_m [ 1/h sum_i MSE(A_m,i, A_t,i) + MSE(H_m W_h, H_t) ]
    stage 2: L = -sum_j p_teacher,j^T log p_j^T

    A are attention scores before their softmax, 0 to padding, as in the authors' code. W_h is one map for all layers, W_e
    another; the authors' code has one for both. The general stage on a large text is the same with another corpus. No
    labels are used, as in the paper (its augmented data are not made here).

    Use it when a transformers text model with fewer and narrower layers shall follow a larger one from the inside, attention
    included; both need the same number of heads. Without a general pre-training of the student on much text it stays behind the
    paper's figures.

    Args:
        layers: (student's, teacher's) numbers from 0; the paper's g(m) = 3m of 12 layers is ((0, 2), (1, 5), (2, 8), (3, 11)).
        heads: of both, equal. temperature: T > 0, 1 in the paper. share: part of the budget that stage 1 has; limbeck's choice.
        body: where the encoder is in both.
    """
    embedded = [Tap(role, f"{body}.embeddings") for role in ("student", "teacher")]
    terms = [Term("embeddings", losses.mse, student=embedded[0].via("fit_embeddings"), teacher=embedded[1].detach())]
    for mine, theirs in layers:
        hidden = [Tap(role, f"{body}.encoder.layer.{k}") for role, k in (("student", mine), ("teacher", theirs))]
        terms += [
            Term(
                f"attention {mine}",
                losses.mse,
                student=_scores("student", mine, heads, body),
                teacher=_scores("teacher", theirs, heads, body).detach(),
            ),
            Term(f"hidden {mine}", losses.mse, student=hidden[0].via("fit_hidden"), teacher=hidden[1].detach()),
        ]
    by = partial(losses.soft_cross_entropy, temperature=temperature)
    answer = Term("answer", by, student=Tap("student"), teacher=Tap("teacher").detach())
    inside = (f"student.{body}.embeddings", f"student.{body}.encoder", "fit_embeddings", "fit_hidden")
    first = Stage("inside", (Update(inside, tuple(terms)),), share=share)
    second = Stage("answer", (Update(("student",), (answer,)),), share=1 - share)
    last = [Tap(role, f"{body}.encoder.layer.{k}") for role, k in zip(("student", "teacher"), layers[0], strict=True)]
    parts = {"fit_embeddings": Part(Linear, like=tuple(embedded)), "fit_hidden": Part(Linear, like=tuple(last))}
    return Method((first, second), parts=parts)


def _scores(role: str, layer: int, heads: int, body: str) -> Source:
    at = f"{body}.encoder.layer.{layer}.attention.self"
    return Tap(role, f"{at}.query").via(partial(attention_scores, heads=heads), Tap(role, f"{at}.key"), Field("inputs"))
