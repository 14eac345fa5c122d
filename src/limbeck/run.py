"""A run and its folder: teacher, baseline and student trained, measured once on test, exported, shown."""

import json
import os
import platform
import shlex
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import limbeck
from limbeck import engine, methods, models
from limbeck.casting import build_role, check_answer, learners, method_of, rebuild_facts, settings_for
from limbeck.data import Batches, Data, load
from limbeck.data.streams import Streams
from limbeck.deploy.student import Deployed, used
from limbeck.engine import Fit, Trained
from limbeck.engine.estimate import estimate
from limbeck.engine.planner import Plan, frozen_roles, plan
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.files import atomic_write, cannot_write
from limbeck.knowledge import Store
from limbeck.plan import Method
from limbeck.recipe import Recipe, dump
from limbeck.roles import Adapter, Cast
from limbeck.taps import Tap
from limbeck.together import Together

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

    def go(self) -> dict[str, Any]:
        """Do the run, or what is left of it, and return its card."""
        return last(self.steps())

    def steps(self) -> Generator[None, None, dict[str, Any]]:
        """The run, stopping after every training step, so that several can take turns (`together`)."""
        method = self.method or method_of(self.recipe.method.model_dump())
        self.data = data = self.data or self.load_data()
        self.say_all(data.notes)
        self.cast = cast = self.make_cast(method, data)
        judged = "teacher" in cast  # one that the method makes itself comes later
        streams = self.streams(data, method)
        engine.rehearse(method, cast, streams, self.fit(streams, "student", method), device=self._device)
        self._write_settings(method)
        phases: dict[str, Trained] = {}
        for role in [r for r in cast if r not in learners(method) and not self._has_weights(r, method)]:
            phases[role] = yield from self._phase(role, _plain(cast[role], data, role), cast, data)
        baseline = (yield from self._baseline(method, data, phases)) if self.recipe.baseline else None
        phases["student"] = yield from self._phase("student", method, cast, data)
        student = self.deployed = Deployed(cast, method.deployed)
        entries = {"teacher": Deployed(cast, Tap("teacher")) if judged else None}
        entries |= {"baseline": baseline, "student": student}
        facts = rebuild_facts(cast, method, self.recipe, used(method.deployed))
        from limbeck.card import finish  # evaluation, export and report: only once training is done

        return finish(self, method, data, {k: v for k, v in entries.items() if v is not None}, phases, facts)

    def learning(self, prepare: Callable[[Cast], None]) -> Generator[None, None, Trained]:
        """Train the student alone, measured on validation only, for a search; `go` finishes the run afterwards.

        prepare: what is done to the cast before the first step.
        """
        method = self.method or method_of(self.recipe.method.model_dump())
        self.data = data = self.data or self.load_data()
        self.cast = cast = self.make_cast(method, data)
        prepare(cast)
        streams = self.streams(data, method)
        engine.rehearse(method, cast, streams, self.fit(streams, "student", method), device=self._device)
        self._write_settings(method)
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
            on_progress=lambda *facts: self.listen("download", {"facts": facts}),
        )

    def make_cast(self, method: Method, data: Data) -> Cast:
        cast = Cast({})
        names = list(method.roles())
        if "teacher" not in names and self._has_weights("teacher", method):
            names.append("teacher")
        for role in names:
            module, adapter = self._role(role, method, data)
            cast.add(role, module, adapter)
        batch = next(Batches(data["train"], data, size=2, seed=0).ordered())
        self._lay_out(cast, data)
        for role in cast:
            check_answer(cast, role, batch, data)
        return cast

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

    @property
    def _device(self) -> str | None:
        return None if self.recipe.device == "auto" else self.recipe.device

    def _has_weights(self, role: str, method: Method) -> bool:
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
        if facts.exists():
            trained = Trained(**json.loads(facts.read_text(encoding="utf-8")))
            load_phase(method, cast, streams, weights, self.recipe.seed)
            self.listen("say", {"text": f"{who}: already trained"})
            return trained
        self.listen("phase", {"who": who, "steps": sum(fit.stage_steps(method.stages))})
        self._keep_curve(who, [])  # of an unfinished go; the engine tells what its checkpoint knows
        planned = self._plan(method, cast, streams)
        if who == "student" and self.together is None and "WORLD_SIZE" not in os.environ:
            for stage in estimate(method, cast, streams, planned, fit):
                self.listen("say", {"text": str(stage)})
        cast.stand_ins = dict(planned.stand_ins)
        trained = yield from engine.training(
            planned.method,
            cast,
            planned.draw,
            fit,
            seed=self.recipe.seed,
            folder=self.folder / "checkpoints" / who,
            listen=lambda kind, event: self._hear(who, kind, event),
            validate=self._validator(method, data),
            device=self._device,
            heard=self.together.heard if self.together else None,
        )
        cast.stand_ins.clear()
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
        plain = _plain(module, data)
        phases["baseline"] = yield from self._phase("baseline", plain, cast, data)
        return Deployed(cast, plain.deployed)

    def _validator(self, method: Method, data: Data) -> Callable[[Cast], Mapping[str, float]] | None:
        if "validation" not in data.partitions:
            return None
        from limbeck.evaluate import predict

        batches = list(Batches(data["validation"], data, size=data.task.at_once(data.shape), seed=0).ordered())

        def validate(cast: Cast) -> Mapping[str, float]:
            if not all(name in cast for name in used(method.deployed)):
                return {}
            device = next(iter(cast.state_dict().values())).device
            seen = predict(Deployed(cast, method.deployed).to(device).eval(), batches, data.task)
            return {"accuracy": data.task.score(seen)}

        return validate

    # ---------------------------------------------------------------- the folder

    def _hear(self, who: str, kind: str, event: Mapping[str, Any]) -> None:
        path = self.folder / "metrics.jsonl"
        if kind == "resumed":
            self._keep_curve(who, event["history"])
        elif kind == "epoch":
            try:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"who": who, **event}) + "\n")
            except OSError as error:
                raise cannot_write(path, error) from error
        self.listen(kind, {"who": who, **event})

    def _keep_curve(self, who: str, history: list[dict[str, Any]]) -> None:
        """Make `history` all that the curves say of `who`; a line that a crash cut off is dropped."""
        path, mine = self.folder / "metrics.jsonl", json.dumps({"who": who})[:-1]
        old = lines_of(path)
        kept = [line for line in old if line.endswith("}") and not line.startswith(mine)]
        kept += [json.dumps({"who": who, **record}) for record in history]
        if kept != old:
            with atomic_write(path, text=True) as file:
                file.write("".join(line + "\n" for line in kept))

    def _write_settings(self, method: Method) -> None:
        path = self.folder / "recipe.toml"
        if not path.exists():
            with atomic_write(path, text=True) as file:
                file.write(dump(self.recipe))
            write_json(self.folder / "environment.json", environment())
            from limbeck.report.diagram import svg

            with atomic_write(self.folder / "method.svg", text=True) as file:
                file.write(svg(method))

    def say_all(self, notes: Any) -> None:
        for note in notes:
            self.notes.append(note)
            self.listen("say", {"text": note})

    @property
    def command(self) -> str:
        return f"limbeck distill --recipe {shlex.quote(str(self.folder / 'recipe.toml'))}"


