"""What is checked before the first step, on one probe batch: roles, taps, shapes, and that every term
reaches what its update trains."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from limbeck.engine.step import evaluate_term, sources_of
from limbeck.errors import UserError
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.kinds import Batch
from limbeck.plan.observe import Scene, observe
from limbeck.plan.roles import Cast, in_evaluation
from limbeck.plan.taps import Field, Now, leaves

Probe = Callable[[Update, Cast], Batch]


def trained_parameters(cast: Cast, trains: tuple[str, ...]) -> list[nn.Parameter]:
    """The parameters below the given roles or sub-modules, once each, in order."""
    found: dict[int, nn.Parameter] = {}
    for path in trains:
        for module in cast.members(path):
            for parameter in module.parameters():
                found.setdefault(id(parameter), parameter)
    return list(found.values())


def need_roles(method: Method, cast: Cast) -> None:
    missing = [role for role in method.roles() if role not in cast]
    if missing:
        raise UserError(
            f"method {method.name or 'given'!r} needs the roles {', '.join(method.roles())}; "
            f"missing: {', '.join(missing)}; give a model for each"
        )


def build_parts(method: Method, cast: Cast, batch: Batch) -> None:
    """Make each learned part from a probe of the sources it joins, in the order of the declaration."""
    for name, part in method.parts.items():
        if name in cast:
            continue
        device = next((p.device for p in cast.parameters()), torch.device("cpu"))
        with quiet(cast), torch.no_grad():
            scene = observe(cast, batch, part.like, now=method.stages[0].start())
            probed = [scene(source) for source in part.like]
        cast.add(name, part.build(*probed, *(cast.fresh(path) for path in part.copies)).to(device))


def check(method: Method, cast: Cast, probe: Probe, accumulate: int = 1, processes: int = 1) -> None:
    """Refuse a plan that cannot work, before any step. `probe(update, cast) -> batch` draws a batch.

    Actions between stages are rehearsed on a copy, so that a mistake in the last stage shows now.
    """
    for _, update, term in method.terms():
        if (accumulate > 1 or processes > 1) and term.batchwise and update.apply is None:
            how = "gradient accumulation" if accumulate > 1 else "several processes"
            raise UserError(
                f"term {term.name!r} compares samples of a batch with each other, so {how} would change "
                "its value; use accumulate = 1 and one process, or a method without such a term"
            )
        if accumulate > 1 and term.mask is not None and not all(isinstance(x, Field | Now) for x in leaves(term.mask)):
            raise UserError(
                f"term {term.name!r}: its mask depends on a model, which does not work with accumulate > 1; set accumulate = 1"
            )
    if any(isinstance(leaf, Now) for leaf in leaves(method.deployed)):
        raise UserError("a deployed model has no training time; remove Now from `deploys`")
    rehearsal = copy.deepcopy(cast) if any(stage.before for stage in method.stages) else cast
    for stage in method.stages:
        for action in stage.before:
            action(rehearsal, stage.start())
        names = [term.name for update in stage.updates for term in update.terms]
        for name in names:
            if names.count(name) > 1:
                raise UserError(
                    f"stage {stage.name!r} has {names.count(name)} terms called {name!r}; rename them so that names differ"
                )
        for update in stage.updates:
            _check_update(stage, update, rehearsal, probe)


def _check_update(stage: Stage, update: Update, cast: Cast, probe: Probe) -> None:
    where = f"stage {stage.name!r}"
    trained = {path: trained_parameters(cast, (path,)) for path in update.trains}
    if update.apply is not None:
        with quiet(cast), torch.no_grad():
            observe(cast, probe(update, cast), sources_of(update.terms), now=stage.start())
        return
    wanted = [p for parameters in trained.values() for p in parameters]
    if not wanted:
        raise UserError(f"{where}: {', '.join(update.trains)} has no parameters to train; name a role or part with parameters")
    reached: set[int] = set()
    with only(cast, wanted), quiet(cast), torch.enable_grad():
        scene = observe(cast, probe(update, cast), sources_of(update.terms), learns=update.trains, now=stage.start())
        for term in update.terms:
            reached |= _reach(f"{where}, term {term.name!r}", _value(term, scene), wanted, update.trains)
    for path, parameters in trained.items():
        if parameters and not any(id(p) in reached for p in parameters):
            raise UserError(
                f"{where} trains {path!r}, but no term of its update has a gradient to it; add a term or remove it from trains"
            )


def _value(term: Term, scene: Scene) -> Tensor:
    try:
        return evaluate_term(term, scene)[0]
    except (RuntimeError, IndexError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        seen = {str(leaf): scene(leaf) for source in term.sources for leaf in leaves(source)}
        shapes = ", ".join(f"{name} {tuple(v.shape)}" for name, v in seen.items() if isinstance(v, Tensor))
        raise UserError(f"{term}: its inputs do not fit together ({reason}; {shapes}); check taps and connectors") from error


def _reach(who: str, value: Tensor, wanted: list[nn.Parameter], trains: tuple[str, ...]) -> set[int]:
    gradients = torch.autograd.grad(value, wanted, retain_graph=True, allow_unused=True) if value.requires_grad else ()
    hit = {id(p) for p, g in zip(wanted, gradients, strict=False) if g is not None}
    if not hit:
        raise UserError(
            f"{who} has no gradient to anything that its update trains ({', '.join(trains)}), so it would silently teach "
            "nothing; tap the student where a path leads to it, and detach only the teacher"
        )
    return hit


@contextmanager
def only(cast: Cast, wanted: list[nn.Parameter]) -> Iterator[None]:
    """These parameters, and no others, collect gradients."""
    flags = [(p, p.requires_grad) for p in cast.parameters()]
    for parameter, _ in flags:
        parameter.requires_grad_(False)
    for parameter in wanted:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


@contextmanager
def quiet(cast: Cast) -> Iterator[None]:
    """Evaluation mode and the random state kept, so that a probe leaves no trace."""
    random = torch.get_rng_state()
    try:
        with in_evaluation(cast):
            yield
    finally:
        torch.set_rng_state(random)
