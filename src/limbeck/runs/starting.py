"""A student that starts from its teacher: whether it can, what is said of it, and doing it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from limbeck.data.views.seen import shape_seen
from limbeck.errors import UserError
from limbeck.files.programs import PIECES
from limbeck.models.black_box import BlackBox
from limbeck.models.inherit import Ends, Handed, hand_down, share_of
from limbeck.models.pieces import BATCHES, estimate_again, pieces
from limbeck.models.pretrained import Ordered, of_transformers
from limbeck.models.stacks import Choice
from limbeck.plan.copies import copied
from limbeck.plan.kinds import Value
from limbeck.plan.roles import Adapter
from limbeck.runs.casting import learners

if TYPE_CHECKING:
    from limbeck.runs.sources import Sources

SHOWN = 4  # layers that a sentence names


def start(sources: "Sources", student: nn.Module, *, try_only: bool = False) -> list[Handed]:
    """Give a student its teacher's layers, in place; what each of its layers got. Of one that is cut out of its teacher the
    statistics of batch-norm are estimated again."""
    own = sources.recipe.student
    cut = own.model == PIECES
    choice: Choice = own.arguments.get("choose", "equal") if cut else "equal"  # type: ignore[assignment]
    narrow = cut and "width" in own.arguments and not of_transformers(student)
    handed = hand_down(sources.cast["teacher"], student, choice=choice, ends=_ends(sources), try_only=try_only or narrow)
    if cut and not try_only:
        streams, adapter = sources.streams(), sources.cast.adapter_of("student")
        batches = [streams(("train",), k)["inputs"] for k in range(BATCHES)]
        if narrow:
            _active(sources, student, [_prepared(adapter, inputs) for inputs in batches])
        estimate_again(student, (adapter.feed(student, inputs) for inputs in batches))
    how = " by mean activation" if narrow else ""
    return [replace(each, how=each.how + how) if each.of and each.how != "whole" else each for each in handed]


def _blocks(mine: str, theirs: str) -> str:
    """Two paths without what they end in alike.

    >>> _blocks("layer1.1.conv1", "layer1.4.conv1")
    'layer1.1 from layer1.4'
    """
    here, there = mine.split("."), theirs.split(".")
    while len(here) > 1 and len(there) > 1 and here[-1] == there[-1]:
        here.pop(), there.pop()
    return f"{'.'.join(here)} from {'.'.join(there)}"


def _prepared(adapter: Adapter, inputs: Value) -> Tensor:
    """A batch as it goes into the network."""
    made = inputs if adapter.prepare is None else adapter.prepare(inputs)
    if not isinstance(made, Tensor):
        raise UserError("widths are cut of networks that take one tensor; cut this one by layers")
    return made


def _active(sources: "Sources", student: nn.Module, probe: list[Tensor]) -> None:
    """Fill a narrow student with the teacher's channels that are most active on the training data, in its shapes."""
    own = sources.recipe.student.arguments
    cut: Any = {key: own[key] for key in ("layers", "depth", "choose", "width") if key in own}
    device = next(student.parameters()).device
    teacher = copied(sources.cast["teacher"], "the teacher").to(device)
    whole = pieces(teacher, probe=[inputs.to(device) for inputs in probe], **cut)
    student.load_state_dict(whole.state_dict())


def _ends(sources: "Sources") -> Ends:
    """What is not to be chosen among: classes that are others or in another order, and inputs that are others."""
    recipe, data = sources.recipe, sources.data
    classes, logits = len(data.classes), [sources.cast.adapter_of(role).logits for role in ("teacher", "student")]
    orders = [each.order if isinstance(each, Ordered) else () for each in logits]
    theirs = recipe.teacher.classes or classes
    if orders[0] != orders[1]:
        raise UserError(
            "the student's labels stand in another order than its teacher's, whose layers it starts from; name them alike"
        )
    seen = [shape_seen(settings.sees, tuple(data.shape))[0] for settings in (recipe.teacher, recipe.student)]
    return Ends((theirs, classes), (seen[0], seen[1]))


def told(sources: "Sources") -> list[str]:
    """What a reader needs to know of a student that starts from its teacher; nothing where it does not.

    Raises `UserError` where it cannot.
    """
    if not sources.starts:
        return []
    cast, why = sources.cast, "student.start = 'teacher'"
    if "student" not in cast:
        raise UserError(f"{why}: method {sources.method.name!r} trains no role called student; leave it out")
    if "teacher" in learners(sources.method):
        raise UserError(f"{why}: method {sources.method.name!r} trains its teacher beside the student; leave it out")
    if isinstance(cast["teacher"], BlackBox) or cast.fed("teacher") != "inputs" or not list(cast["teacher"].parameters()):
        raise UserError(f"{why} needs a network as teacher, and this one shows no layers; leave it out")
    handed = start(sources, cast["student"], try_only=True)
    if not share_of(handed):
        raise UserError(
            f"{why}: no layer of the student has the name and place of one of its teacher; give a student of its family"
        )
    notes = [words(handed)]
    if sources.has_weights("teacher"):
        notes.append(
            "the teacher came trained: where it has seen the validation part, the validation score flatters a student that "
            "starts from it; the test score does not"
        )
    return notes


def words(handed: list[Handed]) -> str:
    """What a student got of its teacher, in a sentence.

    >>> words([Handed("a", "a", "whole", 3), Handed("b", "", "no such layer", 1)])
    'the student starts from its teacher: 1 of 2 layers, 75 % of its parameters; at random: b (no such layer)'
    """
    taken = [each for each in handed if each.of]
    chosen = sum(each.how != "whole" for each in taken)
    moved = list(dict.fromkeys(_blocks(each.layer, each.of) for each in taken if each.of != each.layer))
    random = [f"{each.layer or 'the network itself'} ({each.how})" for each in handed if not each.of]
    much = f"{len(taken)} of {len(handed)} layers, {100 * share_of(handed):.0f} % of its parameters"
    said = f"the student starts from its teacher: {much}"
    by = "the most active channels" if any("activation" in each.how for each in taken) else "channels at equal distances"
    said += f", {chosen} of them with {by}" if chosen else ""
    for what, names in (("; by place: ", moved), ("; at random: ", random)):
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        said += what + ", ".join(names[:SHOWN]) + more if names else ""
    return said
