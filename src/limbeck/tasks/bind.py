"""A method meets its data: what it leaves to the task (labels, soft labels) becomes the task's own terms."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import cross_entropy
from limbeck.plan import Labels, Method, Soft, Stage, Term
from limbeck.tasks.task import Task, reads_classes

Loss = Callable[..., Tensor]


def bind(method: Method, task: Task, labels: Loss | None = None) -> Method:
    """The method with `Labels` and `Soft` terms replaced by those of the task; all else stays as it is.

    labels: what stands in the place of the labels' cross-entropy: smoothed, or with weights.

    Raises:
        UserError: the method asks for what this task has no term for; says what works.
    """

    if task.instead:
        for _, _, term in method.terms():
            _refuse_classes(method, term, task)

    def bound(terms: tuple[Term, ...]) -> tuple[Term, ...]:
        try:
            return tuple(each for term in terms for each in _own(term, method, task, labels))
        except UserError as error:
            raise UserError(f"method {method.name or 'given'!r}: {error}") from error

    stages = tuple(
        replace(stage, updates=tuple(replace(update, terms=bound(update.terms)) for update in stage.updates))
        for stage in method.stages
    )
    return method.but(stages=_taught(method, stages, task))


def _taught(method: Method, stages: tuple[Stage, ...], task: Task) -> tuple[Stage, ...]:
    """The stages without updates that labels alone would have taught, of a task whose labels teach nothing; those that are left
    share the budget.

    Raises `UserError` where nothing is left.
    """
    if not task.headless:
        return stages
    kept = [replace(stage, updates=tuple(update for update in stage.updates if update.terms)) for stage in stages]
    kept = [stage for stage in kept if stage.updates]
    if not kept:
        raise UserError(f"method {method.name or 'given'!r} learns from labels alone, which teach no encoder; use {task.method}")
    whole, rest = (sum(stage.share for stage in each) for each in (stages, kept))
    return tuple(stage if len(kept) == len(stages) else replace(stage, share=stage.share * whole / rest) for stage in kept)


def _own(term: Term, method: Method, task: Task, labels: Loss | None) -> Iterator[Term]:
    if isinstance(term, Labels):
        for each in task.label_terms(term):
            if labels is not None and each.by is not cross_entropy:
                raise UserError(f"label smoothing and class weights are for classes, not for {task.name}; leave them out")
            yield each if labels is None else Term(each.name, labels, weight=each.weight, mask=each.mask, **each.inputs)
    elif isinstance(term, Soft):
        yield from task.soft_terms(term)
    else:
        yield task.adapted(term, method.parts)


def _refuse_classes(method: Method, term: Term, task: Task) -> None:
    """Refuse a term of the method's own that reads probabilities of classes, where answers are none."""
    if isinstance(term, Labels | Soft):
        return
    if reads_classes(term):
        raise UserError(
            f"method {method.name or 'given'!r}: term {term.name!r} reads class probabilities, which the predictions of a task "
            f"of {task.name} are not; use {task.instead}"
        )
