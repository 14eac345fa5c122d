"""Tasks by the name that files spell: ours, and those that other packages add.

A package adds a task by `register(MyTask)`, or without being imported first by an entry point of the group `limbeck.tasks`
that names the class.
"""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TypeVar

from limbeck.errors import UserError, unknown
from limbeck.tasks.classify import Classify
from limbeck.tasks.detect import Detect
from limbeck.tasks.embed import Embed
from limbeck.tasks.next_token import NextToken
from limbeck.tasks.numbers import Numbers
from limbeck.tasks.segment import Segment
from limbeck.tasks.tags import Tags
from limbeck.tasks.task import Task
from limbeck.tasks.token_classification import TokenClassification
from limbeck.tasks.transcribe import Transcribe
from limbeck.tasks.translate import Translate

TASKS: dict[str, type[Task]] = {}
GROUP = "limbeck.tasks"
Kind = TypeVar("Kind", bound=type[Task])


def register(kind: Kind) -> Kind:
    """Add a task, so that files and settings can name it; also as a decorator. Returns the class unchanged.

    Raises `UserError` if it is no task, lacks a name, or another class has the name.
    """
    if not (isinstance(kind, type) and issubclass(kind, Task)):
        raise UserError(f"a task is a subclass of limbeck.tasks.Task, got {kind!r}")
    name = getattr(kind, "name", "")
    if not name:
        raise UserError(f"task {kind.__name__} has no name; give the class one, such as name = 'count'")
    if TASKS.get(name, kind) is not kind:
        raise UserError(f"two tasks are called {name!r}: {TASKS[name].__qualname__} and {kind.__qualname__}; rename one")
    TASKS[name] = kind
    return kind


for _ours in (Classify, Detect, Embed, NextToken, Numbers, Segment, Tags, TokenClassification, Transcribe, Translate):
    register(_ours)


def known() -> dict[str, type[Task]]:
    """Every task by name, those of installed packages too."""
    for entry in entry_points(group=GROUP):
        if entry.name not in TASKS:
            register(entry.load())
    return TASKS


def task_of(name: str, settings: Mapping[str, object] | None = None) -> Task:
    """The task that a file names, with its settings as `Task.settings` wrote them."""
    kind = TASKS.get(name) or known().get(name)
    if kind is None:
        raise unknown("task", name, TASKS)
    return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in (settings or {}).items()})
