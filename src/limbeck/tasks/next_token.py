"""The next token of a text, at every place: language models.

Letters: n rows, T places, V tokens, t = n T.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy as nll

from limbeck.errors import UserError
from limbeck.losses import cross_entropy, traits_of
from limbeck.metrics.bootstrap import interval
from limbeck.plan import Field, Labels, Soft, Tap, Term
from limbeck.tasks.figure import Figure, Judged, finite
from limbeck.tasks.keeping import Kept, need, pick
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Cell, Section, Values
from limbeck.tasks.task import AGREES, Task, in_range
from limbeck.transforms.masks import known

ROOM = 2**24  # logits that are held at once when a part is judged
MOST = 64  # rows at once


class FirstWords:
    """Logits (n, T, V) of the tokenizer's words, out of what a model returns: rows that only fill up its head are left out.

    >>> FirstWords(2)(torch.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[1., 2.]]])
    """

    __name__ = "logits, of the tokenizer's words"

    def __init__(self, count: int):
        self.count = count

    def __call__(self, output: object) -> Tensor:
        found = output["logits"] if isinstance(output, Mapping) and "logits" in output else getattr(output, "logits", output)
        if not isinstance(found, Tensor):
            raise UserError(
                f"a language model must return logits (n, T, {self.count}), got {type(output).__name__}; see Adapter(logits=)"
            )
        return found[..., : self.count]


@lru_cache(maxsize=4)
def sums(predictions: Predictions) -> Tensor:
    """(n, 3) float64 of each row: the sum of -ln q of the right tokens, how many are right, and how many there are."""
    there = predictions.labels != -100
    lost, said = predictions.answers[..., 0].double(), predictions.answers[..., 1]
    right = (said == predictions.labels) & there
    return torch.stack([(lost * there).sum(1), right.sum(1).double(), there.sum(1).double()], 1)


def _mean_loss(judged: Judged) -> float:
    total = sums(judged.predictions).sum(0)
    return float(total[0] / total[2])


def _score(judged: Judged) -> float:
    return exp(-_mean_loss(judged))


def _perplexity(judged: Judged) -> float | None:
    mean = _mean_loss(judged)
    return exp(mean) if mean < 700 else None


def _bits(judged: Judged) -> float | None:
    task = judged.task
    assert isinstance(task, NextToken)
    return _mean_loss(judged) / log(2) / task.bytes_per_token if task.bytes_per_token else None


def _right(judged: Judged) -> float:
    total = sums(judged.predictions).sum(0)
    return float(total[1] / total[2])


def _kl(judged: Judged) -> float | None:
    if judged.apart is None:
        return None
    total = judged.apart.double().sum(0)
    return float(total[0] / total[1])


def _kl_interval(judged: Judged) -> tuple[float, float] | None:
    return None if judged.apart is None else interval(judged.apart.double(), lambda each: each[:, 0] / each[:, 1])


def _drawn(figure: Callable[[Tensor], Tensor]) -> Callable[[Judged], tuple[float, float] | None]:
    """The bootstrap's interval over rows of a figure that is a function of the sums."""
    return lambda judged: interval(sums(judged.predictions), figure)


def _bits_interval(judged: Judged) -> tuple[float, float] | None:
    task = judged.task
    assert isinstance(task, NextToken)
    if not task.bytes_per_token:
        return None
    return interval(sums(judged.predictions), lambda each: each[:, 0] / each[:, 2] / log(2) / task.bytes_per_token)


