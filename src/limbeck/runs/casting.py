"""Which model plays which role of a method, and whether it can: settings by role, the shape of its answers."""

import torch
from torch import nn

from limbeck.data import Data
from limbeck.data.text import Words
from limbeck.data.tokens import TokenInputs
from limbeck.data.views.seen import RoleInputs, Whole, shape_seen
from limbeck.deploy.student_file import RoleFile
from limbeck.errors import UserError, reason
from limbeck.files.programs import PIECES
from limbeck.models.black_box import BlackBox
from limbeck.models.encoders import Pooled
from limbeck.models.pieces import with_sizes
from limbeck.models.pretrained import Ordered, of_transformers
from limbeck.plan import Method
from limbeck.plan.actions import Promote
from limbeck.plan.kinds import Batch
from limbeck.plan.roles import Cast, Normalise, in_evaluation, role_of
from limbeck.plan.taps import Tap, leaves
from limbeck.runs.settings import ModelSettings, Recipe
from limbeck.tasks.figure import FEW


def settings_for(role: str, method: Method, recipe: Recipe) -> ModelSettings:
    """The model of a role: its own settings; else the student's if it learns, the teacher's if it does not."""
    if role in recipe.roles:
        return recipe.roles[role]
    if role in ("teacher", "student"):
        return recipe.teacher if role == "teacher" else recipe.student
    twin = recipe.student if role in learners(method) else recipe.teacher
    return twin.model_copy(update={"weights": None, "start": None})


def learners(method: Method) -> set[str]:
    """Roles (not parts) that some stage trains."""
    return {role_of(path) for stage in method.stages for path in stage.trains} - set(method.parts)


def role_files(cast: Cast, method: Method, recipe: Recipe, names: list[str], data: Data) -> dict[str, RoleFile]:
    """What `student.json` keeps of each deployed role; a promoted role is a copy of its source."""
    made = {a.role: a.source for s in method.stages for a in s.before if isinstance(a, Promote)}
    files: dict[str, RoleFile] = {}
    for name in names:
        if name in method.parts:
            continue
        settings = settings_for(made.get(name, name), method, recipe)
        prepare = cast.adapter_of(name).prepare
        normalise = prepare if isinstance(prepare, Normalise | RoleInputs) else None
        mean, std = (list(normalise.mean_values), list(normalise.std_values)) if normalise else ([], [])
        own = settings.arguments
        if settings.model == PIECES:
            classes = settings.classes or len(data.classes)
            own = with_sizes(own, cast[name], classes, shape_seen(settings.sees, tuple(data.shape)))
        file = RoleFile(model=settings.model, arguments=own, mean=mean, std=std)
        if settings.classes:
            file["classes"] = settings.classes
        if isinstance(prepare, RoleInputs):
            file["sees"] = prepare.spelling
        if isinstance(prepare, Words):
            file["words"] = True
        if isinstance(prepare, Whole):
            file["whole"] = True
        if isinstance(prepare, TokenInputs):
            file["tokens"] = list(prepare.takes)
        logits = cast.adapter_of(name).logits
        if isinstance(logits, Ordered):
            file["order"] = list(logits.order)
        files[name] = file
    return files


def handed_out(cast: Cast, method: Method, data: Data) -> str:
    """The role that is deployed alone and is a model of transformers for tokens of a tokenizer, or for images; else ""."""
    source = method.deployed
    role = source.role if isinstance(source, Tap) and not source.path else ""
    if role not in cast or not (of_transformers(cast[role]) or isinstance(cast[role], Pooled)):
        return ""
    plain = isinstance(cast.adapter_of(role).prepare, Normalise | None)
    return role if data.tokens is not None or (data.kind == "image" and plain) else ""


def check_places(method: Method, data: Data) -> None:
    """Refuse a method that compares answers place by place where models search for what they write.

    Raises:
        UserError: the method and what to take instead.
    """
    asked = (leaf for _, _, term in method.terms() for source in term.sources for leaf in leaves(source))
    whole = (isinstance(leaf, Tap) and not leaf.path and leaf.role not in method.parts for leaf in asked)
    if data.task.searched and any(whole):
        raise UserError(
            f"method {method.name!r} compares predictions word by word, but here a model predicts by beam search; "
            "use sequence_level, or teacher forcing: skewed, adaptive or between with forced = true"
        )


def has_other_classes(role: str, settings: ModelSettings, method: Method, data: Data) -> bool:
    """Whether a role was made for another number of classes than the data has.

    Raises `UserError` if it would have to be trained on the data nevertheless, or the method reads its answers.
    """
    if data.task.headless or settings.classes in (None, len(data.classes)):
        return False
    who = f"role {role!r} has {settings.classes} classes where {data.name} has {len(data.classes)}"
    if settings.weights is None or role in learners(method):
        raise UserError(f"{who}, so it cannot be trained on them; use it as a teacher with weights, or remove its classes")
    if answers_read(role, method):
        raise UserError(f"{who}, and method {method.name!r} reads its logits; use one that reads only layers, such as cross_task")
    return True


def need_answers_only(role: str, module: nn.Module, method: Method) -> None:
    """Refuse a method that reads layers of a black box, or trains it."""
    if isinstance(module, BlackBox):
        if role in learners(method):
            raise UserError(f"{role} is {module.name}, a black box, which cannot be trained; give a network for it")
        if any(tap.role == role and tap.path for tap in method.taps()):
            raise UserError(
                f"method {method.name!r} reads layers of the {role}, which is {module.name}, a black box; use a method that "
                "reads answers only, such as kd"
            )


def few_in_parts(data: Data) -> list[str]:
    """What a reader of the figures must know of the parts that models are measured on: classes without samples, or with few."""
    notes = []
    for name in ("validation", "test"):
        labels = data[name].labels if name in data.partitions else None
        counts = None if labels is None else data.task.occurrences(labels, len(data.classes))
        if counts is None or len(counts) != len(data.classes):
            continue
        item = data.task.item
        items = item + ("es" if item.endswith("s") else "s")
        absent = [str(c) for c, count in zip(data.classes, counts, strict=True) if not count]
        few = [f"{c} ({count})" for c, count in zip(data.classes, counts, strict=True) if 0 < count < FEW]
        if absent:
            which = f"the {item if len(absent) == 1 else items} {_listed(absent)}"
            notes.append(f"{name} lacks {which}: there is no score within it")
        if few:
            which = f"the {item if len(few) == 1 else items} {_listed(few)}"
            notes.append(f"too few to tell in {name}, fewer than {FEW} of each: {which}")
    return notes


def _listed(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(name[:20] for name in names[:most]) + more


def answers_read(role: str, method: Method) -> bool:
    return any(tap.role == role and not tap.path for tap in method.taps())


def check_output(cast: Cast, role: str, batch: Batch, data: Data, classes: int | None = None) -> None:
    """One forward: the role must answer as the data's task wants, with as many classes as the data has, or as said."""
    with in_evaluation(cast[role]), torch.no_grad():
        try:
            logits = cast.adapter_of(role).find_logits(cast.feed(role, batch[cast.fed(role)]), role)
        except UserError:
            raise
        except Exception as error:  # code of the user's
            shape = tuple(data.shape)
            raise UserError(f"role {role!r} cannot take inputs of shape {shape} from {data.name}: {reason(error)}") from error
    data.task.check_output(role, logits, batch["labels"], data.name, classes or len(data.classes))
