"""A function of settings becomes a method of the catalogue: its name, paper, needs and place go with it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, ParamSpec, Protocol, TypeGuard, cast, get_type_hints

from pydantic import Field

from limbeck.errors import UserError, reason, unknown
from limbeck.plan.method import Method, Rule
from limbeck.plan.needs import Need, Stated
from limbeck.transforms.facts import one_of

P = ParamSpec("P")
LARGEST = 1e30  # well inside float32
Count = Annotated[int, Field(ge=1, le=1000)]
"""How many roles, stages or moments a method has: it makes each of them."""


class Declared(Protocol[P]):
    """A method of the catalogue: a function of its settings that returns the `Method`, and what is known of it."""

    __name__: str
    paper: str
    year: int

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Method: ...


def method(
    *,
    paper: str,
    year: int,
    serves: tuple[Need, ...] = (),
    taxonomy: Stated | None = None,
    by_classes: Mapping[str, Rule] | None = None,
    pull: float | None = None,
) -> Callable[[Callable[P, Method]], Declared[P]]:
    """Mark a function as a method of the catalogue: the `Method` it returns knows its name, its
    arguments (defaults filled in) and its paper, so that a run can be stored as JSON and repeated.

    serves: needs that it is for and that cannot be computed from the declaration. taxonomy: what the author states of its
    place, instead of what is computed; shown as stated. by_classes: settings that are None by default and follow the number of
    classes once data is known, each with its rule (`settled`). pull: the gradient of its lessons over that of the labels' term at
    the student, in the setting that its weights were found for; `python -m bench.pulls` measures it. Only for weights that mean
    something else with other networks: of layers, relations, norms (`train.balance`).
    """
    for need in serves:
        one_of("need", need, Need)
    for key in taxonomy or ():
        if key not in Stated.__annotations__:
            raise unknown("part of the taxonomy", key, Stated.__annotations__)

    def decorate(fn: Callable[P, Method]) -> Declared[P]:
        signature = inspect.signature(fn)

        @functools.wraps(fn)
        def declared(*args: P.args, **kwargs: P.kwargs) -> Method:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                wrong = next((k for k in kwargs if k not in signature.parameters), None)
                if wrong is None:
                    raise
                raise unknown(f"setting of method {fn.__name__}", wrong, signature.parameters) from None
            bound.apply_defaults()
            _need_numbers(fn.__name__, bound.arguments)
            arguments = dict(bound.arguments)
            try:
                made = fn(*bound.args, **bound.kwargs)
            except (ArithmeticError, LookupError, RuntimeError) as error:  # of numbers that it did not foresee
                raise UserError(f"method {fn.__name__} cannot be made with these settings ({reason(error)})") from error
            named = replace(made, name=fn.__name__, arguments=arguments, paper=paper, year=year)
            return replace(
                named, serves=serves, stated=taxonomy or Stated(), by_classes=by_classes or {}, pull=pull, declared=declared
            )

        vars(declared).update(paper=paper, year=year)
        return cast("Declared[P]", declared)

    return decorate


def settled(method: Method, classes: int) -> tuple[Method, list[str]]:
    """The method with what it leaves to the number of classes, and a sentence for each such setting."""
    open_ = {key: rule for key, rule in method.by_classes.items() if method.arguments.get(key) is None}
    if not open_ or method.declared is None:
        return method, []
    found = {key: rule(classes) for key, rule in open_.items()}
    words = [f"{method.name}: {key} = {value:g} for {classes} classes ({why})" for key, (value, why) in found.items()]
    return method.declared(**{**method.arguments, **{key: value for key, (value, _) in found.items()}}), words


def need_types(declared: Declared[...], arguments: Mapping[str, object]) -> None:
    """Refuse values that are not of the types that a method states; those that it does not have are left to the call."""
    from pydantic import TypeAdapter, ValidationError

    types = get_type_hints(inspect.unwrap(declared), include_extras=True)
    for key, value in arguments.items():
        try:
            TypeAdapter(types.get(key, object)).validate_python(value)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            said = f"{key} = {value!r} cannot be used: {why[0].lower()}{why[1:]}"
            raise UserError(f"method {declared.__name__}: {said}") from None


def _need_numbers(name: str, arguments: Mapping[str, object]) -> None:
    """Refuse numbers that float32 cannot compute with, and temperatures, which divide, that are not above 0."""
    for key, value in arguments.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not abs(number) <= LARGEST:
                raise UserError(f"method {name}: {key} must be a number within {LARGEST:g}, got {str(number)[:40]}")
            if "temperature" in key and isinstance(number, int | float) and not number > 0:
                raise UserError(f"method {name}: {key} must be above 0, got {number}")


def is_declared(fn: object) -> TypeGuard[Declared[...]]:
    """Whether a function was marked as a method."""
    return inspect.isfunction(fn) and "paper" in vars(fn)
