"""Pieces of a teacher to a number of parameters, a file size or a latency: how deep, and then how wide, the student is cut.

Depth goes first, the same share of every stack: layers that stay are whole, which a student that starts from its teacher gains
most from, and latency follows depth. Only where the fewest blocks are still too many, channels go as well. Size and latency are
those of the ONNX file, in ONNX Runtime on one thread of this machine.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from limbeck.data import Batches, Data
from limbeck.deploy.measure import onnx_latency
from limbeck.deploy.onnx_file import export_onnx
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.files.programs import PIECES
from limbeck.files.units import parse_seconds, parse_size
from limbeck.models.stacks import stacks
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.taps import Tap
from limbeck.runs import cutting
from limbeck.runs.events import Download, Listener, Message, silent
from limbeck.runs.folder import RECIPE
from limbeck.runs.model_settings import ModelSettings
from limbeck.runs.recipes import load, make
from limbeck.runs.settings import Recipe

Cut = Mapping[str, float]
WIDTHS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1)
ANSWERS = 50  # of which the median is the latency
WORDS = {"parameters": "{:,.0f} parameters", "size": "{:,.0f} bytes as an ONNX file", "latency": "{:.3g} ms"}


def open_budget(student: ModelSettings) -> str:
    """The budget that a student is still to be cut to: parameters, size or latency; "" where its cut is known."""
    own = student.arguments
    if student.model != PIECES or any(key in own for key in cutting.CUTS):
        return ""
    return next((key for key in cutting.BUDGETS if key in own), "")


def sized(
    recipe: Recipe, listen: Listener = silent, begun: Path | None = None, data: Data | None = None
) -> tuple[Recipe, Data | None]:
    """The recipe with the cut that its student's budget comes to, and its data where they had to be loaded for that.

    begun: the folder of a run that is continued: its cut still holds. Raises `UserError` where no cut fits.
    """
    budget = open_budget(recipe.student)
    if not budget:
        return recipe, data
    if begun is not None and (begun / RECIPE).exists():
        earlier = make(load(begun / RECIPE), str(begun / RECIPE)).student.arguments
        cut = {key: earlier[key] for key in cutting.CUTS if key in earlier}
        return _with(recipe, cut), data
    if data is None:
        data = recipe.data.load(lambda file, done, total: listen(Download(file, done, total)))
    best, whole, found = _search(recipe, data, budget)
    words = " ".join(f"{key}={value:g}" for key, value in best.items())
    shown = [WORDS[budget].format(value) for value in (found, whole)]
    listen(Message(f"the student is its teacher cut to {words}: {shown[0]}, of {shown[1]}"))
    return _with(recipe, best), data


def _with(recipe: Recipe, cut: Mapping[str, object]) -> Recipe:
    student = recipe.student.model_copy(update={"arguments": {**recipe.student.arguments, **cut}})
    return recipe.model_copy(update={"student": student})


def limit_of(budget: str, value: object) -> float:
    """A budget as a number: parameters, bytes, or milliseconds.

    >>> limit_of("size", "200kB"), limit_of("latency", "2ms"), limit_of("parameters", 50_000)
    (200000.0, 2.0, 50000.0)
    """
    if isinstance(value, str):
        where = f"pieces:{budget}="
        return 1e3 * parse_seconds(where, value) if budget == "latency" else float(parse_size(where, value))
    assert isinstance(value, int | float)
    return float(value)


def _search(recipe: Recipe, data: Data, budget: str) -> tuple[dict[str, float], float, float]:
    """The largest cut within the budget, what the whole teacher comes to, and what the cut does."""
    student, limit = recipe.student, limit_of(budget, recipe.student.arguments[budget])
    example = next(Batches(data["train"], data, size=2, seed=0).ordered())["inputs"]

    def built(cut: Cut) -> tuple[nn.Module, Adapter]:
        kept = {k: v for k, v in student.arguments.items() if k not in cutting.BUDGETS}
        return student.model_copy(update={"arguments": {**kept, **cut}}).build("student", data, recipe.seed)

    def cost(cut: Cut) -> float:
        return _cost(budget, *built(cut), example)

    theirs = recipe.teacher.build("teacher", data, recipe.seed)
    whole = _cost(budget, *theirs, example)
    if whole <= limit:
        raise UserError(f"pieces: the teacher itself has {WORDS[budget].format(whole)}, within {budget}; there is nothing to cut")
    most = max((stack.size for stack in stacks(theirs[0])), default=1)
    depths = [{"depth": float(f"{count / most:.4g}")} for count in range(most - 1, 0, -1)]
    cut, found = largest(depths, cost, limit)
    if cut is not None:
        return dict(cut), whole, found
    least = found
    for width in WIDTHS:  # one after another: so few channels may be left that nothing is cut
        narrow = {**(depths[-1] if depths else {}), "width": width}
        found = cost(narrow)
        if found <= limit:
            return narrow, whole, found
        least = min(least, found)
    raise UserError(f"pieces: even the smallest cut of the teacher has {WORDS[budget].format(least)}; allow more {budget}")


def largest(cuts: Sequence[Cut], cost: Callable[[Cut], float], limit: float) -> tuple[Cut | None, float]:
    """The first of cuts, from large to small, whose cost is within the limit, and its cost; None, and that of the smallest one,
    where none is. Few are asked, for costs fall with size.

    >>> largest([{"depth": d} for d in (0.8, 0.6, 0.4, 0.2)], lambda cut: 100 * cut["depth"], 50)
    ({'depth': 0.4}, 40.0)
    """
    low, high, best = 0, len(cuts) - 1, None
    found = cost(cuts[-1]) if cuts else float("inf")
    if found > limit:
        return None, found
    best = cuts[-1]
    while low < high:
        middle = (low + high) // 2
        its = cost(cuts[middle])
        if its <= limit:
            high, best, found = middle, cuts[middle], its
        else:
            low = middle + 1
    return best, found


def _cost(budget: str, module: nn.Module, adapter: Adapter, example: object) -> float:
    """Parameters, bytes of the ONNX file, or milliseconds of one answer."""
    if budget == "parameters":
        return float(sum(p.numel() for p in module.parameters()))
    entry = Deployed(Cast({"student": module}, {"student": adapter}), Tap("student")).eval()
    if not isinstance(example, torch.Tensor):
        raise UserError(f"pieces: {budget} is measured of networks that take one tensor; give parameters=N instead")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "student.onnx"
        export_onnx(entry, example, path, metadata={})
        if budget == "size":
            return float(path.stat().st_size)
        return onnx_latency(path, example[:1], threads=1, repeats=ANSWERS)["median"]
