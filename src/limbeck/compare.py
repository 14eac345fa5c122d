"""Many methods, several seeds, one fair table: a loop over runs, and the statistics of what they left.

Every method and the baseline get the same teacher, data, budget, schedule and, per seed, the same initial
weights, order of samples and views. Nothing is chosen by its result here.
"""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck.casting import method_of
from limbeck.errors import UserError
from limbeck.evaluate.significance import Paired, corrected, mean_interval, paired, plus_minus, seeds_needed
from limbeck.files import atomic_write
from limbeck.models import save_weights
from limbeck.recipe import Recipe, dump, make
from limbeck.run import Run, write_json

BASELINE = "baseline"


@dataclass(frozen=True)
class Entry:
    """One line of the comparison: a method with its settings under a name; the baseline is one of them."""

    name: str
    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def parse_entries(words: str) -> list[Entry]:
    """`kd,dkd,kd:temperature=2:alpha=0.5` -> entries; the same method may come with several settings.

    >>> [e.name for e in parse_entries("kd, kd:temperature=2")]
    ['kd', 'kd:temperature=2']
    """
    from limbeck.recipe import parse_value

    entries = []
    for word in filter(None, (w.strip() for w in words.split(","))):
        name, *settings = word.split(":")
        pairs = [s.partition("=") for s in settings]
        if any(not equals for _, equals, _ in pairs):
            raise UserError(f"method {word!r}: write NAME:SETTING=VALUE, for example kd:temperature=2")
        entries.append(Entry(word, name, {k: parse_value(v) for k, _, v in pairs}))
        method_of({"name": name, "arguments": entries[-1].arguments})
    names = [e.name for e in entries]
    if not entries or len(set(names)) < len(names):
        raise UserError(f"name at least one method, each once; got {words!r}")
    return entries


def fresh_folder(recipe: Recipe) -> Path:
    """The next free folder for a comparison on this data."""
    stem = f"{Path(recipe.data.name).stem}-compare"
    return next(p for p in (Path("runs") / f"{stem}-{n}" for n in range(1, 10**6)) if not p.exists())


def need_seeds(count: int) -> int:
    """At least one seed; a sentence otherwise."""
    if count < 1:
        raise UserError(f"--seeds must be at least 1, got {count}; 3 or more are needed for an interval worth reading")
    return count


@dataclass
class Comparison:
    """A comparison and its folder: `runs/`, `comparison.json`, `leaderboard.json`.

    listen hears the runs' events and "run" events {"entry", "seed", "done", "total"}.
    """

    recipe: Recipe
    entries: Sequence[Entry]
    seeds: Sequence[int]
    folder: Path
    listen: Callable[[str, Mapping[str, Any]], None] = lambda kind, facts: None

    def go(self) -> dict[str, Any]:
        """Do what is left of the runs and return the leaderboard. A run that fails is a row that says why."""
        self._open()
        teacher = self._teacher()
        jobs = [(entry, seed) for seed in self.seeds for entry in (Entry(BASELINE, self._alone()), *self.entries)]
        results = []
        for number, (entry, seed) in enumerate(jobs):
            self.listen("run", {"entry": entry.name, "seed": seed, "done": number, "total": len(jobs)})
            results.append(self.one(entry, seed, teacher))
        board = leaderboard(results, self.recipe, [BASELINE, *(e.name for e in self.entries)], list(self.seeds))
        write_json(self.folder / "leaderboard.json", board)
        return board

    def one(self, entry: Entry, seed: int, teacher: str | None) -> dict[str, Any]:
        """One run, unless its card is there already: {"entry", "seed", and "card" or "error"}."""
        folder = self.folder / "runs" / f"{_safe(entry.name)}-seed{seed}"
        done, failed = folder / "card.json", folder / "failed.json"
        if failed.exists():
            return json.loads(failed.read_text(encoding="utf-8"))
        if not done.exists():
            settings = self.recipe.model_dump(mode="json", exclude_none=True)
            settings |= {"seed": seed, "baseline": False, "method": {"name": entry.method, "arguments": dict(entry.arguments)}}
            if teacher is not None:
                settings["teacher"]["weights"] = teacher
            try:
                folder.mkdir(parents=True, exist_ok=True)
                Run(make(settings), folder, listen=self.listen).go()
            except Exception as error:  # a crashed run is a row of the table, not the end of it
                why = str(error) if isinstance(error, UserError) else traceback.format_exc(limit=3)
                result = {"entry": entry.name, "seed": seed, "error": why}
                write_json(failed, result)
                return result
        return {"entry": entry.name, "seed": seed, "card": json.loads(done.read_text(encoding="utf-8"))}

    def _alone(self) -> str:
        return "alone_tree" if self.recipe.student.model == "tree" else "alone"

    def _teacher(self) -> str | None:
        """The weights that every run gets: given ones, or one teacher trained here, once, with the first seed."""
        needs = any("teacher" in method_of({"name": e.method, "arguments": e.arguments}).roles() for e in self.entries)
        if self.recipe.teacher.weights is not None or not needs:
            return self.recipe.teacher.weights
        if not (self.folder / "teacher" / "teacher.safetensors").exists():
            own = self.recipe.teacher
            settings = self.recipe.model_dump(mode="json", exclude_none=True)
            settings |= {"seed": self.seeds[0], "baseline": False, "onnx": False, "method": {"name": "alone"}}
            settings["student"] = own.model_dump(mode="json", exclude_none=True)
            settings["train"] |= {k: v for k, v in (("epochs", own.epochs), ("lr", own.lr)) if v is not None}
            (self.folder / "teacher").mkdir(parents=True, exist_ok=True)
            run = Run(make(settings), self.folder / "teacher", listen=self.listen)
            run.go()
            assert run.deployed is not None
            save_weights(run.deployed.cast["student"], self.folder / "teacher" / "teacher.safetensors")
        return str(self.folder / "teacher" / "teacher.safetensors")

    def _open(self) -> None:
        facts = {"recipe": dump(self.recipe), "entries": [vars(e) | {"arguments": dict(e.arguments)} for e in self.entries],
                 "seeds": list(self.seeds)}  # fmt: skip
        path = self.folder / "comparison.json"
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["recipe"] != facts["recipe"]:
                raise UserError(f"{self.folder} holds a comparison with other settings; give another name with --out")
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise UserError(f"folder {self.folder} exists and is not a comparison; give another name with --out")
        with atomic_write(path, text=True) as file:
            json.dump(facts, file, indent=1)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "=_.-" else "_" for c in name)


