"""What a minibatch costs under the methods for sequences, against sums written out in plain Python."""

import math

import pytest
import torch
from torch import nn

from limbeck import methods
from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast


class Says(nn.Module):
    """Answers the logits it was given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x):
        return self.logits


STUDENT = [[0.2, -1.0, 0.5], [1.0, 0.0, 0.3]]
TEACHERS = [[[2.0, 0.0, -1.0], [0.0, 1.5, 0.5]], [[0.5, 0.5, 0.0], [-1.0, 3.0, 0.0]], [[1.0, -2.0, 0.0], [0.0, 0.0, 2.0]]]
LABELS = [0, 1]


def softmax(z, temperature=1.0):
    exponents = [math.exp(v / temperature) for v in z]
    return [e / sum(exponents) for e in exponents]


def cross_entropy(z, label):
    return -math.log(softmax(z)[label])


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def costs(method):
    names = [name for name in method.roles() if name != "student"]
    cast = Cast({"student": Says(STUDENT)} | {n: Says(z) for n, z in zip(names, TEACHERS, strict=False)})
    batch = {"inputs": torch.zeros(2, 1), "labels": torch.tensor(LABELS)}
    (update,) = method.stages[0].updates
    scene = observe(cast, batch, [s for term in update.terms for s in term.sources], learns=update.trains)
    found = [evaluate_term(term, scene) for term in update.terms]
    return sum(float(term.weight) * (total / count).item() for term, (total, count) in zip(update.terms, found, strict=True))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def test_generalised_distillation_tempers_the_teacher_alone():
    task = mean(cross_entropy(z, y) for z, y in zip(STUDENT, LABELS, strict=True))
    imitate = mean(kl(softmax(t, 3.0), softmax(s)) for s, t in zip(STUDENT, TEACHERS[0], strict=True))
    method = methods.generalised_distillation(temperature=3.0, imitation=0.7)
    assert costs(method) == pytest.approx(0.3 * task + 0.7 * imitate, rel=1e-5)  # float32 against float64


def test_each_teacher_counts_by_itself_and_no_mean_of_them():
    task = mean(cross_entropy(z, y) for z, y in zip(STUDENT, LABELS, strict=True))
    each = mean(mean(kl(softmax(t), softmax(s)) for s, t in zip(STUDENT, teacher, strict=True)) for teacher in TEACHERS)
    assert costs(methods.teachers_each()) == pytest.approx(0.1 * task + 0.9 * each, rel=1e-5)


def test_streams_add_every_teacher_and_the_mean_of_their_logits():
    task = mean(cross_entropy(z, y) for z, y in zip(STUDENT, LABELS, strict=True))
    heat, weights, two = 2.0, (0.3, 0.8), TEACHERS[:2]
    soft = [
        mean(heat**2 * kl(softmax(t, heat), softmax(s, heat)) for s, t in zip(STUDENT, teacher, strict=True)) for teacher in two
    ]
    together = [[mean(pair) for pair in zip(a, b, strict=True)] for a, b in zip(*two, strict=True)]
    fused = mean(heat**2 * kl(softmax(t, heat), softmax(s, heat)) for s, t in zip(STUDENT, together, strict=True))
    expected = task + 0.3 * soft[0] + 0.8 * soft[1] + 0.6 * fused
    assert costs(methods.streams(weights=weights, fused=0.6, temperature=heat)) == pytest.approx(expected, rel=1e-5)
    assert len(methods.streams(fused=0.0).stages[0].updates[0].terms) == 3


def test_streams_need_a_weight_for_each_teacher():
    with pytest.raises(UserError, match="2 teachers and 3 weights"):
        methods.streams(weights=(1.0, 1.0, 1.0))


def test_a_delayed_frame_is_the_best_of_the_next_and_blank_ones_do_not_count():
    student = [[[0.0, 1.0, 0.2], [0.3, -1.0, 2.0], [1.0, 0.5, 0.0], [0.0, 0.0, 1.5]]]
    teacher = [[[0.0, 0.5, 3.0], [4.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.1, 0.0, 2.0]]]  # the second says nothing
    labels = [[2, 1]]
    ways = [[a, b, c, d] for a in range(3) for b in range(3) for c in range(3) for d in range(3)]
    spelt = [w for w in ways if [c for c, before in zip(w, [None, *w], strict=False) if c not in (0, before)] == labels[0]]
    chance = sum(math.prod(softmax(student[0][t])[c] for t, c in enumerate(way)) for way in spelt)
    frames = []
    for t in (0, 2, 3):
        later = [u for u in (t, t + 1, t + 2) if u < 4]
        frames.append(min(kl(softmax(teacher[0][t]), softmax(student[0][u])) for u in later))
    method = methods.ctc_delayed(delay=2, weight=3.0)
    cast = Cast({"student": Says(student), "teacher": Says(teacher)})
    batch = {"inputs": torch.zeros(1, 1), "labels": torch.tensor(labels)}
    terms = method.stages[0].updates[0].terms
    scene = observe(cast, batch, [s for term in terms for s in term.sources], learns=("student",))
    ctc, late = ((total / count).item() for total, count in (evaluate_term(term, scene) for term in terms))
    assert ctc == pytest.approx(-math.log(chance), rel=1e-5) and late == pytest.approx(mean(frames), rel=1e-5)


def test_sequence_level_weighs_the_strings_of_the_list_and_reads_no_label():
    class Writer(nn.Module):
        """Its search gives a list; called with targets, its logits depend on the word before alone."""

        def __init__(self, seed):
            super().__init__()
            self.table = nn.Parameter(torch.randn(5, 5, generator=torch.Generator().manual_seed(seed)))
            self.search = Fixed()

        def forward(self, source, target=None):
            if target is None:
                return self.search(source)
            before = nn.functional.pad(target.clamp_min(0)[..., :-1], (1, 0), value=1)
            return self.table[before]

    class Fixed(nn.Module):
        def forward(self, source):
            return torch.tensor([[[-0.5, 3.0, 4.0, 2.0], [-1.5, 4.0, 2.0, 0.0]]])

    cast = Cast({"student": Writer(0), "teacher": Writer(1)})
    batch = {"inputs": torch.tensor([[4.0]]), "labels": torch.tensor([[3, 3, 2]])}
    first = 1 / (1 + math.exp(-1.0))
    table = cast["student"].table.tolist()

    def nll(words):
        return sum(cross_entropy(table[before], word) for before, word in zip([1, *words], words, strict=False))

    for uniform, shares in ((False, (first, 1 - first)), (True, (0.5, 0.5))):
        (update,) = methods.sequence_level(uniform=uniform).stages[0].updates
        scene = observe(cast, batch, [s for term in update.terms for s in term.sources], learns=("student",))
        ((total, count),) = (evaluate_term(term, scene) for term in update.terms)
        expected = shares[0] * nll([3, 4, 2]) + shares[1] * nll([4, 2])
        assert (total / count).item() == pytest.approx(expected, rel=1e-5)
