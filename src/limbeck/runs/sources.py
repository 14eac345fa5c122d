"""What a run is made of: settings, data, method, the cast of roles, and what it shares with other runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from limbeck.data import Batches, Data, understood
from limbeck.data.streams import Streams
from limbeck.data.views import parse
from limbeck.data.views.seen import Whole
from limbeck.deploy.student import Deployed
from limbeck.engine import Fit, check
from limbeck.engine.keep import changing
from limbeck.errors import UserError
from limbeck.files.saved import folder_of, weights_in
from limbeck.models import encoders, load_weights, outside, zoo
from limbeck.models.answers import Answers
from limbeck.models.black_box import BlackBox, told
from limbeck.models.pretrained import of_transformers
from limbeck.plan import Method, Update
from limbeck.plan.copies import copied
from limbeck.plan.declare import settled
from limbeck.plan.kinds import Value
from limbeck.plan.roles import Adapter, Cast, Normalise
from limbeck.plan.taps import Tap, leaves
from limbeck.runs import starting, texts
from limbeck.runs.casting import (
    answers_read,
    check_output,
    check_places,
    few_in_parts,
    has_other_classes,
    learners,
    need_answers_only,
    settings_for,
)
from limbeck.runs.events import Download, Listener, Message, silent
from limbeck.runs.heads import Heads, find_heads
from limbeck.runs.other_tokens import told_in_part
from limbeck.runs.probing import answers, bears_channels_last, build_lazy, holds_whole, keeps_its_own, lazy
from limbeck.runs.recipes import read
from limbeck.runs.settings import ModelSettings, Recipe
from limbeck.runs.sharing import Apart
from limbeck.runs.supervised import at_once, label_loss
from limbeck.runs.texts import labelled, texted
from limbeck.store.planner import frozen_roles
from limbeck.tasks.bind import Loss, bind
from limbeck.tasks.figure import Judged
from limbeck.tasks.keeping import TWINS
from limbeck.tasks.next_token import NextToken
from limbeck.tasks.own_metric import own_figures
from limbeck.tasks.predictions import predict


@dataclass(frozen=True)
class Given:
    """What was handed over from Python instead of being built by name: modules and their adapters by role."""

    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    adapters: Mapping[str, Adapter] = field(default_factory=dict)

    def role(self, role: str, data: Data) -> tuple[nn.Module, Adapter]:
        found = self.adapters.get(role, Adapter())
        if found.logits is None and not isinstance(self.modules[role], BlackBox):
            found = replace(found, logits=data.task.finder(data.outputs, tuple(data.shape)))
        module = self.modules[role]
        if data.task.headless:
            module = encoders.pooled(module, image=data.kind == "image")
        if data.tokens is not None and found.prepare is None and not isinstance(module, BlackBox):
            return texted(role, "", module, found, data)
        return module, labelled(module, found, data)


@dataclass
class Sources:
    """Everything that a run reads; `open_sources` makes one.

    foreign: given roles whose answers are of another task, of which methods read layers only. contiguous: roles that do not bear
    images in channels-last memory. whole: roles that take whole numbers only (an embedding). notes: what a reader of the
    results needs to know of the models. labels: the loss of labels where it is not plain cross-entropy. heads: of language
    models, where their logits come from.
    """

    recipe: Recipe
    method: Method
    data: Data
    given: Given
    shared: Apart
    cast: Cast = field(default_factory=lambda: Cast({}))
    foreign: set[str] = field(default_factory=set)
    contiguous: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    labels: Loss | None = None
    heads: Heads = Heads({})

    def lean(self, method: Method, *, join: bool = True) -> Method:
        """The method as it is trained: language models without full logits (see `limbeck.runs.heads`)."""
        return self.heads.lean(method, join=join)

    def streams(self, method: Method | None = None) -> Streams:
        return self.recipe.streams(self.data, method or self.method, self.shared.streams)

    def fit(self, streams: Streams, role: str) -> Fit:
        """The budget of a role: the student's and the baseline's are the run's own."""
        own = None if role in ("student", *TWINS) else self.settings_for(role)
        seconds = self.recipe.checkpoint_seconds
        return self.recipe.train.fit(streams.steps_per_epoch, own=own, checkpoint_seconds=seconds)

    def settings_for(self, role: str) -> ModelSettings:
        return settings_for(role, self.method, self.recipe)

    def has_weights(self, role: str) -> bool:
        """Whether a role came trained: from Python, with a file of weights, or as a folder of a fine-tuned network, unless its
        epochs or learning rate say that it is to be trained all the same."""
        own = self.settings_for(role)
        asked = own.epochs is not None or own.lr is not None
        fine_tuned = role in self.cast and outside.came_trained(self.cast[role]) and not asked
        return role in self.given.modules or own.weights is not None or fine_tuned

    def untrained(self) -> list[str]:
        """Roles that the method does not train and that have no weights yet: they learn from the labels first."""
        return [role for role in self.cast if role not in learners(self.method) and not self.has_weights(role)]

    def learning(self) -> set[str]:
        """The roles that this run trains: those of the method, and those that are trained first."""
        return learners(self.method) | set(self.untrained())

    @property
    def starts(self) -> bool:
        """Whether the student starts from its teacher."""
        return self.recipe.student.start == "teacher"

    def role(self, role: str) -> tuple[nn.Module, Adapter]:
        """Its module and adapter; one that takes whole numbers only gets them as they are."""
        module, adapter = self._role(role)
        theirs = self.given.adapters.get("teacher", Adapter()).prepare
        if role == "student" and self.starts and adapter.prepare is None and isinstance(theirs, Normalise):
            adapter = replace(adapter, prepare=theirs)  # inputs on the scale that its layers know
        return module, replace(adapter, prepare=Whole()) if role in self.whole else adapter

    def _role(self, role: str) -> tuple[nn.Module, Adapter]:
        if role in self.given.modules:
            return self.given.role(role, self.data)
        settings = self.settings_for(role)
        build = partial(settings.build, role, self.data, self.recipe.seed)
        folder = folder_of(settings.model)
        file = settings.answers is not None or settings.served or settings.model.endswith(".onnx")
        own = file or (folder is not None and weights_in(folder) != "")
        alike = settings.weights is not None or own  # whatever the run's seed
        if alike and role in frozen_roles(self.method):
            return self.shared.role(role, settings, build)
        return build()

    def twin_of_student(self) -> Cast:
        """The student's own architecture and initial weights, in a cast of its own: the supervised baseline.

        Raises `UserError` if it was given from Python and can be neither copied nor made again.
        """
        module, adapter = self.role("student")
        if "student" in self.given.modules:
            module = twin_of(module, adapter, "the student")
        twin = Cast({})
        twin.add("student", module, adapter, self.cast.as_given.get("student"))
        return self.laid_out(twin)

    def laid_out(self, cast: Cast) -> Cast:
        if self.channels_last:
            cast.lay_out(role for role in cast if role not in self.contiguous)
        return cast

    @property
    def channels_last(self) -> bool:
        """Whether images are to be in that memory layout, for roles that bear it."""
        layout, shape = self.recipe.train.layout, self.data.shape
        return layout == "channels_last" or (layout == "auto" and len(shape) == 3 and min(shape[1:]) >= 16)

    def make_contiguous(self) -> bool:
        """Give up channels-last memory for all roles; False if none had it."""
        if not any(self.cast.adapter_of(role).channels_last for role in self.cast):
            return False
        self.contiguous |= set(self.cast)
        self.cast.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        for role, adapter in self.cast.adapters.items():
            self.cast.adapters[role] = replace(adapter, channels_last=False)
        return True

    def built_in(self, role: str) -> bool:
        """Whether a role is one of our own networks, which are known to work."""
        return role not in self.given.modules and zoo.factory(self.settings_for(role).model) is not None

    def judges(self, role: str) -> bool:
        """Whether a role is there and its answers are of this task."""
        if role not in self.cast or self.other_classes(role):
            return False
        module = self.cast[role]
        return not isinstance(module, Answers) or bool(module.has(self.data.judged.index).all())

    def other_classes(self, role: str) -> bool:
        if role in self.given.modules:
            return role in self.foreign
        return has_other_classes(role, self.settings_for(role), self.method, self.data)

    def filled(self, method: Method, cast: Cast, weights: Path) -> Cast:
        """Make what a method adds to a cast, then load the weights that its training left."""
        check.build_parts(method, cast, self.streams(method)(("train",), 0) if method.parts else {})
        for index, stage in enumerate(method.stages):
            for action in stage.before:
                action(cast, stage.start(seed=self.recipe.seed + index))
        load_weights(cast, weights, who="run")
        return cast