# ------------------------------------------------------------------------------------------ the table


def leaderboard(results: Sequence[Mapping[str, Any]], recipe: Recipe, names: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Rows per method, best first, with paired differences to the baseline and to the best, and a verdict."""
    by = {name: {r["seed"]: r["card"] for r in results if r["entry"] == name and "card" in r} for name in names}
    failed = {name: [r["error"] for r in results if r["entry"] == name and "error" in r] for name in names}
    rows = [_row(name, by[name], failed[name]) for name in names]
    ranked = sorted((r for r in rows if r["seeds"]), key=lambda r: -r["accuracy"]["mean"])
    if ranked:
        _compare(rows, by, BASELINE, "to_baseline")
        best = next((r["name"] for r in ranked if r["name"] != BASELINE), ranked[0]["name"])
        _compare(rows, by, best, "to_best")
    ordered = [*ranked, *(r for r in rows if not r["seeds"])]
    first = next((card for cards in by.values() for card in cards.values()), {})
    return {
        "rows": ordered,
        "verdict": verdict(ordered),
        "ranking_by_alpha": _ranking_by_alpha(ordered),
        "alpha": recipe.alpha,
        "seeds": list(seeds),
        "budget": recipe.train.model_dump(),
        "data": first.get("data"),
        "teacher": (first.get("models") or {}).get("teacher"),
        "hyperparameters": "as given or the method's defaults; none was chosen by its result here",
    }


def _row(name: str, cards: Mapping[int, Mapping[str, Any]], errors: Sequence[str]) -> dict[str, Any]:
    students = [card["models"]["student"] for card in cards.values()]
    mean, low, high = mean_interval([100 * s["accuracy"] for s in students])

    def average(key: Callable[[Mapping[str, Any]], float | None]) -> float | None:
        found = [v for v in map(key, students) if v is not None]
        return sum(found) / len(found) if found else None

    scores = [c["distillation_score"] for c in cards.values() if c["distillation_score"] is not None]
    return {
        "name": name,
        "seeds": sorted(cards),
        "accuracies": {str(seed): 100 * cards[seed]["models"]["student"]["accuracy"] for seed in sorted(cards)},
        "accuracy": {"mean": mean, "low": low, "high": high},
        "worst_class": average(lambda s: 100 * s["worst_class"]["accuracy"]),
        "agreement": average(lambda s: None if s["agreement_with_teacher"] is None else 100 * s["agreement_with_teacher"]),
        "calibration_error": average(lambda s: s["calibration_error"]),
        "parameters": average(lambda s: s["parameters"]),
        "bytes": average(lambda s: s["bytes"]),
        "latency_ms": average(lambda s: s["latency_ms"]["median"]),
        "train_seconds": average(lambda s: s["train_seconds"]),
        "distillation_score": sum(scores) / len(scores) if scores else None,
        "size_ratio": next((1 - c["size_cut_percent"] / 100 for c in cards.values() if c["size_cut_percent"] is not None), None),
        "teacher_accuracy": next((100 * c["models"]["teacher"]["accuracy"] for c in cards.values() if "teacher" in c["models"]), None),
        "errors": list(errors),
    }


def _compare(rows: Sequence[dict[str, Any]], by: Mapping[str, Mapping[int, Any]], other: str, key: str) -> None:
    """Fill `row[key]` with the paired comparison to one of the methods, corrected over all rows."""
    if not by.get(other):
        return
    asked, found = [], []
    for row in rows:
        common = sorted(set(by[row["name"]]) & set(by[other]))
        if row["name"] != other and common:
            mine, theirs = ([100 * by[n][s]["models"]["student"]["accuracy"] for s in common] for n in (row["name"], other))
            asked.append(row)
            found.append(paired(mine, theirs))
    for row, comparison in zip(asked, corrected(found), strict=True):
        row[key] = {**vars(comparison), "to": other, "differs": comparison.differs, "seeds_needed": _finite(seeds_needed(comparison))}


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def _ranking_by_alpha(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The order by distillation score where it changes as alpha goes from 0 to 1."""
    usable = [r for r in rows if r["seeds"] and r["size_ratio"] is not None and r["teacher_accuracy"]]
    changes: list[dict[str, Any]] = []
    for step in range(0, 101, 5):
        alpha = step / 100
        score = {r["name"]: alpha * r["size_ratio"] + (1 - alpha) * (1 - r["accuracy"]["mean"] / r["teacher_accuracy"]) for r in usable}
        order = sorted(score, key=lambda name: (round(score[name], 12), name))
        if order and (not changes or changes[-1]["order"] != order):
            changes.append({"alpha": alpha, "order": order})
    return changes


# ---------------------------------------------------------------------------------------- the verdict


def verdict(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the table says, in sentences a person may repeat."""
    sentences = [_against_baseline(row) for row in rows if "to_baseline" in row]
    best = next((row for row in rows if row["seeds"] and row["name"] != BASELINE), None)
    if best is not None:
        near = [r for r in rows if "to_best" in r and not r["to_best"]["differs"] and r["name"] != BASELINE]
        if near:
            names = ", ".join(r["name"] for r in near)
            sentences.append(f"{best['name']} comes first, but cannot be told apart from {names} with these {len(best['seeds'])} seeds" + _more(near))
        elif len([r for r in rows if r["seeds"]]) > 2:
            sentences.append(f"{best['name']} is better than every other method here.")
    sentences += [f"{row['name']}: {len(row['errors'])} of its runs failed: {row['errors'][0].strip().splitlines()[-1]}" for row in rows if row["errors"]]
    return sentences


def _against_baseline(row: Mapping[str, Any]) -> str:
    c = Paired(**{k: row["to_baseline"][k] for k in ("difference", "low", "high", "p", "seeds", "spread", "p_corrected")})
    if c.seeds < 2:
        return f"{row['name']}: {c.difference:+.2f} points to the baseline with one seed; one seed shows no spread, use at least 3."
    if c.differs:
        word = "beats" if c.difference > 0 else "is worse than"
        return f"{row['name']} {word} the baseline by {plus_minus(Paired(abs(c.difference), c.low, c.high, c.p, c.seeds, c.spread))[1:]} points."
    need = row["to_baseline"]["seeds_needed"]
    more = f"about {need - c.seeds:.0f} more would be needed if it is as large as it looks" if need and need > c.seeds else "its size is not settled"
    return f"{row['name']} cannot be told apart from the baseline ({plus_minus(c)} points, {c.seeds} seeds); {more}."


def _more(near: Sequence[Mapping[str, Any]]) -> str:
    counts = [r["to_best"]["seeds_needed"] for r in near]
    if len(near) == 1 and counts[0] and counts[0] > len(near[0]["seeds"]):
        return f"; about {counts[0] - len(near[0]['seeds']):.0f} more would be needed."
    return "."
