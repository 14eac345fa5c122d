"""Many methods, several seeds, one fair table: a loop over runs, and the statistics of what they left.

Every method and the baseline get the same teacher, data, budget, schedule and, per seed, the same initial
student, order of samples and views. Nothing is chosen by its result here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck import methods
from limbeck.comparison import tuning, work
from limbeck.comparison.leaderboard import BASELINE, leaderboard, run_folder, safe_name
from limbeck.comparison.work import Job
from limbeck.engine.turns import last
from limbeck.errors import UserError, unknown
from limbeck.face.run import conclude
from limbeck.files import LOCK, alone_in, atomic_write, write_json
from limbeck.models import save_weights
from limbeck.runs.events import Listener, RunBegins, Say, silent
from limbeck.runs.session import Session
from limbeck.runs.settings import Recipe, dump, make, parse_value
from limbeck.runs.sources import open_sources

WAYS = ("here", "together", "processes", "ray")


@dataclass(frozen=True)
class Entry:
    """One line of the comparison: a method with its settings under a name; the baseline is one of them."""

    name: str
    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def parse_entries(words: str | Sequence[str]) -> list[Entry]:
    """`kd,dkd,kd:temperature=2:alpha=0.5` -> entries; the same method may come with several settings.

    A comma or colon inside brackets or quotes belongs to the value: `fitnets:guided=["stem","layer1"]`.

    >>> [e.name for e in parse_entries("kd, kd:temperature=2")]
    ['kd', 'kd:temperature=2']
    """
    split = _apart(words, ",") if isinstance(words, str) else [str(word) for word in words]
    entries = []
    for word in filter(None, (w.strip() for w in split)):
        name, *settings = _apart(word, ":")
        pairs = [s.partition("=") for s in settings]
        if any(not equals or not key for key, equals, _ in pairs):
            raise UserError(f"method {word!r}: write NAME:SETTING=VALUE, for example kd:temperature=2")
        entries.append(Entry(word, name, {k: parse_value(v) for k, _, v in pairs}))
        methods.make(name, entries[-1].arguments)
    names = [e.name for e in entries]
    folders = [safe_name(name) for name in names]
    if not entries or len(set(folders)) < len(names):
        raise UserError(f"name at least one method, each once; got {', '.join(names) or repr(words)}")
    return entries


def _apart(words: str, mark: str) -> list[str]:
    """`words` split at every mark that is not inside quotes or brackets.

    >>> _apart("a:b=[[1,2],[3]],c", ",")
    ['a:b=[[1,2],[3]]', 'c']
    """
    pieces, depth, quote = [""], 0, ""
    for letter in words:
        if quote or letter in "\"'":
            quote = "" if letter == quote else quote or letter
        else:
            depth = max(0, depth + (letter in "[{") - (letter in "]}"))
        if letter == mark and not depth and not quote:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def fresh_folder(recipe: Recipe) -> Path:
    """The next free folder for a comparison on this data."""
    stem = f"{Path(recipe.data.name).stem}-compare"
    return next(p for p in (Path("runs") / f"{stem}-{n}" for n in range(1, 10**6)) if not p.exists())


@dataclass
class Comparison:
    """A comparison and its folder: `runs/`, `teacher/`, `comparison.json`, `leaderboard.json`, `report.html`.

    on: "here" (runs follow one another), "together" (those of a seed take turns step by step and share batches
    and teacher), "processes" or "ray", `jobs` at a time. search: so many trials of settings for
    every entry, the baseline too, with the first seed, chosen on validation; 0 takes them as they are. listen gets a
    `RunBegins` when a run starts and, where the runs follow one another, theirs.
    Calling `go` again in the same folder does what is left, also with more entries or seeds.

        from pathlib import Path
        from limbeck.comparison.comparison import Comparison, parse_entries
        from limbeck.runs.settings import make

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

    def go(self) -> dict[str, Any]:
        """Do what is left of the runs and return the leaderboard. A run that fails is a row that says why."""
        if self.on not in WAYS:
            raise unknown("way of working", self.on, WAYS)
        with alone_in(self.folder):
            return self._go()

    def _go(self) -> dict[str, Any]:
        from limbeck.comparison.board import write_board

        self._open()
        teacher = self._teacher()
        chosen = self._chosen(teacher)
        every = self._jobs(teacher, chosen)
        todo = [job for job in every if job.result is None]
        numbers = iter(range(len(every) - len(todo), len(every)))

        def started(job: Job) -> None:
            self.listen(RunBegins(job.entry, job.seed, next(numbers), len(every)))

        for _ in self._work(todo, started):
            pass
        results = [result for job in every if (result := job.result) is not None]
        board = leaderboard(results, self.recipe, [BASELINE, *(e.name for e in self.entries)], list(self.seeds))
        if chosen:
            board["hyperparameters"] = (
                f"chosen on validation among {self.search} trials for each, the given ones and {self.search - 1} drawn around "
                f"them, learning rate included (seed {self.seeds[0]})"
            )
            board["chosen"] = {name: {"lr": s.lr, **s.arguments} for name, s in chosen.items()}
        write_json(self.folder / "leaderboard.json", board)
        write_board(self.folder)
        return board

    def _work(self, todo: Sequence[Job], started: work.Started) -> Iterator[Job]:
        if self.on == "ray":
            return work.on_ray(todo, started, self.jobs)
        if self.on == "processes":
            return work.in_processes(todo, started, self.jobs)
        return (work.together if self.on == "together" else work.here)(todo, started, self.listen)

    def _settings(self, entry: Entry, seed: int, teacher: str | None) -> dict[str, Any]:
        settings = self.recipe.model_dump(mode="json", exclude_none=True)
        settings |= {"seed": seed, "baseline": False}
        settings["method"] = {"name": entry.method, "arguments": dict(entry.arguments)}
        if teacher is not None:
            settings["teacher"]["weights"] = teacher
        return settings

    def _every(self) -> tuple[Entry, ...]:
        return (Entry(BASELINE, "alone"), *self.entries)

    def _chosen(self, teacher: str | None) -> dict[str, tuning.Setting]:
        """The settings found for every entry by a search of the same size; nothing without a search."""
        found = {}
        for entry in self._every() if self.search else ():
            settings, place = self._settings(entry, self.seeds[0], teacher), self.folder / "trials" / safe_name(entry.name)
            try:
                found[entry.name] = tuning.tuned(settings, entry.name, self.search, place, self._say)[0]
            except UserError as error:
                if isinstance(error.__cause__, OSError):
                    raise
                self._say(str(error))  # its runs fail too, and are rows that say so
        return found

    def _say(self, text: str) -> None:
        self.listen(Say(text))

    def _jobs(self, teacher: str | None, chosen: Mapping[str, tuning.Setting] | None = None) -> list[Job]:
        """All runs, seed by seed; only method and seed differ between their settings, and what a search chose."""
        made = []
        for seed in self.seeds:
            for entry in self._every():
                settings = self._settings(entry, seed, teacher)
                if chosen and entry.name in chosen:
                    settings["method"]["arguments"] = dict(chosen[entry.name].arguments)
                    settings["train"]["lr"] = chosen[entry.name].lr
                made.append(Job(entry.name, seed, settings, str(run_folder(self.folder, entry.name, seed).resolve())))
        return made

    def _teacher(self) -> str | None:
        """The weights that every run gets: given ones, or one teacher trained here, once, with the first seed."""
        needs = any("teacher" in methods.make(e.method, e.arguments).roles() for e in self.entries)
        if self.recipe.teacher.weights is not None or not needs:
            return self.recipe.teacher.weights
        folder = (self.folder / "teacher").resolve()
        if not (folder / "teacher.safetensors").exists():
            own = self.recipe.teacher
            settings = self.recipe.model_dump(mode="json", exclude_none=True)
            settings |= {"seed": self.seeds[0], "baseline": False, "onnx": False}
            settings["method"] = {"name": "alone"}
            settings["student"] = own.model_dump(mode="json", exclude_none=True)
            settings["train"] |= {k: v for k, v in (("epochs", own.epochs), ("lr", own.lr)) if v is not None}
            folder.mkdir(parents=True, exist_ok=True)
            own_run = Session(open_sources(make(settings), listen=self.listen), folder, self.listen)
            left = last(own_run.steps())
            assert left is not None
            conclude(left, self.listen)
            save_weights(left.entries["student"].cast["student"], folder / "teacher.safetensors")
        return str(folder / "teacher.safetensors")

    def _open(self) -> None:
        """Write what the comparison is, or see that the folder holds this one; forget failures worth another go."""
        path = self.folder / "comparison.json"
        entries = {e.name: {"name": e.name, "method": e.method, "arguments": dict(e.arguments)} for e in self.entries}
        seeds = list(self.seeds)
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            earlier = {e["name"]: e for e in known["entries"]}
            changed = [name for name in entries if name in earlier and _plain(earlier[name]) != _plain(entries[name])]
            if known["recipe"] != dump(self.recipe) or known.get("search", 0) != self.search or changed:
                raise UserError(f"{self.folder} holds a comparison with other settings; give another name with --out")
        elif self.folder.exists() and any(p.name != LOCK for p in self.folder.iterdir()):
            raise UserError(f"folder {self.folder} exists and is not a comparison; give another name with --out")
        with atomic_write(self.folder / "compare.toml", text=True) as file:
            file.write(to_toml(self.recipe, self.entries, len(seeds), self.search))
        facts = {"recipe": dump(self.recipe), "entries": list(entries.values()), "seeds": seeds, "search": self.search}
        with atomic_write(path, text=True) as file:
            json.dump(facts, file, indent=1)
        for failed in (self.folder / "runs").glob("*/failed.json"):
            if json.loads(failed.read_text(encoding="utf-8")).get("again"):
                failed.unlink()


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=list)


