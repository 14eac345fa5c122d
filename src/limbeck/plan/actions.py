"""What is done to the cast between stages or steps: roles made, copied, started again, averaged."""

from dataclasses import dataclass
from inspect import isfunction

import torch

from limbeck.errors import UserError
from limbeck.plan.copies import AsGiven, copied
from limbeck.plan.roles import Cast, restarted
from limbeck.plan.schedules import InWords, Progress
from limbeck.transforms.facts import call_text, plain


@dataclass(frozen=True)
class Promote:
    """A role becomes a frozen copy of another: the student of one generation teaches the next."""

    role: str
    source: str

    def __call__(self, cast: Cast, now: Progress) -> None:
        twin = copied(cast.find(self.source), f"role {self.source!r}").requires_grad_(False)
        for parameter in twin.parameters():
            parameter.grad = None
        cast.add(self.role, twin, cast.adapters.get(self.source), cast.as_given.get(self.source, AsGiven()))

    def words(self) -> str:
        return f"{self.role} becomes a frozen copy of {self.source}"


@dataclass(frozen=True)
class Reinit:
    """A role restarts from random weights (drawn from the run's seed and the stage); what came frozen stays as it is."""

    role: str

    def __call__(self, cast: Cast, now: Progress) -> None:
        module, factory = cast.find(self.role), cast.adapter_of(self.role).factory
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(now.seed)
            if factory is not None:
                module.load_state_dict(factory().state_dict())
                return
            for name, part in module.named_modules():
                if any(True for _ in part.parameters(recurse=False)) and not hasattr(part, "reset_parameters"):
                    raise UserError(
                        f"role {self.role!r} cannot be re-initialised: layer {name or 'itself'!r} "
                        f"({type(part).__name__}) has no reset_parameters; pass Adapter(factory=...)"
                    )
            with cast.as_given[self.role].unchanged(module):
                restarted(module)

    def words(self) -> str:
        return f"{self.role} restarts from random weights"


@dataclass(frozen=True)
class Follow:
    """A role is the moving average of another: `role = decay * role + (1 - decay) * source`.

    With `warm_up` the decay of step k is `min(decay, k / (k + 1))`, a true mean at first (Tarvainen &
    Valpola 2017, appendix and authors' code). Integer buffers are copied.
    """

    role: str
    source: str
    decay: float = 0.99
    warm_up: bool = True

    def __call__(self, cast: Cast, now: Progress) -> None:
        decay = min(self.decay, now.step / (now.step + 1)) if self.warm_up else self.decay
        with torch.no_grad():
            mine, theirs = cast.find(self.role).state_dict(), cast.find(self.source).state_dict()
            for key, value in mine.items():
                if value.is_floating_point():
                    value.lerp_(theirs[key], 1 - decay)
                else:
                    value.copy_(theirs[key])

    def words(self) -> str:
        return f"{self.role} follows {self.source} as its moving average (decay {self.decay:g})"


@dataclass(frozen=True)
class Snapshot:
    """After the given parts of a stage, a role takes the weights that another has by then.

    The role must exist from the stage's start (`Promote` makes it), so that a checkpoint has one shape.
    at: fractions of the stage, above 0 and up to 1.
    """

    role: str
    source: str
    at: tuple[float, ...]

    def __call__(self, cast: Cast, now: Progress) -> None:
        if now.step + 1 in {max(1, round(part * now.steps)) for part in self.at}:
            cast.find(self.role).load_state_dict(cast.find(self.source).state_dict())

    def words(self) -> str:
        return f"{self.role} takes {self.source}'s weights after {', '.join(f'{part:.0%}' for part in self.at)} of the stage"


@dataclass(frozen=True)
class Adopt:
    """A role takes the weights of that one of several roles which the part `by` chooses (its `index`), when it has changed."""

    role: str
    of: tuple[str, ...]
    by: str

    def __call__(self, cast: Cast, now: Progress) -> None:
        choice = dict(cast.find(self.by).named_buffers())
        if int(choice["taken"]) != int(choice["index"]):
            cast.find(self.role).load_state_dict(cast.find(self.of[int(choice["index"])]).state_dict())
            choice["taken"].copy_(choice["index"])

    def words(self) -> str:
        return f"{self.role} is the one of {self.of[0]} to {self.of[-1]} chosen by {self.by}"


def action_words(action: object) -> str:
    """An action on the cast as a sentence without its full stop; one of one's own may describe itself in `words()`.

    >>> action_words(Promote("teacher", "student"))
    'teacher becomes a frozen copy of student'
    """
    return action.words() if isinstance(action, InWords) else action_text(action)


def action_text(action: object) -> str:
    """An action as it is declared: with its settings, a function by its name."""
    return call_text(action) if isfunction(plain(action)) else str(action)
