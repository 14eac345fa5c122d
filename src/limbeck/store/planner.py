"""A frozen teacher's answers are computed once: sources of frozen roles become stored fields where that pays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor, nn

from limbeck.data.streams import Streams
from limbeck.data.views import View
from limbeck.engine.check import quiet
from limbeck.engine.fold import fold
from limbeck.engine.state import BatchSource
from limbeck.errors import UserError
from limbeck.files import CannotWrite
from limbeck.plan import Method, Stage, Term
from limbeck.plan.kinds import Batch, Value
from limbeck.plan.observe import Scene, observe
from limbeck.plan.roles import Cast, role_of
from limbeck.plan.taps import Field, Source, Tap, Via, functions_of, leaves, modules_of
from limbeck.store.checking import ELSEWHERE, other_chance, repeats
from limbeck.store.filling import Filling, Stored
from limbeck.store.identity import code_of, identity
from limbeck.store.shelves import Key, Store, needed
from limbeck.store.thin import drawn, drawn_of, thin, top_of
from limbeck.transforms.facts import facts_of, plain

ALONE, AGAIN = 1e-3, 1e-5  # relative to the largest value: what half of a batch, and the same batch asked again, may change


@dataclass(frozen=True)
class Decision:
    """What was decided for one role in one stage, in words."""

    stage: str
    role: str
    stored: bool
    why: str

    def __str__(self) -> str:
        how = "is read from stored answers" if self.stored else "is asked at every step"
        return f"stage {self.stage}: {self.role} {how} ({self.why})"


@dataclass(frozen=True)
class Plan:
    """A method rewritten to stored fields, the batches that carry them, the decisions in words, and what runs in
    the place of frozen roles that are still run."""

    method: Method
    draw: BatchSource
    decisions: tuple[Decision, ...]
    stored: tuple[Stored, ...]
    stand_ins: Mapping[str, nn.Module] = field(default_factory=dict)


def frozen_roles(method: Method) -> set[str]:
    """Roles that nothing in the plan ever changes."""
    named = {leaf.role for source in method.sources() for leaf in leaves(source) if isinstance(leaf, Tap)}
    changed = {role_of(path) for stage in method.stages for path in stage.trains}
    changed |= {a.role for stage in method.stages for a in (*stage.before, *stage.after_step) if hasattr(a, "role")}
    return named - changed - set(method.parts)


def plan(
    method: Method,
    cast: Cast,
    streams: Streams,
    store: Store | None,
    *,
    form: str = "float32",
    top_k: int | None = None,
    draws: int | None = None,
    folds: bool = True,
    shared: "list[Filling] | None" = None,
    say: Callable[[str], None] = lambda text: None,
    tally: Path | None = None,
) -> Plan:
    """Rewrite what frozen roles are asked for to stored fields, per role and stage, where all of it fits.

    Only answers to replayable views of real partitions are stored: a view must repeat (`cycle`, or no
    augmentation). Results stay the same up to the storage form; float32 rounds nothing. A frozen role that is
    still run gets its batch-norms folded, which changes its answers by float32 rounding. store: None stores
    nothing. top_k: keep so many of a teacher's class probabilities, and their tail as one. draws: keep so many classes drawn
    from a teacher's probabilities, where they are stored. folds: False leaves
    the roles that are run as they are. shared: of runs that take turns; one forward then fills for all of them.
    tally: see `Filling`.
    """
    frozen = frozen_roles(method)
    if store is None:
        return Plan(method, streams, (), (), _folded(method, cast, streams, frozen) if folds else {})
    origins: dict[Term, Term] = {}
    if draws is not None:
        if draws > streams.data.outputs:
            raise UserError(f"store.draws = {draws}, but there are {streams.data.outputs:,} to draw from; draw fewer")
        method, origins = drawn(method, draws, frozen)
        if frozen and not origins:
            say(f"store.draws = {draws}: nothing is drawn, for no term is the plain KL from a frozen role's own logits")
    method = method if top_k is None else thin(method, top_k, frozen)
    repeating = cache(lambda name: repeats(streams.data[name]))
    shelves: dict[Source, Stored] = {}
    decisions: list[Decision] = []
    stages = []
    for stage in method.stages:
        swap: dict[Source, Field] = {}
        for role in sorted(frozen & _asked(stage)):
            found, why = _storable(stage, role, streams, repeating)
            if getattr(cast[role], "in_file", False):
                found, why = [], "its answers are in a file already"
            made = None
            if found:
                scene = _observed(found, cast, streams(("train",), 0))
                if not _each_alone(found, scene):
                    why = "its output for a sample depends on the other samples of the batch, or is random"
                else:
                    why = "its answers do not fit into the store's limit"
                    try:
                        made = _shelves(found, scene, _read(stage), streams, store, form, shelves)
                    except CannotWrite as error:
                        why = f"the store is full or read-only ({error})"
            text = why if not made else _size_text(made) + _kept_text(found, scene)
            decisions.append(Decision(stage.name, role, bool(made), text))
            for item in made or ():
                swap[item.source] = Field(item.field)
        stages.append(_rewritten(stage, swap, origins))
    rewritten = replace(method, stages=tuple(stages))
    needed_now = tuple(shelves.values())
    draw = Filling(streams, cast, needed_now, say, shared, tally) if needed_now else streams
    live = {decision.role for decision in decisions if folds and not decision.stored}
    return Plan(rewritten, draw, tuple(decisions), needed_now, _folded(rewritten, cast, streams, live))


def _folded(method: Method, cast: Cast, streams: Streams, roles: set[str]) -> dict[str, nn.Module]:
    """A stand-in with folded batch-norms for every role that is run and allows it."""
    taps = method.taps()
    found = {role: fold(cast, role, streams(("train",), 0), taps) for role in sorted(roles)} if roles else {}
    return {role: made.module for role, made in found.items() if made is not None}


def _asked(stage: Stage) -> set[str]:
    terms = (term for update in stage.updates for term in update.terms)
    return {leaf.role for term in terms for s in term.sources for leaf in leaves(s) if isinstance(leaf, Tap)}


def _read(stage: Stage) -> set[str]:
    return {name for update in stage.updates for name in update.partitions}


def _storable(stage: Stage, role: str, streams: Streams, repeating: Callable[[str], bool]) -> tuple[list[Source], str]:
    """The largest sub-sources of a role that can be stored; none, with the reason, if one of them cannot.

    repeating: whether the items of a partition are the same at each reading.
    """
    found: dict[Source, None] = {}
    for update in stage.updates:
        for term in update.terms:
            for source in term.sources:
                for part in _largest(source, role):
                    views = {leaf.on for leaf in leaves(part) if isinstance(leaf, Tap)}
                    if len(update.partitions) != 1 or len(views) != 1:
                        return [], "its inputs are generated or mixed during training"
                    if streams.cycle is None and any(streams.augments(view) for view in views):
                        return [], "every epoch has new views; set data.views = K to repeat K of them"
                    found[part] = None
        if found and not all(map(repeating, update.partitions)):
            return [], "the items of its data are not the same whenever they are read"
    return list(found), ""


def _largest(source: Source, role: str) -> list[Source]:
    """Maximal sub-sources that depend on this role alone, through functions only."""
    inside = list(leaves(source))
    if not any(isinstance(leaf, Tap) and leaf.role == role for leaf in inside):
        return []
    pure = all((isinstance(leaf, Tap) and leaf.role == role) or leaf == Field("index") for leaf in inside)
    pure = pure and not list(modules_of(source))
    pure = pure and not any(facts_of(fn).batchwise for fn in functions_of(source))
    if pure:
        return [source]
    assert isinstance(source, Via)
    return [part for inner in source.sources for part in _largest(inner, role)]


def _observed(sources: list[Source], cast: Cast, batch: Batch) -> Scene:
    with quiet(cast), torch.no_grad():
        return observe(cast, batch, sources)


def _each_alone(sources: list[Source], many: Scene) -> bool:
    """Whether a sample's values are the same in half of a batch, to rounding, and in the same batch asked again under another
    random state, nearly to the bit; only then can they be stored by sample."""
    count = len(many.batch["index"])
    half = count // 2 or count
    first = {key: _first(value, half, count) for key, value in many.batch.items()}
    asked = [source.sources[0] if _holds_numbers_of_classes(source) else source for source in sources]
    with other_chance(ELSEWHERE):
        few, again = _observed(asked, many.cast, first), _observed(asked, many.cast, many.batch)
    with torch.no_grad():
        alone = all(_close(many(source), few(source), half, ALONE) for source in asked)
        return alone and all(_close(many(source), again(source), count, AGAIN) for source in asked)


def _first(value: Value, half: int, count: int) -> Value:
    if isinstance(value, Mapping):
        return {key: _first(inner, half, count) for key, inner in value.items()}
    return value[:half] if isinstance(value, Tensor) and len(value) == count else value


def _close(many: object, few: object, count: int, room: float) -> bool:
    if not isinstance(many, Tensor) or not isinstance(few, Tensor):
        return True  # nothing that is stored; refused elsewhere
    if many.shape[1:] != few.shape[1:] or len(few) != count:
        return False
    same = many[:count].float()
    room = room if same.device.type == "cpu" else ALONE
    return torch.allclose(same, few.float(), rtol=room, atol=room * max(float(same.abs().max()), 1e-6), equal_nan=True)


def _shelves(
    sources: list[Source],
    scene: Scene,
    read: set[str],
    streams: Streams,
    store: Store,
    form: str,
    known: dict[Source, Stored],
) -> list[Stored] | None:
    """A shelf for each source; None, and nothing made, if one of them cannot be stored or all together do not fit.

    scene: the sources' values on one batch. read: the partitions whose samples are asked for.
    """
    rows = 1 + max(int(part.index.max()) for part in streams.data.partitions.values())
    used = len(torch.cat([streams.data[name].index for name in sorted(read)]).unique())
    with torch.no_grad():
        kept = [rawest(source, scene) for source in sources]
        values = [scene(source) for source in kept]
        whole = {raw for raw, source in zip(kept, sources, strict=True) if _integers(scene(source))}  # class numbers: exact
    if any(not isinstance(value, Tensor) or len(value) != len(scene.batch["index"]) for value in values):
        return None
    views, wanted = streams.cycle or 1, {}
    for source, value in zip(kept, values, strict=True):
        role, view = next((leaf.role, leaf.on) for leaf in leaves(source) if isinstance(leaf, Tap))
        exact = "float32" if source in whole or _holds_numbers_of_classes(source) else form
        if is_drawn(source):
            exact = "uint16" if streams.data.outputs <= 2**16 else "uint24"
        wanted[source] = (_key(source, role, view, scene.cast, streams, exact), tuple(value.shape[1:]), exact, view)
    grows = sum(store.grows(key, needed(shape, used, views, exact)) for key, shape, exact, _ in wanted.values())
    if grows and store.size() + grows > store.limit:
        return None
    made = {}
    for source, (key, shape, exact, view) in wanted.items():
        shelf = store.shelf(key, shape, rows, views, exact, used)
        if shelf is None:  # another process took the room meanwhile
            return None
        made[source] = Stored(source, f"stored {source}", shelf, view, needed(shape, used, views, exact))
    known.update(made)
    return list(made.values())


def _holds_numbers_of_classes(source: Source) -> TypeGuard[Via]:
    return isinstance(source, Via) and (plain(source.fn) is top_of or plain(source.fn) is drawn_of)


def is_drawn(source: Source) -> bool:
    """Whether a source is of classes drawn from answers."""
    return isinstance(source, Via) and plain(source.fn) is drawn_of


def _integers(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_floating_point()


def rawest(source: Source, scene: Scene) -> Source:
    """The innermost value on the way to a source that is no larger: methods that differ in what they do with a
    teacher's logits then share them."""
    while isinstance(source, Via) and len(source.sources) == 1:
        inner, value = source.sources[0], scene(source)
        raw = scene(inner)
        smaller = isinstance(raw, Tensor) and isinstance(value, Tensor) and raw.numel() > value.numel()
        if not isinstance(raw, Tensor) or (smaller and not _integers(value)):  # the store holds floats alone
            break
        source = inner
    return source


