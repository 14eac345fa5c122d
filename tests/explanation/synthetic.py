"""Cases in which it is known beforehand what the teacher's labels are worth: tables, teachers that are formulas."""

import torch
from torch import nn

from limbeck.data import Data, Partition
from limbeck.deploy.student import Deployed
from limbeck.explanation.gain import Taught, mean_doubt
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Tap
from limbeck.runs.recipes import make

KINDS, TRAIN, TEST = 4, 256, 120


def table(kind, flag=None):
    """One column per kind, 3 where it is the sample's, a little noise; a last, tiny column with the flag."""
    noise = 0.3 * torch.randn(len(kind), KINDS, generator=torch.Generator().manual_seed(int(kind.sum())))
    extra = torch.zeros(len(kind), 1) if flag is None else 1e-3 * flag.float()[:, None]
    return torch.cat([3.0 * nn.functional.one_hot(kind, KINDS) + noise, extra], 1)


def data(classes, train, test):
    """train, test: (inputs, labels)."""
    parts, start = {}, 0
    for name, (inputs, labels) in (("train", train), ("test", test)):
        parts[name] = Partition(name, inputs, labels, torch.arange(start, start + len(labels)))
        start += len(labels)
    return Data("made", "table", tuple(classes), (KINDS + 1,), (), (), parts)


class Formula(nn.Module):
    """A teacher that answers by a table of probabilities: its row is the kind it sees, or the last one for flagged samples."""

    def __init__(self, probabilities):
        super().__init__()
        self.register_buffer("log", torch.tensor(probabilities).log())

    def forward(self, x):
        flagged = x[:, KINDS] > 5e-4
        return self.log[torch.where(flagged, KINDS, x[:, :KINDS].argmax(1))]


def taught(made, teacher, folder, epochs=20):
    recipe = make(
        {
            "data": {"name": "made"},
            "student": {"model": "mlp", "arguments": {"width": 8}},
            "train": {"epochs": epochs, "batch": 32, "lr": 0.05, "weight_decay": 0.0},
            "store": {"path": str(folder / "store")},
        }
    )
    entry = Deployed(Cast({"teacher": teacher}), Tap("teacher")).eval()
    return Taught(recipe, made, folder, 1.0, 0.9, mean_doubt(entry, made, 1.0), entry)


def all_in_the_relations(folder, epochs=20):
    """Labels tell the super-class (classes A and B, never right in the test); the teacher alone tells the sub-class.

    Its confidence in the label is 0.2 for every sample: nothing is in smoothing or re-weighting.
    """
    kinds, tested = torch.arange(TRAIN) % KINDS, torch.arange(TEST) % KINDS
    rows = [[0.2 if c == k // 2 else 0.7 if c == 2 + k else 0.025 for c in range(6)] for k in range(KINDS)]
    made = data(["A", "B", "a1", "a2", "b1", "b2"], (table(kinds), kinds // 2), (table(tested), tested + 2))
    return taught(made, Formula([*rows, [1 / 6] * 6]), folder, epochs)


def all_in_the_confidence(folder):
    """Six in ten samples of kind 1 are labelled 2. The teacher doubts these, and has no opinion on any other class.

    Where it doubts, all classes are equally likely; elsewhere the label has 0.9 and the others the same: no relations.
    """
    kinds, tested = torch.arange(TRAIN) % KINDS, torch.arange(TEST) % KINDS
    wrong = (kinds == 1) & (torch.arange(TRAIN) // KINDS % 5 < 3)
    rows = [[0.9 if c == k else 0.1 / 3 for c in range(KINDS)] for k in range(KINDS)]
    labels = torch.where(wrong, 2, kinds)
    made = data("0123", (table(kinds, wrong), labels), (table(tested), tested))
    return taught(made, Formula([*rows, [0.25] * 4]), folder)
