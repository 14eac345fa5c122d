"""Weights handed down: layers of one role become the start of another's."""

from dataclasses import dataclass

from limbeck.errors import UserError
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress


@dataclass(frozen=True)
class Inherit:
    """Layers of a role start with the weights of layers of another: pairs (its own path, the other's path)."""

    role: str
    of: str
    layers: tuple[tuple[str, str], ...]

    def __call__(self, cast: Cast, now: Progress) -> None:
        for mine, theirs in self.layers:
            learner, mentor = cast.find(f"{self.role}.{mine}"), cast.find(f"{self.of}.{theirs}")
            try:
                learner.load_state_dict(mentor.state_dict())
            except RuntimeError as error:
                what = str(error).splitlines()[-1].strip()
                pair = f"{self.role}.{mine} cannot start as {self.of}.{theirs}"
                raise UserError(f"{pair}: {what}; give layers of equal shape") from None


__all__ = ["Inherit"]
