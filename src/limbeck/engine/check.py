"""What is checked before the first step, on one probe batch: roles, taps, shapes, and that every term
reaches what its update trains."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from limbeck.engine.keep import changing
from limbeck.engine.step import evaluate_term, pieces, sources_of
from limbeck.errors import UserError, reason
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.actions import action_words
from limbeck.plan.copies import flags_kept, state_kept
from limbeck.plan.kinds import Batch
from limbeck.plan.observe import Scene, observe
from limbeck.plan.roles import Cast, count_of, in_evaluation
from limbeck.plan.taps import Field, Now, Source, leaves

Probe = Callable[[Update, Cast], Batch]


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
        device = cast.device
        with quiet(cast), torch.no_grad():
            scene = observe(cast, batch, part.like, now=method.stages[0].start())
            with _as_sentence(f"part {name!r} cannot be made", scene, part.like):
                probed = [scene(source) for source in part.like]
        with _as_sentence(f"part {name!r} cannot be made", scene, part.like):  # its weights are drawn: the random state moves on
            built = part.build(*probed, *(cast.fresh(path) for path in part.copies))
        cast.add(name, built.to(device))


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
    rehearsal = twin_for(method, cast) if any(stage.before for stage in method.stages) else cast
    for stage in method.stages:
        for action in stage.before:
            with _as_sentence(f"stage {stage.name!r}: {action_words(action)}: this cannot be done"):
                action(rehearsal, stage.start())
        names = [term.name for update in stage.updates for term in update.terms]
        for name in names:
            if names.count(name) > 1:
                raise UserError(
                    f"stage {stage.name!r} has {names.count(name)} terms called {name!r}; rename them so that names differ"
                )
        for update in stage.updates:
            _check_update(stage, update, rehearsal, probe, accumulate)


def twin_for(method: Method, cast: Cast) -> Cast:
    """The cast with copies of all roles that the method could change, to try it on.

    Raises `UserError` if one of them cannot be copied.
    """
    actions = [action for stage in method.stages for action in (*stage.before, *stage.after_step)]
    return cast.twin(set(cast) - changing(method) if all(hasattr(action, "role") for action in actions) else ())


def _check_update(stage: Stage, update: Update, cast: Cast, probe: Probe, accumulate: int) -> None:
    where = f"stage {stage.name!r}"
    sources, now = sources_of(update.terms), stage.start()
    if update.apply is not None:
        with quiet(cast), torch.no_grad(), _as_sentence(f"{where} failed on one batch"):
            observe(cast, probe(update, cast), sources, now=now)
        return
    trained = {path: cast.trainable((path,)) for path in update.trains}
    _need_parameters(where, update, cast, trained)
    wanted = [p for parameters in trained.values() for p in parameters]
    if update.optimizer is not None:
        with _as_sentence(f"{where}: the optimizer of {', '.join(update.trains)} cannot be made"):
            update.optimizer(wanted)
    reached: set[int] = set()
    with quiet(cast):
        batch = list(pieces(probe(update, cast), accumulate))[-1][0]
    with in_training(cast, stage.trains), only(cast, wanted), torch.enable_grad():
        with _as_sentence(f"{where}: a training step on {count_of(batch.get('labels'))} samples failed"):
            scene = observe(cast, batch, sources, learns=update.trains, now=now)
        for term in update.terms:
            reached |= _reach(f"{where}, term {term.name!r}", _value(term, scene), wanted, update.trains)
    for path, parameters in trained.items():
        if parameters and not any(id(p) in reached for p in parameters):
            raise UserError(
                f"{where} trains {path!r}, but no term of its update has a gradient to it; add a term or remove it from trains"
            )


def _need_parameters(where: str, update: Update, cast: Cast, trained: dict[str, list[nn.Parameter]]) -> None:
    """Refuse an update that has nothing to train, or a role of which the user froze everything."""
    for path, parameters in trained.items():
        if path in cast and not parameters and cast.as_given[path].frozen:
            raise UserError(
                f"{where} trains {path!r}, but every parameter of it is frozen (requires_grad = False); "
                "unfreeze what shall learn with requires_grad_(True), or take a method that does not train it"
            )
    if not any(trained.values()):
        names = ", ".join(update.trains)
        raise UserError(f"{where}: {names} has no parameters to train; name a role or part with parameters that are not frozen")


def _value(term: Term, scene: Scene) -> Tensor:
    with _as_sentence(f"term {term.name!r}: its inputs do not fit together", scene, term.sources):
        return evaluate_term(term, scene)[0]


@contextmanager
def _as_sentence(what: str, scene: Scene | None = None, sources: Iterable[Source] = ()) -> Iterator[None]:
    """Whatever fails inside, in code of the user's too, becomes one sentence: what, why, and what the sources gave."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if "more than 1 value per channel" in str(error):
            raise UserError(
                f"{what}: batch-norm cannot be trained on one sample at a time; set a larger batch (train.batch), or fewer "
                "micro-batches (train.accumulate)"
            ) from error
        found = {str(leaf): scene(leaf) for source in sources for leaf in leaves(source)} if scene is not None else {}
        given = ", ".join(f"{name} {_shape(value)}" for name, value in found.items())
        advice = "check taps and connectors" if given else "correct the model or the batch"
        raise UserError(f"{what} ({reason(error)}{'; ' + given if given else ''}); {advice}") from error


def _shape(value: object) -> str:
    """What a tap gave: a tensor's shape, or the kind of a value of several parts, of which a source takes one by [...]."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else f"is a {type(value).__name__}, take one part by [...]"


def _reach(who: str, value: Tensor, wanted: list[nn.Parameter], trains: tuple[str, ...]) -> set[int]:
    with _as_sentence(f"{who} has no gradient"):
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
def in_training(cast: Cast, paths: Iterable[str]) -> Iterator[None]:
    """As a stage that trains these paths has the cast; modes, gradients, state and chance come back to the bit."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), flags_kept([cast]), state_kept(cast):
        cast.prepare_training(paths)
        yield


@contextmanager
def quiet(cast: Cast) -> Iterator[None]:
    """Evaluation mode and the random states kept, so that a probe leaves no trace. Gradients of recurrent networks are had
    without cuDNN, which refuses them in evaluation mode."""
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices), in_evaluation(cast), torch.backends.cudnn.flags(enabled=not recurrent(cast)):
        yield


def recurrent(cast: Cast) -> bool:
    """Whether a role holds a recurrent layer whose gradient cuDNN may be asked for."""
    return torch.is_grad_enabled() and any(isinstance(part, nn.RNNBase) for part in cast.modules())
