"""The search: what fits is trained with its teacher, settings from Optuna, hopeless runs ended early; one is chosen on
validation and tested once. Everything is in the folder and the study, so that a killed search goes on."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck.deploy import formats
from limbeck.deploy.device import Place
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.files import write_json
from limbeck.runs.events import Epoch, Event, Listener, Say, silent
from limbeck.runs.session import Session
from limbeck.runs.settings import ModelSettings, Recipe, make, read
from limbeck.runs.sources import open_sources
from limbeck.shrinking.candidates import Candidate, take_from
from limbeck.shrinking.fitting import Fitting
from limbeck.shrinking.limits import Limits
from limbeck.shrinking.study import SPACES, alive, judge_teacher, optuna_module
from limbeck.shrinking.verdict import choose, nothing
from limbeck.tasks.figure import score_in

FINISH = 0.15  # part of the time that is kept for export and measurement of the chosen student


Rows = Mapping[str, dict[str, Any]]


class Over(Exception):
    """The time is up."""


@dataclass
class Search:
    """A search and its folder.

    recipe: data, teacher, method, budget of one training. candidates: what is considered. limits: what must be kept.
    seconds: for the whole search, None for no limit. trials: trainings at most. storage: any of Optuna's, SQLite in the
    folder by default. format, int8, place, threads: the runtime for which students are measured.
    """

    recipe: Recipe
    candidates: Callable[[Any], list[Candidate]]
    limits: Limits
    folder: Path
    seconds: float | None = None
    trials: int = 30
    storage: str | None = None
    format: str = "onnx"
    int8: bool = False
    place: Place = field(default_factory=Place)
    threads: int = 1
    listen: Listener = silent
    guided: bool = True  # False: the same search without a teacher
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    saved: float = 0.0
    state: dict[str, Any] = field(default_factory=dict)

    def go(self) -> dict[str, Any]:
        """Do the search, or what is left of it; returns what `shrink.json` holds."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remember()
        self.data = self.recipe.data.load()
        if "validation" not in self.data.partitions:
            raise UserError("shrink chooses on validation, and this data has no such part; set data.validation above 0")
        how = (self.data, self.limits, self.folder, formats.find(self.format), self.int8, self.place, self.threads)
        self.fitting = Fitting(*how, say=self._say)
        rows = self._measured()
        fitting = [row for row in rows if not row["dropped"]]
        self.state["task"] = self.data.task.facts()
        self.state |= {"candidates": [{k: v for k, v in r.items() if k not in ("candidate", "module")} for r in rows]}
        if not fitting:
            return self._end(nothing(self.limits, rows, self.state["floor_ms"]))
        try:
            teacher = self._teacher() if self.guided else None
            if teacher is not None and "teacher" not in self.state:
                self.state["teacher"] = judge_teacher(self.recipe, teacher, self.data)
            self._search({row["name"]: row for row in fitting}, teacher)
        except Over:
            self._say("the time is up")
        return self._end(choose(self.limits, rows, self.state["trials"], score_in(self.state)))

    # ---------------------------------------------------------------- steps

    def _measured(self) -> list[dict[str, Any]]:
        """Candidates with their cost; where even an empty file is too slow, nothing else is measured."""
        found = self.candidates(self.data)
        self.state["floor_ms"] = floor = self.fitting.floor_ms()
        self._say(f"{len(found)} candidates; the least that any file takes on {self.place} is {floor:.3g} ms")
        if self.limits.latency is not None and floor > 1e3 * self.limits.latency:
            why = f"not measured: even an empty network takes {floor:.3g} ms"
            return [{"name": c.name, "candidate": c, "dropped": why, "parameters": None} for c in found]
        return self.fitting.measure(found)

    def _teacher(self) -> ModelSettings:
        """The teacher with weights; one without is trained first, in a run of its own."""
        settings = self.recipe.teacher
        if settings.weights is not None:
            return settings
        values = self.recipe.model_dump()
        values |= {"student": settings.model_dump(), "method": {"name": "alone"}, "baseline": False, "onnx": False}
        values["train"] |= {k: v for k, v in (("epochs", settings.epochs), ("lr", settings.lr)) if v is not None}
        weights = self.folder / "teacher" / "weights" / "student.safetensors"
        if not weights.exists():
            self._say("the teacher has no weights: it is trained first")
            sources = open_sources(make(values), data=self.data, listen=self.listen)
            self._drive(Session(sources, self.folder / "teacher", self.listen).learning())
        return settings.model_copy(update={"weights": str(weights)})

    def _drive(self, steps: Any) -> Any:
        """Run a training to its end, or to the end of the time."""
        while True:
            if self._left() <= 0:
                raise Over
            if time.monotonic() - self.saved > 2.0:
                self._save()
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def _search(self, fitting: Rows, teacher: ModelSettings | None) -> None:
        optuna = optuna_module()
        study = self._study(optuna)
        if not study.get_trials(deepcopy=False):  # every candidate once, the largest first; then Optuna goes where it pays
            for row in sorted(fitting.values(), key=lambda row: -row["parameters"]):
                study.enqueue_trial({"candidate": row["name"]})
        self._requeue(study)
        while self._done(study) < self.trials and self._left() > 0:
            trial = study.ask()
            trial.set_user_attr("worker", [platform.node(), os.getpid()])
            try:
                study.tell(trial, self._trial(optuna, trial, fitting, teacher))
            except optuna.TrialPruned:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            except UserError as error:
                if isinstance(error.__cause__, OSError):
                    raise
                trial.set_user_attr("error", str(error))
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            finally:
                self._note(study, fitting)

    def _done(self, study: Any) -> int:
        """Trainings that need not be gone on with."""
        trials = study.get_trials(deepcopy=False)
        return sum(t.state.name in ("COMPLETE", "PRUNED") or "error" in t.user_attrs for t in trials)

    def _study(self, optuna: Any) -> Any:
        """The study of this folder's settings; another machine that is given the same storage and folder joins it."""
        storage = self.storage or f"sqlite:///{self.folder / 'study.db'}"
        seed = self.recipe.seed + 1000 * os.getpid() if self.storage else self.recipe.seed
        pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
        try:
            return optuna.create_study(
                study_name="limbeck",
                storage=storage,
                sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=6),
                pruner=pruner,
                direction="maximize",
                load_if_exists=True,
            )
        except Exception as error:  # each storage has errors of its own
            why = str(error).splitlines()[0][:160]
            raise UserError(f"Optuna cannot use the storage {storage}: {why}; check --storage") from error

    def _requeue(self, study: Any) -> None:
        """Trainings that a killed process of this machine left behind are gone on with first, from their checkpoints."""
        for trial in study.trials:
            worker = trial.user_attrs.get("worker")
            if trial.state.name == "RUNNING" and worker and worker[0] == platform.node() and not alive(worker[1]):
                study.tell(trial.number, state=optuna_module().trial.TrialState.FAIL)
                study.enqueue_trial(trial.params, user_attrs={"folder": trial.user_attrs.get("folder")})
                self._say(f"training {trial.number} was cut off and is gone on with")

    def _trial(self, optuna: Any, trial: Any, fitting: Rows, teacher: ModelSettings | None) -> float:
        name = trial.suggest_categorical("candidate", sorted(fitting))
        folder = trial.user_attrs.get("folder") or f"trials/{trial.number}"
        trial.set_user_attr("folder", folder)
        candidate: Candidate = fitting[name]["candidate"]
        recipe = self._recipe(trial, candidate, teacher)
        sources = open_sources(recipe, data=self.data, listen=self.listen)
        if candidate.from_teacher and "teacher" in sources.cast:
            take_from(sources.cast["teacher"], sources.cast["student"])

        def hear(event: Event) -> None:
            self.listen(event)
            if isinstance(event, Epoch) and "score" in event.validation:
                trial.report(event.validation["score"], round(1000 * event.epoch))
                if trial.should_prune():
                    raise optuna.TrialPruned

        trained = self._drive(Session(sources, self.folder / folder, hear).learning())
        return float(trained.history[-1]["validation"]["score"])

    def _recipe(self, trial: Any, candidate: Candidate, teacher: ModelSettings | None) -> Recipe:
        values = self.recipe.model_dump()
        values["student"] |= {"model": candidate.model, "arguments": dict(candidate.arguments), "weights": None}
        values["baseline"], values["onnx"] = False, False
        values["train"]["lr"] = trial.suggest_float("lr", self.recipe.train.lr / 5, self.recipe.train.lr * 2, log=True)
        if teacher is None:
            values["method"] = {"name": "alone"}
            return make(values, "a trial")
        values["teacher"] = teacher.model_dump()
        for setting, low, high in SPACES.get(self.recipe.method.name, ()):
            chosen = trial.suggest_float(setting, low, high, log=low > 0 and high / low >= 8)
            values["method"]["arguments"].setdefault(setting, round(chosen, 4))
        return make(values, "a trial")

    # ---------------------------------------------------------------- time and memory

    def _left(self) -> float:
        """Seconds for training that are left; what is needed at the end is kept back."""
        used = self.spent + time.monotonic() - self.started
        return float("inf") if self.seconds is None else self.seconds * (1 - FINISH) - used

    def _remember(self) -> None:
        """What an earlier go at this search spent and found."""
        path, asked = self.folder / "shrink.json", self._asked()
        if path.exists():
            self.state = json.loads(path.read_text(encoding="utf-8"))
            if self.state.get("asked") != asked:
                raise UserError(f"{self.folder} holds a search with other settings; go on with those, or give another --out")
            self.spent = float(self.state.get("spent", 0.0))
        self.state |= {"asked": asked, "trials": self.state.get("trials", [])}
        self._save()

    def _asked(self) -> dict[str, Any]:
        own = {"format": self.format, "int8": self.int8, "on": str(self.place), "threads": self.threads, "guided": self.guided}
        return json.loads(json.dumps({"recipe": self.recipe.model_dump(mode="json"), "limits": vars(self.limits), **own}))

    def _save(self) -> None:
        self.saved = time.monotonic()
        self.state["spent"] = round(self.spent + time.monotonic() - self.started, 2)
        write_json(self.folder / "shrink.json", self.state)

    def _note(self, study: Any, fitting: Mapping[str, dict[str, Any]]) -> None:
        """Keep every training's settings, cost and curve beside the study."""
        rows = []
        for trial in study.get_trials(deepcopy=False):
            if "candidate" not in trial.params or trial.params["candidate"] not in fitting:
                continue
            row = fitting[trial.params["candidate"]]
            values = list(trial.intermediate_values.values())
            rows.append({
                "number": trial.number, "state": trial.state.name.lower(), "folder": trial.user_attrs.get("folder"),
                "candidate": row["name"], "settings": {k: v for k, v in trial.params.items() if k != "candidate"},
                "latency_ms": row["latency_ms"], "bytes": row["bytes"], "parameters": row["parameters"],
                "validation": trial.value if trial.value is not None else (values[-1] if values else None),
                "error": trial.user_attrs.get("error"),
            })  # fmt: skip
        self.state["trials"] = rows
        self._save()

    # ---------------------------------------------------------------- the end

    def _end(self, verdict: dict[str, Any]) -> dict[str, Any]:
        from limbeck.shrinking.page import write_page

        self.state["verdict"] = verdict
        if verdict.get("chosen") is not None:
            self.state["chosen"] = self._finish(verdict["chosen"])
            verdict["words"] += self.state["chosen"]["words"]
        self._save()
        write_page(self.folder)
        return self.state

    def _finish(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """Test the chosen student once, export it, and measure the file that is shipped."""
        from limbeck.shrinking.verdict import verified

        folder = self.folder / trial["folder"]
        card = run(read(folder), folder, self.listen, self.data)
        return verified(self.fitting, folder, card, self.recipe.alpha)

    def _say(self, text: str) -> None:
        self.listen(Say(text))
