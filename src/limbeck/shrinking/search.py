"""The search: what fits is trained with its teacher, settings from Optuna, hopeless runs ended early; one is chosen on
validation and tested once. Everything is in the folder and the study, so that a killed search can be continued."""

import os
import platform
import time
import zlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from limbeck.data import Data
from limbeck.deploy import formats
from limbeck.deploy.device import Target
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.files.locks import alone_in
from limbeck.runs.events import Epoch, Event, Listener, Message, silent
from limbeck.runs.inputs import OtherInputs
from limbeck.runs.recipes import read
from limbeck.runs.session import Session, validation_score
from limbeck.runs.settings import MethodSettings, ModelSettings, Recipe
from limbeck.runs.sources import open_sources
from limbeck.shrinking.candidates import Candidate
from limbeck.shrinking.fitting import Considered, Fitting
from limbeck.shrinking.limits import Limits
from limbeck.shrinking.page import write_page
from limbeck.shrinking.schema import (
    FILE,
    VERSION,
    ChosenStudent,
    SearchRequest,
    Shrunk,
    TrialRow,
    Verdict,
    read_search,
    write_search,
)
from limbeck.shrinking.study import (
    SPACES,
    FittingCost,
    done,
    judge_teacher,
    left_behind,
    need_optuna,
    open_study,
    sampler,
    steps_told,
    trial_rows,
)
from limbeck.shrinking.verdict import Guess, choose, nothing, verified
from limbeck.tasks.figure import score_in

if TYPE_CHECKING:
    from optuna import Study, Trial

Left = TypeVar("Left")
FINISH = 0.15  # part of the time that is kept for export and measurement of the chosen student


class TimeUp(Exception):
    """The time is up."""


