"""A method meets its data: what it leaves to the task (labels, soft labels) becomes the task's own terms."""

from collections.abc import Iterator
from dataclasses import replace

from limbeck.errors import UserError
from limbeck.plan import Labels, Method, Soft, Term
from limbeck.tasks.task import Task


def bind(method: Method, task: Task) -> Method:
    """The method with `Labels` and `Soft` terms replaced by those of the task; all else stays as it is.

    Raises:
        UserError: the method asks for what this task has no term for; says what works.
    """

    def bound(terms: tuple[Term, ...]) -> tuple[Term, ...]:
        try:
            return tuple(each for term in terms for each in _own(term, task))
        except UserError as error:
            raise UserError(f"method {method.name or 'given'!r}: {error}") from error

    stages = tuple(
        replace(stage, updates=tuple(replace(update, terms=bound(update.terms)) for update in stage.updates))
        for stage in method.stages
    )
    return method.but(stages=stages)


def _own(term: Term, task: Task) -> Iterator[Term]:
    if isinstance(term, Labels):
        yield from task.label_terms(term)
    elif isinstance(term, Soft):
        yield from task.soft_terms(term)
    else:
        yield term