def twin_of(module: nn.Module, adapter: Adapter, who: str) -> nn.Module:
    """A copy of a module; out of its factory, with the same weights, where it cannot be copied."""
    try:
        return copied(module, who)
    except UserError:
        if adapter.factory is None:
            raise
    twin = adapter.factory()
    twin.load_state_dict(module.state_dict())
    return twin


def open_sources(
    recipe: Recipe,
    *,
    method: Method | None = None,
    data: Data | None = None,
    given: Given | None = None,
    shared: Apart | None = None,
    listen: Listener = silent,
) -> Sources:
    """Load the data, make the method and cast its roles; each role answers one batch, so that what cannot work is refused.

    Args:
        method, data, given: in place of what the recipe names. shared: what runs of a comparison have in common.

    Raises `UserError` saying what cannot be used.
    """
    sharing = shared or Apart()
    if data is None:
        load = partial(recipe.data.load, lambda file, done, total: listen(Download(file, done, total)))
        data = sharing.data(recipe.data, load)
    listen(Message(understood(data)))
    labels = label_loss(recipe.train, data)
    made, settings = settled(method or recipe.method.make(), len(data.classes))
    settings = [f"auto: {recipe.method.why}", *settings] if recipe.method.why else settings
    sources = Sources(recipe, _bound(made, data, labels), data, given or Given(), sharing, notes=settings, labels=labels)
    _cast(sources)
    sources.method = at_once(_fed(sources), sources.cast)
    sources.notes += [recipe.followed] if recipe.followed else []
    if data.task.name == NextToken.name:
        sources.method = told_in_part(sources.method, sources.cast)
        batch = next(Batches(data["train"], data, size=1, seed=0).ordered())
        sources.heads = find_heads(sources.cast, batch, data.outputs)
        sources.notes += [
            *sources.heads.notes,
            *(note for role in sources.cast for note in texts.borders(sources.cast, role, data)),
        ]
    sources.data = acquainted(sources)
    _try_metrics(sources)
    return sources