@dataclass
class Search:
    """A search and its folder.

    recipe: data, teacher, method, budget of one training. candidates: what is considered. limits: what must be kept.
    seconds: for the whole search, None for no limit. trials: trainings at most. storage: any of Optuna's, SQLite in the
    folder by default. format, int8, place, threads: the runtime for which students are measured.
    """

    recipe: Recipe
    candidates: Callable[[Data], list[Candidate]]
    limits: Limits
    folder: Path
    seconds: float | None = None
    trials: int = 30
    storage: str | None = None
    format: str = "onnx"
    int8: bool = False
    place: Target = field(default_factory=Target)
    threads: int = 1
    listen: Listener = silent
    guided: bool = True  # False: the same search without a teacher
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0
    saved: float = 0.0
    state: Shrunk = field(init=False)
    data: Data = field(init=False)
    fitting: Fitting = field(init=False)

    def go(self) -> Shrunk:
        """Do the search, or what is left of it; returns what `shrink.json` holds."""
        if self.storage:  # other machines may work in it
            return self._go()
        with alone_in(self.folder):
            return self._go()

    def _go(self) -> Shrunk:
        self._remember()
        self.data = self.recipe.data.load()
        if self.state.setdefault("data", self.data.fingerprint) != self.data.fingerprint:
            raise UserError(f"the data has changed since the search in {self.folder} began; put it back, or give another --out")
        if "validation" not in self.data.partitions:
            raise UserError("shrink chooses on validation, and this data has no such part; set data.validation above 0")
        how = (self.data, self.limits, self.folder, formats.find(self.format), self.int8, self.place, self.threads)
        self.fitting = Fitting(*how, say=self._say)
        self.state["floor_ms"] = floor = self.fitting.floor_ms()
        considered = self._measured(floor)
        rows = [each.plain() for each in considered]
        self.state["task"], self.state["candidates"] = self.data.task.facts(), rows
        fitting = [each for each in considered if not each.dropped]
        if not fitting:
            return self._end(nothing(self.limits, rows, floor))
        time_up = False
        try:
            teacher = self._teacher() if self.guided else None
            if teacher is not None and "teacher" not in self.state:
                self.state["teacher"] = judge_teacher(self.recipe, teacher, self.data)
            self._search(fitting, teacher)
        except TimeUp:
            time_up = True
            self._say("the time is up")
        trials = self.state["trials"]
        time_up |= self._left() <= 0 and len(trials) < self.trials
        guess = Guess.on(self.data)
        if guess is not None:
            self.state["guess"] = round(guess.score, 6)
        verdict = choose(self.limits, rows, trials, score_in(self.state), guess=guess, time_up=time_up)
        return self._end(verdict)

    # ---------------------------------------------------------------- steps

    def _measured(self, floor: float) -> list[Considered]:
        """Candidates with their cost; where even an empty file is too slow, nothing else is measured."""
        found = self.candidates(self.data)
        self._say(f"{len(found)} candidates; the least that any file takes on {self.place} is {floor:.3g} ms")
        if self.limits.latency is not None and floor > 1e3 * self.limits.latency:
            why = f"not measured: even an empty network takes {floor:.3g} ms"
            return [Considered(candidate, why) for candidate in found]
        return self.fitting.measure(found)

    def _teacher(self) -> ModelSettings:
        """The teacher with weights; one without is trained first, in a run of its own."""
        settings = self.recipe.teacher
        if settings.comes_trained(self.data):
            return settings
        weights = self.folder / "teacher" / "weights" / "student.safetensors"
        if not weights.with_suffix(".json").exists():  # written last
            self._say("the teacher has no weights: it is trained first")
            budget = {k: v for k, v in (("epochs", settings.epochs), ("lr", settings.lr)) if v is not None}
            train = self.recipe.train.model_copy(update=budget)
            own = {"student": settings, "method": MethodSettings(name="alone"), "train": train, "baseline": False, "onnx": False}
            sources = open_sources(self.recipe.model_copy(update=own), data=self.data, listen=self.listen)
            self._drive(Session(sources, self.folder / "teacher", self.listen).learning())
        return settings.model_copy(update={"weights": str(weights)})

    def _drive(self, steps: Generator[None, None, Left]) -> Left:
        """Run a training to its end, or to the end of the time."""
        while True:
            if self._left() <= 0:
                raise TimeUp
            if time.monotonic() - self.saved > 2.0:
                self._save()
            try:
                next(steps)
            except StopIteration as end:
                left: Left = end.value
                return left

    def _search(self, fitting: Sequence[Considered], teacher: ModelSettings | None) -> None:
        need_optuna()
        from optuna import TrialPruned
        from optuna.trial import TrialState

        study = self._study()
        known = len(study.get_trials(deepcopy=False))
        # every candidate once, pieces of the teacher before others and large ones before small; then Optuna goes where it pays
        for each in sorted(fitting, key=lambda each: (not each.candidate.from_teacher, -(each.parameters or 0)))[known:]:
            study.enqueue_trial({"candidate": each.name})
        cut = left_behind(study, shared=bool(self.storage))
        for trial in cut:
            self._say(f"training {trial.number} was cut off and is continued")
        named = {each.name: each.candidate for each in fitting}
        while done(study) < self.trials and self._left() > 0:
            trial = cut.pop(0) if cut else study.ask()
            trial.set_user_attr("worker", [platform.node(), os.getpid()])
            try:
                study.tell(trial, self._trial(trial, named, teacher))
            except TrialPruned:
                study.tell(trial, state=TrialState.PRUNED)
            except UserError as error:
                if isinstance(error.__cause__, OSError) or isinstance(error, OtherInputs):
                    raise
                trial.set_user_attr("error", str(error))
                study.tell(trial, state=TrialState.FAIL)
            finally:
                self._note(study, fitting)

    def _study(self) -> "Study":
        """The study of this folder's settings; another machine that is given the same storage and folder joins it."""
        return open_study(self.storage or f"sqlite:///{self.folder / 'study.db'}", self._seed)

    @property
    def _seed(self) -> int:
        return self.recipe.seed + 1000 * os.getpid() if self.storage else self.recipe.seed

    def _trial(self, trial: "Trial", candidates: Mapping[str, Candidate], teacher: ModelSettings | None) -> float:
        from optuna import TrialPruned

        self._reseed(trial, "candidate")
        name = str(trial.suggest_categorical("candidate", sorted(candidates)))
        folder = str(trial.user_attrs.get("folder") or f"trials/{trial.number}")
        trial.set_user_attr("folder", folder)
        candidate = candidates[name]
        sources = open_sources(self._recipe(trial, candidate, teacher), data=self.data, listen=self.listen)
        told = steps_told(trial)

        def on_event(event: Event) -> None:
            self.listen(event)
            if isinstance(event, Epoch) and "score" in event.validation:
                step = round(1000 * event.epoch)
                if step not in told:  # of a training that was cut off
                    trial.report(event.validation["score"], step)
                if trial.should_prune():
                    raise TrialPruned

        return validation_score(self._drive(Session(sources, self.folder / folder, on_event, self.folder).learning()), self.data)

    def _reseed(self, trial: "Trial", setting: str) -> None:
        """A draw depends on the trial and the setting, not on what this process drew before: a killed search draws the same."""
        trial.study.sampler = sampler(zlib.crc32(f"{self._seed} {trial.number} {setting}".encode()))

    def _recipe(self, trial: "Trial", candidate: Candidate, teacher: ModelSettings | None) -> Recipe:
        """The recipe of one training: the candidate, and the settings that Optuna draws."""
        recipe, (model, arguments) = self.recipe, candidate.settings
        student = recipe.student.model_copy(update={"model": model, "arguments": arguments, "weights": None, "start": None})
        if candidate.from_teacher and teacher is not None:
            student = student.model_copy(update={"start": "teacher"}).scaled_as(teacher)
        rate: dict[str, object] = {"probe": True}  # every candidate its own, from the first training on
        if recipe.train.probe is False:
            self._reseed(trial, "lr")
            rate = {"lr": trial.suggest_float("lr", recipe.train.lr / 5, recipe.train.lr * 2, log=True)}
        own = {"student": student, "train": recipe.train.model_copy(update=rate), "baseline": False, "onnx": False}
        if teacher is None:
            return recipe.model_copy(update=own | {"method": MethodSettings(name="alone")})
        given, drawn = recipe.method.arguments, dict[str, object]()
        for setting, low, high in SPACES.get(recipe.method.name, ()):
            self._reseed(trial, setting)
            drawn[setting] = round(trial.suggest_float(setting, low, high, log=low > 0 and high / low >= 8), 4)
        method = recipe.method.model_copy(update={"arguments": given | {k: v for k, v in drawn.items() if k not in given}})
        return recipe.model_copy(update=own | {"method": method, "teacher": teacher})

    # ---------------------------------------------------------------- time and memory

    def _left(self) -> float:
        """Seconds for training that are left; what is needed at the end is kept back."""
        used = self.spent + time.monotonic() - self.started
        return float("inf") if self.seconds is None else self.seconds * (1 - FINISH) - used

    def _remember(self) -> None:
        """What an earlier go at this search spent and found."""
        asked = self._asked()
        if (self.folder / FILE).exists():
            self.state = read_search(self.folder)
            if self.state["asked"] != asked:
                raise UserError(f"{self.folder} has a search with other settings; use those settings, or give another --out")
            self.spent = self.state["spent"]
        else:
            self.state = {"version": VERSION, "asked": asked, "trials": [], "spent": 0.0}
        self._save()

    def _asked(self) -> SearchRequest:
        recipe, limits = self.recipe.model_dump(mode="json"), self.limits.plain()
        return {"recipe": recipe, "limits": limits, "format": self.format, "int8": self.int8, "on": str(self.place),
                "threads": self.threads, "guided": self.guided}  # fmt: skip

    def _save(self) -> None:
        self.saved = time.monotonic()
        self.state["spent"] = round(self.spent + time.monotonic() - self.started, 2)
        write_search(self.folder, self.state)

    def _note(self, study: "Study", fitting: Sequence[Considered]) -> None:
        """Keep every training's settings, cost and curve beside the study."""
        costs = {
            each.name: FittingCost(each.cost["latency_ms"], each.cost["bytes"], each.parameters or 0)
            for each in fitting
            if each.cost is not None
        }
        self.state["trials"] = trial_rows(study, costs)
        self._save()

    # ---------------------------------------------------------------- the end

    def _end(self, verdict: Verdict) -> Shrunk:
        self.state["verdict"] = verdict
        if verdict["chosen"] is not None:
            self.state["chosen"] = self._finish(verdict["chosen"])
            verdict["words"] += self.state["chosen"]["words"]
        self._save()
        write_page(self.folder)
        return self.state

    def _finish(self, trial: TrialRow) -> ChosenStudent:
        """Test the chosen student once, export it, and measure the file that is shipped."""
        assert trial["folder"] is not None, "a training that is done has a folder"
        folder = self.folder / trial["folder"]
        typed = {settings.model for settings in self.recipe.models.values()}
        typed |= {candidate.model for candidate in self.candidates(self.data)}
        return verified(self.fitting, folder, run(read(folder, typed=typed), folder, self.listen, self.data), typed)

    def _say(self, text: str) -> None:
        self.listen(Message(text))
