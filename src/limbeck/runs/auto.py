"""`auto`: where the student starts and which method teaches it, by a rule that is written down here.

1. The student starts from its teacher's layers where at least half of its parameters match and none of the layers that do is less
   than an eighth as wide, or a quarter where nothing convolves; a start that the settings name stays, and so do weights that it
   came with. From a sixth of its teacher's channels a small network of spoken digits reached 96.8 % by labels alone, from random
   weights 88.3 % (three seeds); a multilayer perceptron came to nothing from a sixteenth (adult incomes: the majority's 75.9 %).
2. Classes of pictures, and maps of equal height and width in both networks: standardised soft labels with attention maps by angle
   at these (`kd_attention`).
3. Other classes by gradient descent on networks without maps: standardised soft labels (`kd_standardised`). Not of two classes:
   standardised logits of two are 1 and -1 whatever they were, and teach nothing.
4. In trainings of fewer than `FEW_STEPS` steps the labels, the soft labels and the maps of 2 and 3 have equal weights. From
   the teacher's layers, two seeds, by equal and published weights, and by labels alone: digits (320 steps) 97.4, 96.7 and
   94.9 %; Fashion-MNIST (672) 79.9, 78.4 and 78.9 %; spoken digits (375) 96.5, 92.7 and 96.7 %; ResNet-56 to ResNet-8 on
   CIFAR-10 at 84 steps 42.7, 36.8 and 41.6 %; but at 700 steps there the published weights gained 3.5 points over labels
   alone (three seeds). How hard lessons pull at the start does not tell these apart: 320 times on CIFAR-10, 130 on spoken
   digits.
5. Next tokens: the teacher's probabilities and the text in equal parts (`lm_kd`).
6. All else, transformers among it: soft labels in the form of the task (`kd`). Standardised ones pull too hard on a transformer
   that is trained by Adam.

What it decides stands in the recipe, and does not change when this rule does.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.data import Batches, Data
from limbeck.errors import UserError
from limbeck.models.black_box import BlackBox
from limbeck.models.inherit import Handed, share_of
from limbeck.models.outside import came_trained
from limbeck.models.pretrained import of_transformers
from limbeck.plan.roles import Cast, in_evaluation
from limbeck.runs import starting
from limbeck.runs.events import Download, Listener, silent
from limbeck.runs.folder import RECIPE
from limbeck.runs.recipes import load, make
from limbeck.runs.settings import MethodSettings, Recipe
from limbeck.runs.sizing import sized
from limbeck.runs.sources import Given, Sources, open_sources
from limbeck.tasks.next_token import NextToken

NAME = "auto"
FEW_STEPS = 700
HALF, QUARTER, EIGHTH = 0.5, 0.25, 0.125
PAIRS = 4  # pairs of layers at most


def wanted(recipe: Recipe) -> bool:
    """Whether the settings leave the method to the rule."""
    own = recipe.method
    return own.name == NAME or not own.model_fields_set


def settled(recipe: Recipe, listen: Listener = silent, begun: Path | None = None) -> tuple[Recipe, Data | None]:
    """A recipe whose method is decided, and its data where they had to be loaded for that.

    listen: hears of downloads. begun: the folder of a run that is continued: what was decided for it then still holds.
    """
    recipe, data = sized(recipe, listen, begun)
    if not wanted(recipe):
        return recipe, data
    if begun is not None and (begun / RECIPE).exists():
        earlier = make(load(begun / RECIPE), str(begun / RECIPE))
        student = recipe.student.model_copy(update={"start": recipe.student.start or earlier.student.start})
        student = student.scaled_as(recipe.teacher) if student.start == "teacher" else student
        return recipe.model_copy(update={"method": earlier.method, "student": student}), data
    data = data or recipe.data.load(lambda file, done, total: listen(Download(file, done, total)))
    return decided(recipe, data), data


def decided(recipe: Recipe, data: Data, given: Given | None = None, listen: Listener = silent) -> Recipe:
    """The recipe with a method, its settings and the student's start in place of `auto`, and why.

    Raises `UserError` where the run could not be made with soft labels either.
    """
    if recipe.teacher.served or recipe.teacher.answers is not None:  # nobody is asked for what is known beforehand
        why = "the student starts at random and soft labels teach it, for its teacher shows nothing else"
        return recipe.model_copy(update={"method": MethodSettings(name="kd", why=why)})
    plain = recipe.model_copy(update={"method": MethodSettings(name="kd")})
    sources = open_sources(plain, data=data, given=given, listen=listen)
    start, about = _start(sources)
    method, arguments, why = _method(sources)
    student = recipe.student.model_copy(update={"start": start})
    if start == "teacher":
        student = student.scaled_as(recipe.teacher)
    settings = MethodSettings(name=method, arguments=arguments, why=f"{about}; {why}")
    return recipe.model_copy(update={"student": student, "method": settings})


def _start(sources: Sources) -> tuple[str | None, str]:
    own = sources.recipe.student.start
    if own is not None:
        return (
            own,
            "the student starts from its teacher's layers" if own == "teacher" else "the student starts at random, as asked",
        )
    if sources.recipe.student.weights is not None or came_trained(sources.cast["student"]):
        return None, "the student starts from its own weights"
    if _closed(sources.cast):
        return None, "the student starts at random, for its teacher shows no layers"
    try:
        handed = starting.start(sources, sources.cast["student"], try_only=True)
    except UserError:
        return None, "the student starts at random, for its labels stand in another order than its teacher's"
    share, narrowest = share_of(handed), _narrowest(handed)
    least, word = (EIGHTH, "an eighth") if _convolves(sources.cast["student"]) else (QUARTER, "a quarter")
    if share >= HALF and narrowest >= least:
        return "teacher", f"the student starts from its teacher's layers, which give it {100 * share:.0f} % of its parameters"
    few = f"only {100 * share:.0f} % of its parameters match" if share < HALF else f"it is less than {word} as wide"
    return None, f"the student starts at random, for {few}"


def _convolves(module: nn.Module) -> bool:
    return any(isinstance(part, nn.modules.conv._ConvNd) for part in module.modules())


def _closed(cast: Cast) -> bool:
    """Whether the teacher shows its answers only."""
    teacher = cast["teacher"]
    return isinstance(teacher, BlackBox) or cast.fed("teacher") != "inputs" or not list(teacher.parameters())


def _narrowest(handed: list[Handed]) -> float:
    """The smallest share of a layer's outputs or inputs that was taken."""
    pairs = [word.split(" of ") for each in handed if each.of and each.how != "whole" for word in each.how.split(", ")]
    return min((int(few) / int(many.split()[0]) for few, many in pairs), default=1.0)


