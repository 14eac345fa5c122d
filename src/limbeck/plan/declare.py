"""A function of settings becomes a method of the catalogue: its name, paper, needs and place go with it."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import ParamSpec, Protocol, TypeGuard, cast

from limbeck.errors import UserError, unknown
from limbeck.plan.method import Method
from limbeck.plan.needs import Need, Stated
from limbeck.transforms.facts import one_of

P = ParamSpec("P")


class Declared(Protocol[P]):
    """A method of the catalogue: a function of its settings that returns the `Method`, and what is known of it."""

    __name__: str
    paper: str
    year: int

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Method: ...


def method(
    *, paper: str, year: int, serves: tuple[Need, ...] = (), taxonomy: Stated | None = None
) -> Callable[[Callable[P, Method]], Declared[P]]:
    """Mark a function as a method of the catalogue: the `Method` it returns knows its name, its
    arguments (defaults filled in) and its paper, so that a run can be stored as JSON and repeated.

    serves: needs that it is for and that cannot be computed from the declaration. taxonomy: what the author states of its
    place, instead of what is computed; shown as stated.
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
            made, arguments = fn(*bound.args, **bound.kwargs), dict(bound.arguments)
            named = replace(made, name=fn.__name__, arguments=arguments, paper=paper, year=year)
            return replace(named, serves=serves, stated=taxonomy or Stated())

        vars(declared).update(paper=paper, year=year)
        return cast("Declared[P]", declared)

    return decorate


def _need_numbers(name: str, arguments: Mapping[str, object]) -> None:
    """Refuse numbers that no method can compute with: infinite ones, and temperatures, which divide, that are not above 0."""
    for key, value in arguments.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not isfinite(number):
                raise UserError(f"method {name}: {key} must be a finite number, got {number}")
            if "temperature" in key and isinstance(number, int | float) and not number > 0:
                raise UserError(f"method {name}: {key} must be above 0, got {number}")


def is_declared(fn: object) -> TypeGuard[Declared[...]]:
    """Whether a function was marked as a method."""
    return inspect.isfunction(fn) and "paper" in vars(fn)