@dataclass(frozen=True)
class Asked:
    """What a comparison shall be: which methods, how many seeds, how many runs at a time, where."""

    entries: Sequence[Entry]
    seeds: int = 5
    jobs: int = 1
    on: str = "here"
    search: int = 0

    def over(self, recipe: Recipe, folder: Path, listen: Listener) -> Comparison:
        """The comparison of it with a recipe; seeds count from the recipe's."""
        seeds = range(recipe.seed, recipe.seed + self.seeds)
        return Comparison(recipe, self.entries, seeds, folder, listen, self.jobs, self.on, self.search)


def asked(
    table: Mapping[str, Any],
    methods: str | Sequence[str] | None,
    seeds: int | None,
    jobs: int | None,
    on: str | None,
    search: int | None = None,
) -> Asked:
    """A recipe's `[compare]` table (see `table_of`) and the options of the command line, which win."""
    options = {"methods": methods, "seeds": seeds, "jobs": jobs, "on": on, "search": search}
    given = dict(table) | {key: value for key, value in options.items() if value is not None}
    if "methods" not in given:
        raise UserError("no methods to compare; give --methods kd,dkd or a recipe with [compare] methods = [...]")
    entries, count, at_once = parse_entries(given["methods"]), given.get("seeds", 5), given.get("jobs", 1)
    for option, value in (("--seeds", count), ("--jobs", at_once)):
        if value < 1:
            hint = "; 3 or more are needed for an interval worth reading" if option == "--seeds" else ""
            raise UserError(f"{option} must be at least 1, got {value}{hint}")
    place = given.get("on", "processes" if at_once > 1 else "here")
    if place not in WAYS:
        raise unknown("way of working", place, WAYS)
    trials = given.get("search", 0)
    if trials < 0 or trials == 1:
        raise UserError(f"--search must be 0 (settings as given) or at least 2 trials for each method, got {trials}")
    return Asked(entries, count, at_once, place if at_once == 1 or place != "here" else "processes", trials)


