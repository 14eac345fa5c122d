"""Data that a function of the user's own gives: `package.module:function`, called with `data.arguments`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from limbeck.data.assemble import assemble, cut, hidden
from limbeck.data.core import Data
from limbeck.data.given import from_datasets
from limbeck.data.items import rows_as_table
from limbeck.data.unlabelled import judged
from limbeck.errors import UserError, reason
from limbeck.files.programs import find
from limbeck.plan.kinds import Value
from limbeck.tasks.task import Task

PARTS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}
SETTINGS = ("classes", "task", "name")


@dataclass(frozen=True)
class Cuts:
    """How data are split, as the settings of any data say; see `limbeck.data.load`."""

    validation: float
    test: float | None
    labelled: int | None
    limit: int | None
    split_seed: int


def made(name: str, arguments: Mapping[str, object], how: Cuts, wanted: Task | None = None) -> Data:
    """Call the function and split what it gives. wanted: the task that settings name, in the place of what labels look like.

    It may return `Data`, a Dataset or a pair of arrays, rows with words in them (mappings, or a data frame), or a mapping of
    parts (train, validation, test, unlabelled, or one's own), with `classes` and `task` beside them where they are to be named.

    Raises `UserError` if it fails, or returns something else.
    """
    function = find(name, "data")
    if not callable(function):
        raise UserError(f"data {name!r} is a {type(function).__name__}; name a function that returns the data")
    try:
        given = function(**arguments)
    except UserError:
        raise
    except Exception as error:  # code of the user's
        raise UserError(f"data {name!r} failed when called with {dict(arguments)!r:.80}: {reason(error)}") from error
    parts, classes, task, called = _parts(name, given)
    task = task or wanted
    if wanted is not None and (isinstance(given, Data) or task != wanted):
        raise UserError(f"data {name!r} says itself what its task is; leave out data.task")
    if wanted is not None and not wanted.headless:
        raise UserError(f"data {name!r} is no table, whose labels data.task = {wanted.name} says; let the function return a task")
    raw = None if isinstance(given, Data) else rows_as_table(name, parts)
    if raw is not None:
        raw = judged(raw) if task is not None and task.headless else raw
        raw.test_share = 0.2 if how.test is None else how.test
        raw.labels_from = f"{raw.labels_from.partition(',')[0]} of what {name} gives"
        cuts = {"validation": how.validation, "labelled": how.labelled, "limit": how.limit, "split_seed": how.split_seed}
        return assemble(called, raw, **cuts)  # type: ignore[arg-type]
    if isinstance(given, Data):
        data = given
    else:
        further = {key: value for key, value in parts.items() if key not in ("train", "validation", "test")}
        data = from_datasets(
            parts["train"],
            validation=parts.get("validation"),
            test=parts.get("test"),
            classes=classes,
            name=called,
            task=task,
            further=further or None,
        )
    return _split(data, given is data, name, how)


def _split(data: Data, whole: bool, name: str, how: Cuts) -> Data:
    """The data with the parts that settings ask for. whole: whether the function made all of it."""
    notes = list(data.notes)
    test, seed = how.test, how.split_seed
    if test is not None and "test" in data.partitions:
        notes.append("data.test is not used, for the source has a test part")
    share = 0.2 if test is None else test
    parts, told = cut(
        data.name,
        data.partitions,
        data.task,
        test=share,
        test_seed=seed,
        validation=how.validation,
        limit=how.limit,
        split_seed=seed,
    )
    if how.labelled is not None:
        parts = hidden(data.name, parts, how.labelled, seed, data.task)
    known = parts["train"].labels
    task = data.task if known is None else data.task.learned(known)
    source = data.labels_from if whole and data.labels_from else f"as {name} gives them"
    return replace(data, partitions=parts, notes=(*notes, *told), split_seed=seed, task=task, labels_from=source, _memo={})


def _parts(name: str, given: Value) -> tuple[dict[str, Value], Value, Task | None, str]:
    """Samples by part, names of classes, task and name, as far as they were given."""
    called = name.rpartition(":")[2]
    if given is None:
        raise UserError(f"data {name!r} returns nothing; let the function return a Dataset, a pair of arrays, or parts by name")
    if isinstance(given, Data) or not isinstance(given, Mapping):
        return {"train": given}, None, None, called
    parts = {str(key): value for key, value in given.items() if key not in SETTINGS}
    named = {PARTS.get(key, key): value for key, value in parts.items()}
    if len(named) != len(parts):
        raise UserError(f"data {name!r} gives two validation parts: {', '.join(parts)}; give one")
    if named.get("train") is None:
        raise UserError(f"data {name!r} gives {', '.join(parts) or 'nothing'}; expected train, and others beside it")
    task = given.get("task")
    if task is not None and not isinstance(task, Task):
        raise UserError(f"data {name!r}: its task is a {type(task).__name__}; give one, such as limbeck.tasks.tags()")
    return named, given.get("classes"), task, str(given.get("name", called))
