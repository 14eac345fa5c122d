"""Which students are considered: the zoo in several widths, depths and resolutions, copies of the teacher with fewer
channels or layers, and any factories of the user's."""

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from limbeck import models
from limbeck.data import Data
from limbeck.errors import UserError
from limbeck.files.programs import PIECES, RESIZED
from limbeck.models import zoo
from limbeck.models.stacks import stacks
from limbeck.runs.cutting import CUTS
from limbeck.runs.recipes import parse_value
from limbeck.runs.settings import ModelSettings


@dataclass(frozen=True)
class Candidate:
    """A student: its model and arguments, whether it starts as a piece of the teacher, and the pixels of a side in which it
    sees images, None for all."""

    model: str
    arguments: Mapping[str, object] = field(default_factory=dict, hash=False)
    from_teacher: bool = False
    size: int | None = None

    @property
    def name(self) -> str:
        """Its words on the command line and in tables."""
        cut = self.model == PIECES
        own = {key: value for key, value in self.arguments.items() if not cut or key in CUTS}
        words = ["pieces" if cut else self.model, *(f"{key}={value}" for key, value in sorted(own.items()))]
        words += [] if self.size is None else [f"size={self.size}"]
        return ":".join(words) + (" from teacher" if self.from_teacher else "")

    @property
    def settings(self) -> tuple[str, dict[str, object]]:
        """What a recipe names to build it: the model and its arguments."""
        own = dict(self.arguments)
        return (self.model, own) if self.size is None else (RESIZED, {"model": self.model, "size": self.size, "arguments": own})

    def build(self, data: Data) -> nn.Module:
        """The network, untrained."""
        model, arguments = self.settings
        return models.build(model, classes=len(data.classes), shape=data.shape, arguments=arguments)


def parse_candidates(text: str, data: Data) -> list[Candidate]:
    """Candidates out of `cnn:width=4|8:depth=1|2,resnet8:size=14,my_models:small:width=8|16`.

    Values behind | are all tried; `size` shows the images smaller.
    """
    found: list[Candidate] = []
    for entry in (word for word in text.split(",") if word.strip()):
        parts = entry.strip().split(":")
        name = ":".join(p for p in parts if "=" not in p)
        choices = {}
        for part in (p for p in parts if "=" in p):
            key, _, values = part.partition("=")
            choices[key.strip()] = [parse_value(value.strip()) for value in values.split("|")]
        for picked in itertools.product(*choices.values()):
            found.append(resized(name, dict(zip(choices, picked, strict=True)), data))
    if not found:
        raise UserError("--candidates is empty; write for example cnn:width=4|8|16,resnet8")
    return list(dict.fromkeys(found))


def resized(name: str, arguments: Mapping[str, object], data: Data) -> Candidate:
    """A candidate whose argument `size` is a resolution."""
    own, size = {key: value for key, value in arguments.items() if key != "size"}, arguments.get("size")
    if size is None or (len(data.shape) == 3 and size == min(data.shape[1:])):
        return Candidate(name, own)
    if not isinstance(size, int):
        raise UserError(f"--candidates {name}:size={size}: expected the pixels of a side, for example size=14")
    return Candidate(name, own, size=size)


def usual(data: Data, teacher: ModelSettings) -> list[Candidate]:
    """What is considered if nothing is named."""
    if len(data.shape) != 3:
        words = "mlp:width=8|16|32|64|128|256"
    else:
        half = max(8, min(data.shape[1:]) // 2)
        words = f"cnn:width=2|4|8|16|32:depth=1|2,cnn:width=8|16|32:size={half},resnet8:width=4|8|16,resnet14:width=8|16"
        words += f",resnet8:width=16:size={half},mobilenetv2:width=0.1|0.25|0.5,mlp:width=16|64"
    return list(dict.fromkeys([*pieces(teacher, data), *parse_candidates(words, data)]))


def pieces(teacher: ModelSettings, data: Data) -> list[Candidate]:
    """Narrower and shallower networks of the teacher's own kind, which start with its weights; a teacher that is not of the zoo
    is cut itself."""
    make = zoo.factory(teacher.model)
    if make is None:
        return _cut(teacher, data)
    import inspect

    options = {n: p.default for n, p in inspect.signature(make).parameters.items() if n in ("width", "depth")}
    known = {k: v for k, v in {**options, **teacher.arguments}.items() if isinstance(v, int | float)}
    kind = type(options["width"]) if "width" in options else int
    widths = [kind(known["width"] / 2**k) for k in (1, 2, 3, 4)] if "width" in known else [None]
    family = re.fullmatch(r"resnet(\d+)", teacher.model)
    deep = int(family[1]) if family and teacher.model != "resnet18" else None
    names = [f"resnet{d}" for d in (8, 14, 20, 32) if d < deep] if deep else []
    found = [Candidate(teacher.model, {**teacher.arguments, "width": w}, True) for w in widths if w]
    found += [Candidate(name, dict(teacher.arguments), True) for name in names]
    found += [Candidate(name, {**teacher.arguments, "width": widths[0]}, True) for name in names if widths[0]]
    return [candidate for candidate in found if _can_be(candidate, data)]


DEPTHS, WIDTHS = (0.75, 0.5, 0.25, 0.1), (0.75, 0.5, 0.35, 0.25, 0.15)


def _cut(teacher: ModelSettings, data: Data) -> list[Candidate]:
    """A teacher of the user's own with fewer blocks of its stacks, fewer channels, and both, as far as it can be cut so."""
    if teacher.answers is not None or teacher.served or teacher.model.endswith(".onnx"):
        return []
    whole = stacks(teacher.build("teacher", data, 0)[0])
    depths: dict[tuple[int, ...], float] = {}  # by blocks of each stack that stay
    for depth in DEPTHS if whole else ():
        depths.setdefault(tuple(max(stack.least, round(depth * stack.size)) for stack in whole), depth)
    depths.pop(tuple(stack.size for stack in whole), None)
    least = [min(depths.values())] if depths else []
    cuts: list[dict[str, object]] = [{"depth": depth} for depth in depths.values()]
    cuts += [{"width": width} for width in WIDTHS]
    cuts += [{"depth": depth, "width": width} for depth in least for width in WIDTHS]
    inside = {"model": teacher.model, "arguments": dict(teacher.arguments)}
    return [Candidate(PIECES, inside | cut, True) for cut in cuts]


def _can_be(candidate: Candidate, data: Data) -> bool:
    try:
        with torch.device("meta"):
            candidate.build(data)
    except UserError:
        return False
    return True


def key(candidate: Candidate) -> str:
    """A candidate as text that can be compared."""
    return json.dumps([*candidate.settings, candidate.from_teacher], sort_keys=True)