def _bound(method: Method, data: Data, labels: Loss | None) -> Method:
    """The method bound to the data's task; the supervised baseline of a comparison as the task has it.

    Raises `UserError` where the method asks for what the task has no term for, or there are no labels to learn from.
    """
    if not data.task.headless or method.name != "alone":
        return bind(method, data.task, labels)
    own = data.task.alone("student")
    if own is None:
        raise UserError(f"{data.name} has no labels, so no supervised baseline can be trained; use {data.task.method}")
    return own


def _try_metrics(sources: Sources) -> None:
    """Ask metrics of the user's own about a few answers, so that one that fails is refused before anything is trained."""
    data, found = sources.data, own_figures(sources.data.task)
    role = next((one for one in ("student", "teacher") if sources.judges(one)), "")
    if not found or not role or data.judged.labels is None:
        return
    few = next(Batches(data.judged, data, size=min(64, data.task.at_once(data.shape)), seed=0).ordered())
    seen = predict(Deployed(sources.cast, Tap(role)).eval(), [few], data.task)
    for metric in found:
        metric.asked(Judged(data.task, seen, data.classes))


def acquainted(sources: Sources) -> Data:
    """The data, whose task knows the teacher's answers to the parts that models are measured on, where it asks for them.

    Raises `UserError` for an encoder that would have to be trained first: there is nothing that it could learn from.
    """
    data = sources.data
    if not data.task.headless:
        return data
    first = sources.untrained()
    if first or not sources.judges("teacher"):
        who = first[0] if first else "teacher"
        raise UserError(
            f"the {who} has no weights, and no labels train an encoder here; give them with --{who}-weights, or a trained folder"
        )
    teacher = Deployed(sources.cast, Tap("teacher")).eval()
    names = [name for name in ("validation", "test") if name in data.partitions]
    parts = [Batches(data[name], data, size=data.task.at_once(data.shape), seed=0).ordered() for name in names]
    return replace(data, task=data.task.met([predict(teacher, part, data.task) for part in parts]))


def _fed(sources: Sources) -> Method:
    """The method, with answers of files read by sample number.

    Raises `UserError` where it asks about samples that no file can know.
    """
    method, data, cast = sources.method, sources.data, sources.cast
    for role in [role for role in cast if cast.fed(role) != "inputs"]:
        name = cast[role].name
        reads = [(update, tap) for _, update in method.updates() for tap in _taps(update) if tap.role == role]
        if any(not update.partitions for update, _ in reads):
            raise UserError(f"method {method.name!r} makes samples of its own, to which {name} has no answers; give a network")
        views = {tap.on: sources.streams(method).views[tap.on] for _, tap in reads}
        if any(view.mixes for view in views.values()):
            raise UserError(
                f"mixed samples are others than those that {name} answers; remove mixup and the like from data.augment"
            )
        method = method.fed(role, cast.fed(role))
        part = data.judged
        if not sources.judges(role):
            sources.notes.append(f"{name} has no answers to all of the {part.name} part, so the {role} is not measured there")
    return method


def _taps(update: Update) -> list[Tap]:
    return [leaf for term in update.terms for source in term.sources for leaf in leaves(source) if isinstance(leaf, Tap)]