@final
@dataclass(frozen=True)
class NextToken(Task):
    """The next token at every place: labels (n, T), -100 where none counts, logits (n, T, V).

    Scored by the mean probability of the right token (geometric), which is 1 / perplexity; intervals are a bootstrap over rows.

    vocabulary: V, as many as the tokenizer has. bytes_per_token: UTF-8 bytes of the test part's text for each token that is
    predicted there; 0 where that is not known.
    """

    vocabulary: int = 0
    bytes_per_token: float = 0.0
    name = "next_token"
    item = "token"
    fewest = 0
    counted = "tokens"
    amiss = "it was trained on other texts, or with another tokenizer"
    figures = (
        Figure(
            "mean_probability",
            "1 / perplexity",
            _score,
            "Geometric mean of the probability of the right token: 1 / perplexity.",
            form=".4g",
            most=1.0,
            spoken="perplexity",
        ),
        Figure(
            "perplexity",
            "perplexity",
            _perplexity,
            "exp of the mean of -ln of the right token's probability; of other tokenizers' figures it cannot be compared.",
            better="lower",
            form=".4g",
            interval=_drawn(lambda each: (each[:, 0] / each[:, 2]).exp()),
            sentence="has a perplexity of {} on the test text",
        ),
        Figure(
            "bits_per_byte",
            "bits per byte",
            _bits,
            "-log2 of the probability of the text over its UTF-8 bytes: it can be compared between tokenizers.",
            better="lower",
            form=".4g",
            interval=_bits_interval,
        ),
        Figure(
            "right_tokens",
            "right tokens",
            _right,
            "Share of places where the likeliest token is the right one.",
            interval=_drawn(lambda each: each[:, 1] / each[:, 2]),
        ),
        Figure(
            "kl_to_teacher",
            "KL to teacher",
            _kl,
            "Mean divergence KL(teacher || model) of the next token's probabilities, in nats: 0 is the teacher itself.",
            better="lower",
            form=".3g",
            interval=_kl_interval,
        ),
        AGREES,
    )

    # ---------------------------------------------------------------- labels and answers

    @classmethod
    def takes(cls, labels: Tensor) -> bool:
        return False

    def width(self, labels: Tensor) -> int:
        return 0

    def outputs(self, classes: int) -> int:
        return self.vocabulary

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.dim() != 2 or len(labels) != count or labels.is_floating_point():
            raise UserError(
                f"{who} has {count} inputs but labels of shape {tuple(labels.shape)}; give the next token at every place, (n, T) "
                "whole numbers, with -100 where none counts"
            )
        there = labels != -100
        if not bool(there.any(1).all()):
            row = int((~there.any(1)).nonzero()[0])
            raise UserError(f"{who}: no token counts in row {row}, so it teaches nothing; remove it")
        in_range(who, labels[there], self.vocabulary)

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        wanted = (*labels.shape, self.vocabulary)
        if outputs.shape != wanted:
            raise UserError(
                f"role {who!r} has outputs of shape {tuple(outputs.shape)}, but {data} needs logits {wanted} (rows, places, "
                "tokens); give a causal language model of this tokenizer"
            )

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """-ln q of the right token and the likeliest token of every place, (n, T, 2) float32; 0 where none counts."""
        if outputs.shape[:2] != labels.shape or outputs.dim() != 3:
            raise UserError(f"a model must return {(*labels.shape, self.vocabulary)} logits, got {tuple(outputs.shape)}")
        lost = nll(outputs.flatten(0, 1), labels.flatten().long(), reduction="none", ignore_index=-100).view(labels.shape)
        return torch.stack([lost.float(), outputs.argmax(-1).float()], -1), labels.to(torch.int32)

    def apart(self, outputs: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """(n, 2) of each row the sum of KL(p || q) over the places that count, p the teacher's, and how many these are."""
        there = labels != -100
        found = []
        for z, other, row in zip(outputs, teacher, there, strict=True):
            log_q, log_p = z[row].log_softmax(-1), other[row].log_softmax(-1)
            found.append(torch.stack([(log_p.exp() * (log_p - log_q)).sum().double(), row.sum().double()]))
        return torch.stack(found)

    def gives(self, classes: Sequence[str]) -> str:
        return f"one logit for each of {self.vocabulary:,} tokens at every place"

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[object], Tensor] | None:
        return FirstWords(self.vocabulary)

    def at_once(self, shape: tuple[int, ...]) -> int:
        """So many rows that their logits fit into `ROOM`."""
        return max(1, min(MOST, ROOM // max(1, self.vocabulary * shape[0])))

    # ---------------------------------------------------------------- how they teach

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """Cross-entropy of the next token, mean over the places that count, whatever batch or piece of one they stand in."""
        given = Field("labels")
        mask = labels.chosen or given.via(known)
        return (Term(labels.name, cross_entropy, weight=labels.weight, mask=mask, student=Tap(labels.role), labels=given),)

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        """The mentor's softened answer at every place that counts: padding and prompts do not."""
        sides = {"student": Tap(soft.learner), "teacher": Tap(soft.mentor).detach()}
        return (Term(soft.name, soft.by, weight=soft.weight, mask=soft.mask or Field("labels").via(known), **sides),)

    def adapted(self, term: Term, parts: Collection[str]) -> Term:
        """Answers are compared at the places that count.

        Raises `UserError` for a loss that compares the answers to several samples with each other.
        """
        traits = traits_of(term.by)
        if traits is None or traits.over != "classes":
            return term
        if term.batchwise:
            raise UserError(
                f"term {term.name!r} compares the answers to several samples, which next tokens are not; use kd, skewed, "
                "adaptive, between or taid"
            )
        return term if term.mask is not None else term.but(mask=Field("labels").via(known))

    # ---------------------------------------------------------------- figures

    def agreement(self, first: Predictions, second: Predictions) -> float:
        there = first.labels != -100
        return float((first.answers[..., 1] == second.answers[..., 1])[there].double().mean())

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Hardly better than every token being as likely as any other."""
        return not self.score(predictions) > 2 / max(1, self.vocabulary)

    def interval(self, judged: Judged) -> tuple[float, float] | None:
        return interval(sums(judged.predictions), lambda each: (-each[:, 0] / each[:, 2]).exp())

    def paired(self, first: Predictions, second: Predictions) -> float | None:
        """A two-sided sign-flip test of the difference of the rows' losses, 10,000 flips."""
        gap = sums(first)[:, 0] - sums(second)[:, 0]
        generator = torch.Generator().manual_seed(0)
        seen = abs(float(gap.sum()))
        more = 0
        for _ in range(100):
            signs = torch.randint(0, 2, (100, len(gap)), generator=generator).double() * 2 - 1
            more += int(((signs @ gap).abs() >= seen * (1 - 1e-12)).sum())
        return (more + 1) / 10_001

    # ---------------------------------------------------------------- what is kept and shown

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        first = predictions["student"]
        tensors = {"labels": first.labels.contiguous(), "index": first.index}
        return tensors | {f"lost_{who}": p.answers.contiguous() for who, p in predictions.items()}

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        labels, index = tensors["labels"].long(), tensors["index"].long()
        found = {who: Predictions(z.float(), labels, index) for who, z in pick(tensors, "lost_").items()}
        need(labels.dim() == 2 and all(p.answers.shape == (*labels.shape, 2) for p in found.values()))
        return Kept(found)

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        return (_by_place(kept),) if kept.predictions else ()


def _by_place(kept: Kept) -> Section:
    """Perplexity by how much of the row a model has read."""
    labels = next(iter(kept.predictions.values())).labels
    width = labels.shape[1]
    edges = sorted({0, *(e for e in (8, 32, 128, 512, 2048) if e < width), width})
    rows: list[tuple[Cell, ...]] = []
    for start, end in zip(edges, edges[1:]):
        there = labels[:, start:end] != -100
        if not bool(there.any()):
            continue
        cells: list[Cell] = []
        for p in kept.predictions.values():
            value = finite(float(p.answers[:, start:end, 0][there].double().mean().exp()))
            cells.append(("–" if value is None else f"{value:.4g}", value))
        rows.append((f"{start:,} to {end - 1:,}", (f"{int(there.sum()):,}", float(there.sum())), *cells))
    head = ("tokens before it in the row", "tokens", *kept.predictions)
    return Section(
        "places",
        "Perplexity by context",
        (Values(head, tuple(rows)),),
        "How well the next token is told, by how many stand before it.",
    )
