"""Many methods, several seeds, one fair table: a loop over runs, and the statistics of what they left.

Every method and the baseline get the same teacher, data, budget, schedule and, per seed, the same initial
student, order of samples and views. Nothing is chosen by its result here.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limbeck import methods
from limbeck.comparison import tuning, work
from limbeck.comparison.board import write_board
from limbeck.comparison.entries import Entry, to_toml
from limbeck.comparison.leaderboard import BASELINE, leaderboard, run_folder, safe_name
from limbeck.comparison.schema import (
    COMPARISON,
    VERSION,
    Board,
    ComparisonFile,
    EntryFile,
    read_comparison,
    write_comparison,
    write_leaderboard,
)
from limbeck.comparison.verdict import baselines
from limbeck.comparison.work import Job, failure_in
from limbeck.engine.turns import last
from limbeck.errors import UserError, unknown
from limbeck.face.run import conclude, mended
from limbeck.files import atomic_write
from limbeck.files.locks import alone_in, contents
from limbeck.models import save_weights
from limbeck.runs.cutting import CUTS
from limbeck.runs.events import Listener, Message, RunBegins, silent
from limbeck.runs.inputs import OtherInputs, data_of_runs
from limbeck.runs.recipes import dump, make
from limbeck.runs.session import Session
from limbeck.runs.settings import MethodSettings, Recipe
from limbeck.runs.sizing import open_budget, sized
from limbeck.runs.sources import open_sources

WAYS = ("here", "together", "processes", "ray")


def stem_of(recipe: Recipe) -> str:
    """How folders of comparisons on this data begin."""
    return f"{Path(recipe.data.name).stem}-compare"


@dataclass
class Comparison:
    """A comparison and its folder: `runs/`, `teacher/`, `comparison.json`, `leaderboard.json`, `report.html`.

    on: "here" (runs follow one another), "together" (those of a seed take turns step by step and share batches
    and teacher), "processes" or "ray", `jobs` at a time. search: so many trials of settings for
    every entry, the baseline too, with the first seed, chosen on validation; 0 takes them as they are. listen gets a
    `RunBegins` when a run starts and, where the runs follow one another, theirs.
    Calling `go` again in the same folder does what is left, also with more entries or seeds.

        from pathlib import Path
        from limbeck.comparison.comparison import Comparison
        from limbeck.comparison.entries import parse_entries
        from limbeck.runs.recipes import make

        recipe = make({"data": {"name": "digits"}, "train": {"epochs": 5}})
        board = Comparison(recipe, parse_entries("kd,dkd,kd:temperature=2"), range(3), Path("runs/mine")).go()
        print(*board["verdict"], sep="\\n")
    """

    recipe: Recipe
    entries: Sequence[Entry]
    seeds: Sequence[int]
    folder: Path
    listen: Listener = silent
    jobs: int = 1
    on: str = "here"
    search: int = 0

    def go(self) -> Board:
        """Do what is left of the runs and return the leaderboard. A run that fails is a row that says why."""
        if self.on not in WAYS:
            raise unknown("way of working", self.on, WAYS)
        with alone_in(self.folder):
            return self._go()

    def _go(self) -> Board:
        self._open()
        teacher = self._teacher()
        chosen = self._chosen(teacher)
        every = self._jobs(teacher, chosen)
        for job in every:
            mended(Path(job.folder))
        todo = [job for job in every if job.result is None]
        numbers = iter(range(len(every) - len(todo), len(every)))

        def started(job: Job) -> None:
            self.listen(RunBegins(job.entry, job.seed, next(numbers), len(every)))

        for job in self._work(todo, started):
            failed = failure_in(Path(job.folder))
            if failed is not None and failed.ends:
                raise UserError(failed.error)
        results = [result for job in every if (result := job.result) is not None]
        if len(data_of_runs(Path(job.folder) for job in every)) > 1:
            raise UserError(f"the data has changed since the first runs of {self.folder}; put it back, or give another folder")
        board = leaderboard(results, self.recipe, [e.name for e in self._every()], list(self.seeds))
        if chosen:
            board["hyperparameters"] = (
                f"chosen on validation among {self.search} trials for each, the given ones and {self.search - 1} drawn around "
                f"them, learning rate included (seed {self.seeds[0]})"
            )
            board["chosen"] = {name: {"lr": s.lr, **s.arguments} for name, s in chosen.items()}
        write_leaderboard(self.folder, board)
        write_board(self.folder)
        return board

    def _work(self, todo: Sequence[Job], started: work.Started) -> Iterator[Job]:
        if self.on == "ray":
            return work.on_ray(todo, started, self.jobs)
        if self.on == "processes":
            return work.in_processes(todo, started, self.jobs)
        return (work.together if self.on == "together" else work.here)(todo, started, self.listen)

    def _settings(self, entry: Entry, seed: int, teacher: str | None) -> Recipe:
        method = MethodSettings(name=entry.method, arguments=dict(entry.arguments))
        plain = entry.name == BASELINE and self.recipe.student.start == "teacher"
        student = self.recipe.student.model_copy(update={"start": "random"} if plain else {})
        own = self.recipe.teacher if teacher is None else self.recipe.teacher.model_copy(update={"weights": teacher})
        return self.recipe.model_copy(
            update={"seed": seed, "baseline": False, "method": method, "teacher": own, "student": student}
        )

    def _every(self) -> tuple[Entry, ...]:
        return (*(Entry(name, "alone") for name in baselines(self.recipe)), *self.entries)

    def _chosen(self, teacher: str | None) -> dict[str, tuning.TrialSettings]:
        """The settings found for every entry by a search of the same size; nothing without a search."""
        found = {}
        for entry in self._every() if self.search else ():
            settings, place = self._settings(entry, self.seeds[0], teacher), self.folder / "trials" / safe_name(entry.name)
            try:
                found[entry.name] = tuning.tuned(settings, entry.name, self.search, place, self._say)[0]
            except UserError as error:
                if isinstance(error.__cause__, OSError) or isinstance(error, OtherInputs):
                    raise
                self._say(str(error))  # its runs fail too, and are rows that say so
        return found

    def _say(self, text: str) -> None:
        self.listen(Message(text))

    def _jobs(self, teacher: str | None, chosen: Mapping[str, tuning.TrialSettings] | None = None) -> list[Job]:
        """All runs, seed by seed; only method and seed differ between their settings, and what a search chose."""
        made = []
        for seed in self.seeds:
            for entry in self._every():
                settings = self._settings(entry, seed, teacher)
                if chosen and entry.name in chosen:
                    settings = chosen[entry.name].on(settings)
                made.append(Job(entry.name, seed, settings, str(run_folder(self.folder, entry.name, seed).resolve())))
        return made

    def _teacher(self) -> str | None:
        """The weights that every run gets: given ones, or one teacher trained here, once, with the first seed."""
        started = self.recipe.student.start == "teacher"
        needs = started or any("teacher" in methods.make(e.method, e.arguments).roles() for e in self.entries)
        if not needs or self.recipe.teacher.comes_trained(self.recipe.data.load()):
            return self.recipe.teacher.weights
        folder = (self.folder / "teacher").resolve()
        if not (folder / "teacher.safetensors").exists():
            own = self.recipe.teacher
            budget = {k: v for k, v in (("epochs", own.epochs), ("lr", own.lr)) if v is not None}
            settings = self._settings(Entry(BASELINE, "alone"), self.seeds[0], None)
            train = self.recipe.train.model_copy(update=budget | {"probe": None})
            settings = settings.model_copy(update={"onnx": False, "student": own, "train": train})
            folder.mkdir(parents=True, exist_ok=True)
            own_run = Session(open_sources(settings, listen=self.listen), folder, self.listen, self.folder)
            left = last(own_run.steps())
            assert left is not None
            conclude(left, self.listen)
            save_weights(left.entries["student"].cast["student"], folder / "teacher.safetensors")
        return str(folder / "teacher.safetensors")

    def _sized(self) -> Recipe:
        """The recipe with the cut of a student that has a budget: as in an earlier go, else found now, the same for all runs."""
        if open_budget(self.recipe.student) and (self.folder / COMPARISON).exists():
            earlier = make(tomllib.loads(read_comparison(self.folder)["recipe"]), str(self.folder))
            cut = {key: value for key, value in earlier.student.arguments.items() if key in CUTS}
            arguments = {**self.recipe.student.arguments, **cut}
            return self.recipe.model_copy(update={"student": self.recipe.student.model_copy(update={"arguments": arguments})})
        return sized(self.recipe, self.listen)[0]

    def _open(self) -> None:
        """Write what the comparison is, or see that the folder holds this one; forget failures worth another go."""
        entries = {entry.name: entry.plain() for entry in self.entries}
        self.recipe = self._sized()
        if (self.folder / COMPARISON).exists():
            known = read_comparison(self.folder)
            changed = any(e["name"] in entries and _words(e) != _words(entries[e["name"]]) for e in known["entries"])
            if known["recipe"] != dump(self.recipe) or known.get("search", 0) != self.search or changed:
                raise UserError(f"{self.folder} has a comparison with other settings; give another folder with --out")
        elif contents(self.folder):
            raise UserError(f"folder {self.folder} exists and is not a comparison; give another folder with --out")
        facts = ComparisonFile(version=VERSION, recipe=dump(self.recipe), entries=list(entries.values()), seeds=list(self.seeds))
        write_comparison(self.folder, facts | {"search": self.search})
        with atomic_write(self.folder / "compare.toml", text=True) as file:
            file.write(to_toml(self.recipe, self.entries, len(self.seeds), self.search))
        for run in (self.folder / "runs").glob("*"):
            failed = failure_in(run)
            if failed is not None and failed.again:
                (run / work.FAILED).unlink()


def _words(entry: EntryFile) -> str:
    """An entry as text that can be compared: a tuple and a list are one."""
    return json.dumps(entry, sort_keys=True, default=list)