def table_of(table: object) -> dict[str, Any]:
    """The `[compare]` table of a recipe file, checked: methods, seeds, jobs, on, search.

    >>> table_of({"methods": ["kd", "dkd"], "seeds": 3})
    {'methods': ['kd', 'dkd'], 'seeds': 3}
    """
    kinds = {"methods": list, "seeds": int, "jobs": int, "on": str, "search": int}
    if not isinstance(table, Mapping):
        raise UserError(f"compare = {table!r} in the recipe: write a table, [compare] with methods = [...] and seeds = N")
    for key, value in table.items():
        if key not in kinds:
            raise unknown("setting in the recipe:", f"compare.{key}", [f"compare.{k}" for k in kinds])
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise UserError(f"compare.{key} = {value!r} in the recipe cannot be used: write a {kinds[key].__name__}")
    return dict(table)


def to_toml(recipe: Recipe, entries: Sequence[Entry], seeds: int, search: int = 0) -> str:
    """A recipe file that asks for this comparison: `limbeck compare --recipe FILE`."""
    import tomli_w

    words = [":".join([e.method, *(f"{k}={json.dumps(v)}" for k, v in e.arguments.items())]) for e in entries]
    table = {"methods": words, "seeds": seeds, **({"search": search} if search else {})}
    return tomli_w.dumps({"compare": table, **recipe.model_dump(mode="json", exclude_none=True)})


__all__ = ["Asked", "Comparison", "Entry", "asked", "fresh_folder", "parse_entries", "table_of"]
