"""One table of settings over the catalogue: a method without a row fails `test_contract.py`.

Descriptions are stored under `descriptions/`; after a change that is meant, write them again with
`PYTHONPATH=src python -m tests.contract.settings`, and read the difference.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if str(Path(__file__).parents[1]) not in sys.path:  # for `python -m`; under pytest it is there already
    sys.path.insert(0, str(Path(__file__).parents[1]))

from toy import Toy, build, fit_of

from limbeck import methods
from limbeck.describe import Taxonomy
from limbeck.roles import Adapter, Cast

DESCRIPTIONS = Path(__file__).parent / "descriptions"


@dataclass(frozen=True)
class Row:
    """What a small run of one method needs, and where the surveys place it.

    roles: role -> (model, arguments of the model). place: knowledge, scheme, own, ratio, chain, deploys.
    still: parameters that a stage trains but that cannot move in this setting, with the reason beside them.
    """

    roles: dict[str, tuple[str, dict[str, Any]]]
    place: tuple[str, str, bool, str, bool, str]
    arguments: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    still: tuple[str, ...] = ()


STUDENT = {"student": ("cnn", {"width": 2})}
PAIR = {"teacher": ("cnn", {"width": 4}), **STUDENT}
EQUAL = {"teacher": ("cnn", {"width": 2}), **STUDENT}
CROWD = {**PAIR, "teacher_2": ("cnn", {"width": 3}), "teacher_3": ("cnn", {"width": 4})}
SOFT = ("soft labels", "offline", False, "1-1", False, "student")
DEEP = ("other parts", "offline", False, "1-1", False, "student")
MANY = ("soft labels", "offline", False, "n-1", False, "student")
NONE = ("none", "offline", False, "0-1", False, "student")

ROWS: dict[str, Row] = {
    "adversarial": Row(PAIR, DEEP),
    "alone": Row(STUDENT, NONE),
    "alone_tree": Row({"student": ("tree", {"depth": 3})}, NONE),
    "assistant": Row({**PAIR, "assistant": ("cnn", {"width": 3})}, ("soft labels", "offline", False, "n-n", True, "student")),
    "attention": Row(PAIR, DEEP),
    "attention_paper": Row(PAIR, DEEP),
    "born_again": Row(STUDENT, ("soft labels", "offline", True, "1-1", True, "student")),
    "dist": Row(PAIR, SOFT),
    "dkd": Row(PAIR, SOFT),
    "fitnets": Row(PAIR, DEEP),
    "fsp": Row(EQUAL, DEEP),
    "kd": Row(PAIR, SOFT),
    "kd_standardised": Row(PAIR, SOFT),
    "logit_regression": Row(PAIR, DEEP, fit={"lr": 0.01}),  # logits as values, not probabilities
    "mean_teacher": Row(STUDENT, ("soft labels", "online", True, "1-1", False, "student")),
    "mutual": Row({**STUDENT, "peer": ("cnn", {"width": 3})}, ("soft labels", "online", False, "n-n", False, "student")),
    "own_teacher": Row(STUDENT, ("other parts", "online", True, "1-1", False, "student")),
    "pkt": Row(PAIR, DEEP, arguments={"weight": 100.0}),
    "rkd": Row(PAIR, DEEP, fit={"lr": 0.01}),
    "similarity": Row(PAIR, DEEP, arguments={"gamma": 10.0}),
    "soft_tree": Row({"teacher": ("cnn", {"width": 4}), "student": ("tree", {"depth": 3})}, SOFT),
    "teachers_gate": Row(CROWD, MANY),
    "teachers_mean": Row(CROWD, MANY),
    "teachers_switch": Row(CROWD, MANY),
    "zero_shot": Row(PAIR, SOFT, arguments={"size": 6}),
}


def method_of(name):
    return methods.find(name)(**ROWS[name].arguments)


def cast_for(name, relu_in_place=False):
    cast = Cast({})
    for number, (role, (model, arguments)) in enumerate(ROWS[name].roles.items()):
        module = build(model, seed=number, **arguments)
        cast.add(role, module, Adapter())
        for part in module.modules() if relu_in_place and role.startswith("teacher") else ():
            if hasattr(part, "inplace"):
                part.inplace = True
    return cast


def fit_for(name, **changes):
    return fit_of(**({"steps": 6} | ROWS[name].fit | changes))


def draw_for(name):
    return Toy(views=tuple(method_of(name).views))


def place_of(name):
    return Taxonomy(*ROWS[name].place)


def main():
    for name, declare in methods.CATALOGUE.items():
        (DESCRIPTIONS / f"{name}.txt").write_text(declare().describe() + "\n", encoding="utf-8")
    for path in DESCRIPTIONS.glob("*.txt"):
        if path.stem not in methods.CATALOGUE:
            path.unlink()


if __name__ == "__main__":
    main()
