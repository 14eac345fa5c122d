"""Tasks by the name that files spell."""

from limbeck.errors import unknown
from limbeck.tasks.detect import Detect
from limbeck.tasks.segment import Segment
from limbeck.tasks.sequences import Transcribe, Translate
from limbeck.tasks.task import Classify, Task

TASKS: dict[str, type[Task]] = {task.name: task for task in (Classify, Detect, Segment, Transcribe, Translate)}


def task_of(name: str) -> Task:
    """The task that a file names, with its default settings."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]()
