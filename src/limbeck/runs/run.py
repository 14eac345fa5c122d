"""A run and its folder: teacher, baseline and student trained, measured once on test, exported, shown."""

import json
import shlex
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from limbeck import engine, models, processes
from limbeck.data import Batches, Data, load
from limbeck.data.streams import Streams
from limbeck.deploy.student import Deployed, used
from limbeck.engine import Fit, Trained
from limbeck.engine.balance import balance, too_loud
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.files import write_json
from limbeck.plan import Method
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.taps import Tap
from limbeck.runs.casting import (
    answers_read,
    build_role,
    check_answer,
    check_places,
    has_other_classes,
    learners,
    method_of,
    rebuild_facts,
    settings_for,
)
from limbeck.runs.folder import add_to_curve, keep_curve, write_settings
from limbeck.runs.phase import at_once, load_phase, supervised, validator
from limbeck.runs.settings import Recipe
from limbeck.runs.together import Together
from limbeck.store.estimate import estimate
from limbeck.store.planner import Plan, frozen_roles, plan
from limbeck.store.shelves import Store
from limbeck.tasks.bind import bind
from limbeck.tasks.predictions import Predictions

Listener = Callable[[str, Mapping[str, Any]], None]


@dataclass
class Run:
    """One run: its settings, what was given instead of being built, and where it goes.

    given: modules that play a role as they are, by role. listen(kind, facts) hears "say", "phase",
    "stage", "step" and "epoch" events.
    """

    recipe: Recipe
    folder: Path
    method: Method | None = None
    data: Data | None = None
    given: Mapping[str, nn.Module] = field(default_factory=dict)
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    listen: Listener = lambda kind, facts: None
    notes: list[str] = field(default_factory=list)
    deployed: Deployed | None = None
    cast: Cast | None = None  # everyone as they were left, once the run is done
    together: Together | None = None
    said: dict[Any, Predictions] = field(default_factory=dict)  # a teacher's answers on test, of earlier runs
    foreign: set[str] = field(default_factory=set)  # given roles whose answers are of another task

    def go(self) -> dict[str, Any]:
        """Do the run, or what is left of it, and return its card ({} in a process that only helps to train)."""
        return last(self.steps())

    def steps(self) -> Generator[None, None, dict[str, Any]]:
        """The run, stopping after every training step, so that several can take turns (`together`)."""
        declared = self.method or method_of(self.recipe.method.model_dump())
        self.data = data = self.data or self.load_data()
        self.say_all(data.notes)
        method = bind(declared, data.task)
        self.cast = cast = self.make_cast(method, data)
        method = at_once(method, cast)
        judged = "teacher" in cast and not self._other_classes("teacher", method, data)  # one that the method makes comes later
        streams = self.streams(data, method)
        engine.rehearse(method, cast, streams, self.fit(streams, "student", method), device=self._device)
        write_settings(self.folder, self.recipe, method)
        phases: dict[str, Trained] = {}
        for role in [r for r in cast if r not in learners(method) and not self.has_weights(r, method)]:
            phases[role] = yield from self._phase(role, supervised(data.task, cast, role), cast, data)
        baseline = (yield from self._baseline(method, data, phases)) if self.recipe.baseline else None
        phases["student"] = yield from self._phase("student", method, cast, data)
        student = self.deployed = Deployed(cast, method.deployed)
        if not processes.first():
            return {}
        entries = {"teacher": Deployed(cast, Tap("teacher")) if judged else None}
        entries |= {"baseline": baseline, "student": student}
        facts = rebuild_facts(cast, method, self.recipe, used(method.deployed))
        from limbeck.cards.build import finish  # evaluation, export and report: only once training is done

        return finish(self, method, data, {k: v for k, v in entries.items() if v is not None}, phases, facts)

    def learning(self, prepare: Callable[[Cast], None]) -> Generator[None, None, Trained]:
        """Train the student alone, measured on validation only, for a search; `go` finishes the run afterwards.

        prepare: what is done to the cast before the first step.
        """
        declared = self.method or method_of(self.recipe.method.model_dump())
        self.data = data = self.data or self.load_data()
        method = bind(declared, data.task)
        self.cast = cast = self.make_cast(method, data)
        method = at_once(method, cast)
        prepare(cast)
        streams = self.streams(data, method)
        engine.rehearse(method, cast, streams, self.fit(streams, "student", method), device=self._device)
        write_settings(self.folder, self.recipe, method)
        return (yield from self._phase("student", method, cast, data))

    # ---------------------------------------------------------------- parts of a run

    def load_data(self) -> Data:
        if self.together is not None:
            return self.together.data(self.recipe.data, self._load_data)
        return self._load_data()

    def _load_data(self) -> Data:
        d = self.recipe.data
        return load(
            d.name,
            path=d.path,
            validation=d.validation,
            test=d.test,
            labelled=d.labelled,
            limit=d.limit,
            split_seed=d.split_seed,
            size=d.size,
            tile=d.tile,
            void=d.void,
            download=d.download,
            arguments=d.arguments,
            on_progress=lambda *facts: self.listen("download", {"facts": facts}),
        )

    def make_cast(self, method: Method, data: Data) -> Cast:
        check_places(method, data)
        cast = Cast({})
        names = list(method.roles())
        if "teacher" not in names and self.has_weights("teacher", method):
            names.append("teacher")
        for role in names:
            module, adapter = self._role(role, method, data)
            cast.add(role, module, adapter)
        batch = next(Batches(data["train"], data, size=2, seed=0).ordered())
        self._lay_out(cast, data)
        for role in cast:
            own = settings_for(role, method, self.recipe).classes if self._other_classes(role, method, data) else None
            try:
                check_answer(cast, role, batch, data, own)
            except UserError:
                if role not in self.given or role in learners(method) or answers_read(role, method):
                    raise
                self.foreign.add(role)  # made for another task: only its layers count
        return cast

    def _other_classes(self, role: str, method: Method, data: Data) -> bool:
        if role in self.given:
            return role in self.foreign
        return has_other_classes(role, settings_for(role, method, self.recipe), method, data)

    def _lay_out(self, cast: Cast, data: Data) -> None:
        layout = self.recipe.train.layout
        if layout == "channels_last" or (layout == "auto" and len(data.shape) == 3 and min(data.shape[1:]) >= 16):
            cast.lay_out()

    def _role(self, role: str, method: Method, data: Data) -> tuple[nn.Module, Adapter]:
        if role in self.given:
            found = self.adapters.get(role, Adapter())
            if found.logits is None:
                found = replace(found, logits=data.task.finder(len(data.classes), tuple(data.shape)))
            return self.given[role], found
        settings = settings_for(role, method, self.recipe)
        if self.together is not None and settings.weights is not None and role in frozen_roles(method):
            return self.together.role(role, settings, partial(build_role, role, settings, data, self.recipe.seed))
        return build_role(role, settings, data, self.recipe.seed)

    def agreed(self, ask: Callable[[], bool]) -> bool:
        return processes.agreed(ask, cpu=self._device == "cpu")

    @property
    def _device(self) -> str | None:
        return None if self.recipe.device == "auto" else self.recipe.device

    def has_weights(self, role: str, method: Method) -> bool:
        return role in self.given or settings_for(role, method, self.recipe).weights is not None

    def streams(self, data: Data, method: Method) -> Streams:
        make = Streams if self.together is None else self.together.streams
        return make(
            data,
            size=self.recipe.train.batch,
            seed=self.recipe.seed,
            augment=self.recipe.data.augment,
            views=method.views,
            cycle=self.recipe.data.views,
            workers=self.recipe.data.workers,
        )

    def fit(self, streams: Streams, role: str, method: Method) -> Fit:
        t = self.recipe.train
        own = settings_for(role, method, self.recipe) if role not in ("student", "baseline") else None
        epochs = (own.epochs if own else None) or t.epochs
        per_epoch = streams.steps_per_epoch
        return Fit(
            steps=max(1, round(epochs * per_epoch)),
            steps_per_epoch=per_epoch,
            lr=(own.lr if own else None) or t.lr,
            checkpoint_seconds=self.recipe.checkpoint_seconds,
            **t.model_dump(include={f.name for f in fields(Fit)} - {"steps", "steps_per_epoch", "lr", "checkpoint_seconds"}),
        )

    def _phase(self, who: str, method: Method, cast: Cast, data: Data) -> Generator[None, None, Trained]:
        """Train one method, unless an earlier go at this run has: then load what it left."""
        weights, facts = self.folder / "weights" / f"{who}.safetensors", self.folder / "weights" / f"{who}.json"
        streams = self.streams(data, method)
        fit = self.fit(streams, who, method)
        if self.agreed(facts.exists):
            trained = Trained(**json.loads(facts.read_text(encoding="utf-8")))
            load_phase(method, cast, streams, weights, self.recipe.seed)
            self.listen("say", {"text": f"{who}: already trained"})
            return trained
        self.listen("phase", {"who": who, "steps": sum(fit.stage_steps(method.stages))})
        keep_curve(self.folder, who, [])  # of an unfinished go; the engine tells what its checkpoint knows
        planned = self._plan(method, cast, streams)
        if who == "student" and self.together is None and not processes.several():
            for stage in estimate(method, cast, streams, planned, fit):
                self.listen("say", {"text": str(stage)})
            self.say_all(too_loud(balance(method, cast, streams, fit, device=self._device)))
        if self.together is not None:
            yield  # the others plan too, so that one forward of a teacher can fill the store for all
        cast.stand_ins = dict(planned.stand_ins)
        trained = yield from engine.training(
            planned.method,
            cast,
            planned.draw,
            fit,
            seed=self.recipe.seed,
            folder=self.folder / "checkpoints" / who,
            listen=lambda kind, event: self._hear(who, kind, event),
            validate=validator(method, data),
            device=self._device,
            heard=self.together.heard if self.together else None,
        )
        cast.stand_ins.clear()
        if processes.first():
            models.save_weights(cast, weights)
            write_json(facts, vars(trained))
            for old in (self.folder / "checkpoints" / who).glob("*"):
                old.unlink()
        return trained

    def _plan(self, method: Method, cast: Cast, streams: Streams) -> Plan:
        """What frozen roles say is read from the store where it fits; said in words."""
        settings = self.recipe.store
        store = Store(None if settings.path is None else Path(settings.path), limit=int(settings.limit_gb * 2**30))
        planned = plan(
            method,
            cast,
            streams,
            store if settings.use else None,
            form=settings.form,
            top_k=settings.top_k,
            folds=self.together is None,
            shared=self.together.fillings if self.together else None,
            say=lambda text: self.listen("say", {"text": text}),
        )
        for decision in planned.decisions:
            self.listen("say", {"text": str(decision)})
        return planned

    def _baseline(self, method: Method, data: Data, phases: dict[str, Trained]) -> Generator[None, None, Deployed]:
        """The student's own architecture and initial weights, trained on the labels alone."""
        module, adapter = self._role("student", method, data)
        if "student" in self.given:
            import copy

            module = copy.deepcopy(module)
        cast = Cast({"student": module}, {"student": adapter})
        self._lay_out(cast, data)
        plain = supervised(data.task, cast)
        phases["baseline"] = yield from self._phase("baseline", plain, cast, data)
        return Deployed(cast, plain.deployed)

    # ---------------------------------------------------------------- what is said of it

    def _hear(self, who: str, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "resumed":
            keep_curve(self.folder, who, event["history"])
        elif kind == "epoch":
            add_to_curve(self.folder, who, event)
        self.listen(kind, {"who": who, **event})

    def say_all(self, notes: Any) -> None:
        for note in notes:
            self.notes.append(note)
            self.listen("say", {"text": note})

    @property
    def command(self) -> str:
        return f"limbeck distill --recipe {shlex.quote(str(self.folder / 'recipe.toml'))}"