def _method(sources: Sources) -> tuple[str, dict[str, object], str]:
    data, cast, recipe = sources.data, sources.cast, sources.recipe
    if data.task.name == NextToken.name:
        return "lm_kd", {}, "at every place its teacher's probabilities of the next token teach it, and the text itself as much"
    if data.task.name != "classify":
        return "kd", {}, f"soft labels in the form of the task, {data.task.name}"
    if _closed(cast):
        return "kd", {}, "soft labels, for the teacher shows nothing else"
    if of_transformers(cast["student"]) or recipe.train.optimizer != "sgd":
        return (
            "kd",
            {},
            f"soft labels at their own size, for standardised ones pull too hard on what {recipe.train.optimizer} trains",
        )
    if len(data.classes) == 2:
        return "kd", {}, "soft labels at their own size, for of two classes standardised ones say nothing but which"
    pairs = looks(cast, data)
    at, there = [pair.mine for pair in pairs], [pair.theirs for pair in pairs]
    where: dict[str, object] = {}
    if pairs:
        where["at"] = at
    if at != there:
        where["teacher_at"] = there
    name = "kd_attention" if pairs else "kd_standardised"
    equal: dict[str, object] = dict.fromkeys(("weight", "labels", "looks")[: 3 if pairs else 2], 1.0)
    steps = round(recipe.train.epochs * sources.streams().steps_per_epoch)
    few = steps < FEW_STEPS
    arguments, how = where, ""
    if few:
        arguments, how = {**where, **equal}, f", all with the weight of the labels, for {steps} steps are few"
    if not pairs:
        return name, arguments, f"standardised soft labels teach it{how}: the networks share no maps of equal size"
    maps = f"standardised soft labels and attention maps at {', '.join(at)}"
    return name, arguments, f"{maps} teach it{how}: both networks have maps of equal size there"


@dataclass(frozen=True)
class Looks:
    """Layers of student and teacher that give maps of equal height and width."""

    mine: str
    theirs: str


def looks(cast: Cast, data: Data) -> list[Looks]:
    """The last layers of each size of maps that both networks have, shallow to deep; at most four, the deepest."""
    inputs = next(Batches(data["train"], data, size=2, seed=0).ordered())["inputs"]
    mine, theirs = (_sizes(cast, role, inputs) for role in ("student", "teacher"))
    return [Looks(layer, theirs[size]) for size, layer in mine.items() if size in theirs][-PAIRS:]


def _sizes(cast: Cast, role: str, inputs: object) -> dict[tuple[int, int], str]:
    """Of a network's own children and theirs: the last one for each size of maps (n, c, h, w) of more than one pixel."""
    module, found, calls = cast[role], dict[tuple[int, int], str](), dict[str, int]()
    names = [name for name, _ in module.named_modules() if name and name.count(".") < _depth(module)]

    def seen(name: str, out: object) -> None:
        calls[name] = calls.get(name, 0) + 1
        if isinstance(out, Tensor) and out.dim() == 4 and out.shape[2] * out.shape[3] > 1:
            size = (out.shape[2], out.shape[3])
            found.pop(size, None)
            found[size] = name

    hooks = [module.get_submodule(n).register_forward_hook(lambda m, i, out, n=n: seen(n, out)) for n in names]
    try:
        with in_evaluation(module), torch.no_grad():
            cast.feed(role, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {size: name for size, name in found.items() if calls[name] == 1}


def _depth(module: nn.Module) -> int:
    """How deep its layers are looked for: below wrappers with a single child."""
    depth, children = 1, list(module.children())
    while len(children) == 1:
        depth, children = depth + 1, list(children[0].children())
    return depth