def _cast(sources: Sources) -> None:
    method, data, cast = sources.method, sources.data, sources.cast
    check_places(method, data)
    names = list(method.roles())
    if "teacher" not in names and (sources.starts or sources.has_weights("teacher")):
        names.append("teacher")
    for role in names:
        cast.add(role, *sources.role(role))
    batch = next(Batches(data["train"], data, size=2, seed=0).ordered())
    changed = changing(method) & set(cast)
    if holds_whole(data):
        _find_whole(sources, batch["inputs"])
    for role in cast:
        build_lazy(cast, role, batch["inputs"], sources.recipe.seed)
    sources.notes += [*few_in_parts(data), *keeps_its_own(cast, changed), *_unscaled(sources)]
    for role in cast:
        own = sources.settings_for(role).classes if sources.other_classes(role) else None
        try:
            check_output(cast, role, batch, data, own)
        except UserError:
            if role not in sources.given.modules or role in learners(method) or answers_read(role, method):
                raise
            sources.foreign.add(role)  # made for another task: only its layers count
        sources.notes += told(role, cast[role])
        if role not in sources.foreign and own is None:
            own_way = sources.settings_for(role)
            learns = role in learners(method) or own_way.epochs is not None or own_way.lr is not None
            sources.notes += texts.told(role, own_way.model, cast[role], data, learns=learns)
            sources.notes += encoders.told(role, cast[role])
        need_answers_only(role, cast[role], method)
    for role in cast if sources.channels_last else ():
        if not sources.built_in(role) and not bears_channels_last(cast, role, batch["inputs"], trains=role in changed):
            sources.contiguous.add(role)
    sources.laid_out(cast)
    sources.notes += starting.told(sources)


UNEVEN = 100  # times that columns' standard deviations may differ, before networks hardly learn


def _unscaled(sources: Sources) -> list[str]:
    """What to say of networks from Python that get a table's columns as they are, where these are of very different sizes."""
    std, names = sources.data.std, []
    if sources.data.kind != "table" or not std or max(std) < UNEVEN * min(std):
        return []
    for role, module in sources.given.modules.items():
        if role in sources.cast and sources.cast.adapter_of(role).prepare is None and not isinstance(module, BlackBox):
            names.append(role)
    how = f"standard deviations of {min(std):.2g} to {max(std):.2g}"
    advice = "give adapters={name: Adapter(prepare=Normalise(data.mean, data.std))} where it does not scale them itself"
    return [f"{' and '.join(names)}: gets the columns unscaled, with {how}; {advice}"] if names else []


def _find_whole(sources: Sources, inputs: Value) -> None:
    """Which roles take whole numbers only: they fail with floats as they would be prepared, and answer to int64."""
    cast = sources.cast
    for role in cast:
        own = cast.adapter_of(role)
        given = own.prepare is not None and (role in sources.given.modules or not isinstance(own.prepare, Normalise))
        if not given and not lazy(cast[role]) and not answers(cast, role, inputs):
            cast.adapters[role] = replace(own, prepare=Whole())
            if answers(cast, role, inputs):
                sources.whole.add(role)
                if of_transformers(cast[role]):
                    sources.notes.append(f"{role} gets whole numbers as ids of tokens without a mask: all places count as text")
                _need_whole(role, sources.recipe.data.augment)
            else:
                cast.adapters[role] = own


def _need_whole(role: str, augment: str) -> None:
    changing_it = next((op for op in parse(augment).ops if not op.raw), None)
    if changing_it is not None:
        raise UserError(f"role {role!r} takes whole numbers only, which {changing_it} in data.augment would change; leave it out")


def reopened(folder: Path, trust: bool = False) -> Sources:
    """The sources of a finished run, its cast with the weights that the training left: student, teacher, whatever helped.

    trust: let models that the folder names run their code.

    Raises `UserError` if the folder has no finished run, or a role was given from Python.
    """
    weights = folder / "weights" / "student.safetensors"
    if not (folder / "recipe.toml").exists() or not weights.exists():
        raise UserError(
            f"{folder} has no finished run (recipe.toml and weights/student.safetensors); give the folder of a finished run"
        )
    recipe = read(folder, trust=trust)
    given = [s.model for s in (recipe.teacher, recipe.student, *recipe.roles.values()) if s.model.startswith("python object")]
    if given:
        raise UserError(f"a role of {folder} was given as a {given[0]}, which cannot be rebuilt by name; name a factory instead")
    sources = open_sources(recipe)
    sources.filled(sources.method, sources.cast, weights).eval()
    return sources