def _key(source: Source, role: str, view: str, cast: Cast, streams: Streams, form: str) -> Key:
    seen = streams.views.get(view, View())
    return Key(
        {
            "role": identity(cast, role),
            "source": str(source),
            "code": code_of(source),
            "view": f"{seen.named(view)!r}" if seen.ops else "as it is",
            "view_seed": streams.view_seed if seen.ops else 0,
            "data": streams.data.name,
            "fingerprint": streams.data.fingerprint,
            "layout": cast.adapter_of(role).channels_last,
            "form": form,
        }
        | ({} if streams.on is None or streams.on.type == "cpu" else {"device": streams.on.type})
    )


SURE = 0.9  # share of the probability that k classes should hold, before the rest may be one bucket


def _kept_text(sources: list[Source], scene: Scene) -> str:
    """How much of a teacher's probability its k likeliest classes hold, on one batch; "" where none are kept."""
    with torch.no_grad():
        held = [float(scene(s).chunk(2, -1)[1].sum(-1).mean()) for s in sources if isinstance(s, Via) and plain(s.fn) is top_of]
    if not held:
        return ""
    less = "; nothing orders the others, so store.draws teaches more" if min(held) < SURE else ""
    return f"; the classes kept hold {100 * min(held):.0f} % of its probability{less}"


def _size_text(made: list[Stored]) -> str:
    return f"{sum(item.bytes for item in made) / 2**20:.1f} MiB for {', '.join(str(item.source) for item in made)}"


def _rewritten(stage: Stage, swap: Mapping[Source, Field], origins: Mapping[Term, Term]) -> Stage:
    """The stage with stored fields; what was to be drawn and is not stored is compared in full."""
    if not swap and not origins:
        return stage
    updates = []
    for update in stage.updates:
        live = (origins[t] if t in origins and t.inputs["words"] not in swap else t for t in update.terms)
        terms = tuple(term.reading(swap) for term in live)
        updates.append(replace(update, terms=terms) if update.partitions else update)
    return replace(stage, updates=tuple(updates))