def _plain(module: nn.Module, data: Data, role: str = "student") -> Method:
    """How a role learns from the labels alone: by gradient, or fitted at once if it has nothing to move."""
    moves = any(True for _ in module.parameters())
    return methods.find(data.task.alone)(role=role) if moves else methods.alone_tree(role=role)


def load_phase(method: Method, cast: Cast, streams: Streams, weights: Path, seed: int) -> None:
    """Make what the method adds to the cast, then load the weights of all."""
    engine.check.build_parts(method, cast, streams(("train",), 0) if method.parts else {})
    for index, stage in enumerate(method.stages):
        for action in stage.before:
            action(cast, seed=seed + index)
    models.load_weights(cast, weights, who="run")


def open_folder(path: Path | None, recipe: Recipe, resume: bool) -> Path:
    """The run's folder: a fresh one, or an unfinished one to go on with. Nothing is ever overwritten.

    Raises `UserError` if the folder exists and is not to be resumed, or holds another recipe.
    """
    if path is None:
        stem = f"{Path(recipe.data.name).stem}-{recipe.method.name}"
        path = next(p for p in (Path("runs") / f"{stem}-{n}" for n in range(1, 10**6)) if not p.exists())
    mine = path / "recipe.toml"
    if mine.exists() and not resume:
        raise UserError(f"run folder {path} exists already; add --resume to go on with it, or give another name with --out")
    if path.exists() and not mine.exists() and any(path.iterdir()):
        raise UserError(f"folder {path} exists and is not a run; give another name with --out")
    if mine.exists() and mine.read_text(encoding="utf-8") != dump(recipe):
        raise UserError(
            f"run folder {path} was made with other settings (see its recipe.toml); resume it with those, or use another name"
        )
    return path


def finished(folder: Path) -> dict[str, Any] | None:
    """The card of a run that is done: its test part has been read, and is not read again."""
    path = folder / "card.json"
    done = path.exists() and (folder / "report.html").exists()
    return json.loads(path.read_text(encoding="utf-8")) if done else None


def environment() -> dict[str, Any]:
    """What a reader needs to know of the machine and the versions."""
    from importlib.metadata import version

    return {
        "limbeck": limbeck.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{package: version(package) for package in ("numpy", "scikit-learn", "onnxruntime")},
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
    }


def write_json(path: Path, value: Any) -> None:
    with atomic_write(path, text=True) as file:
        json.dump(value, file, indent=1)


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
