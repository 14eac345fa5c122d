"""Figures of answers that are strings of class numbers: edits, label error rate, BLEU, and their bootstrap.

Letters: n strings, t frames, l places; strings are (n, l) int64 with -100 behind their end.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

ORDER = 4  # of BLEU


def collapse(frames: Tensor, *, blank: int = 0) -> Tensor:
    """Return the strings (n, t) that frames (n, t) of class numbers spell: repeats count once, blanks are left out.

    >>> collapse(torch.tensor([[1, 1, 0, 1, 2]]))
    tensor([[   1,    1,    2, -100, -100]])
    """
    before = torch.cat([torch.full_like(frames[:, :1], -1), frames[:, :-1]], 1)
    kept = (frames != blank) & (frames != before)
    return packed(frames, kept)


def packed(strings: Tensor, kept: Tensor) -> Tensor:
    """Return the places where `kept` (n, l) is true, moved together; -100 behind them."""
    order = torch.argsort((~kept).int(), dim=1, stable=True)
    return strings.masked_fill(~kept, -100).gather(1, order)


def lists(strings: Tensor) -> list[list[int]]:
    """Strings as lists of class numbers, without what is behind their end."""
    return [[v for v in row if v != -100] for row in strings.tolist()]


def edits(predicted: Sequence[int], label: Sequence[int]) -> tuple[int, list[bool]]:
    """Return the least number of insertions, deletions and changes between two strings (Levenshtein 1966), and for every
    place of the label whether it is kept in one such way.

    >>> edits([1, 3], [1, 2, 3])
    (1, [True, False, True])
    """
    rows = [list(range(len(label) + 1))]
    for i, one in enumerate(predicted, start=1):
        row = [i]
        for j, other in enumerate(label, start=1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (one != other)))
        rows.append(row)
    kept, i, j = [False] * len(label), len(predicted), len(label)
    while i and j:
        if rows[i][j] == rows[i - 1][j - 1] + (predicted[i - 1] != label[j - 1]):
            i, j = i - 1, j - 1
            kept[j] = predicted[i] == label[j]
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return rows[-1][-1], kept


def error_counts(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return (n, 2) int64: edits and label length of every string."""
    pairs = zip(lists(predicted), lists(labels), strict=True)
    return torch.tensor([(edits(one, other)[0], len(other)) for one, other in pairs])


def right_rate(counts: Tensor) -> float:
    """1 - edits / length over all strings together, of counts (..., 2); 0 where there are more edits than labels."""
    total = counts.double().sum(0)
    return max(0.0, 1 - float(total[0] / total[1]))


def bleu_counts(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return (n, 2 x 4 + 2) int64: matched and said n-grams of order 1 to 4, length said and length of the label."""
    out = []
    for one, other in zip(lists(predicted), lists(labels), strict=True):
        row = []
        for order in range(1, ORDER + 1):
            grams = [Counter(tuple(s[k : k + order]) for k in range(len(s) - order + 1)) for s in (one, other)]
            row += [(grams[0] & grams[1]).total(), grams[0].total()]
        out.append([*row, len(one), len(other)])
    return torch.tensor(out)


def bleu(counts: Tensor) -> float:
    """Corpus BLEU-4 of `bleu_counts` (n, 10), between 0 and 1: the geometric mean of the n-gram precisions times
    exp(1 - label length / length said) where less is said. An order that never matches counts as half a match, halved
    again for each further one, as sacreBLEU's default smoothing does. Papineni et al. 2002, ACL.

    >>> bleu(bleu_counts(torch.tensor([[1, 2, 3, 4, 5]]), torch.tensor([[1, 2, 3, 4, 5]])))
    1.0
    """
    total = counts.double().sum(0).tolist()
    logs, halved, orders = 0.0, 1.0, 0
    for matched, predicted in zip(total[0 : 2 * ORDER : 2], total[1 : 2 * ORDER : 2], strict=True):
        if not predicted:
            break
        if not matched:
            halved *= 2
            matched = 1 / halved
        logs, orders = logs + math.log(matched / predicted), orders + 1
    if orders < ORDER or halved == 2**ORDER:
        return 0.0
    brief = min(0.0, 1 - total[-1] / total[-2])
    return math.exp(logs / ORDER + brief)


def interval(
    counts: Tensor, figure: Callable[[Tensor], float], *, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a figure of counts (n, k) by the percentile bootstrap over strings (Koehn 2004 for BLEU).

    It covers chance in the choice of test strings only. One string alone says nothing: (0, 1).
    """
    if len(counts) < 2:
        return 0.0, 1.0
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(counts), (draws, len(counts)), generator=generator)
    found = torch.tensor([figure(counts[row]) for row in rows]).double()
    low, high = torch.quantile(found, torch.tensor([(1 - level) / 2, (1 + level) / 2]).double()).tolist()
    return low, high


def repeated(tokens: Sequence[int], run: int = 4) -> float:
    """The share of a text's runs of so many tokens that stood in it before: 0 for one that never repeats itself.

    >>> repeated([1, 2, 3, 4, 5]), repeated([1, 2, 1, 2, 1, 2, 1, 2], run=2)
    (0.0, 0.7142857142857143)
    """
    runs = [tuple(tokens[k : k + run]) for k in range(len(tokens) - run + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def rouge_l(text: str, right: str) -> float:
    """ROUGE-L of a text: F1 of the longest common subsequence of words (runs of letters and digits, lower case).

    Lin 2004, https://aclanthology.org/W04-1013; words as in google-research/rouge, without its stemmer. Two empty texts have 1.

    >>> round(rouge_l("the cat sat", "The cat has sat down."), 4)
    0.75
    """
    first, second = (re.findall(r"[^\W_]+", each.casefold()) for each in (text, right))
    if not first or not second:
        return float(first == second)
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for k, other in enumerate(second, start=1):
            before, row[k] = row[k], before + 1 if word == other else max(row[k], row[k - 1])
    return 2 * row[-1] / (len(first) + len(second))
