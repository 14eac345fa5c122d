"""What a search answers: one student, checked from its files, or that nothing fits, with the nearest miss."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from limbeck.cards.model_card import write_model_card
from limbeck.cards.schema import Card
from limbeck.cards.words import bytes_words, number
from limbeck.data import Data
from limbeck.deploy.device import ask
from limbeck.deploy.shipment import Shipment, keep, some, travelling
from limbeck.deploy.student import load_student
from limbeck.errors import UserError
from limbeck.shrinking.fitting import Fitting
from limbeck.shrinking.limits import Limits
from limbeck.shrinking.schema import CandidateRow, ChosenStudent, Cost, TrialRow, Verdict
from limbeck.tasks.figure import FigureInfo, score_in


def nothing(limits: Limits, rows: Sequence[CandidateRow], floor_ms: float) -> Verdict:
    """No candidate keeps latency and size: which came nearest, and what would let it in."""
    measured = [row for row in rows if "latency_ms" in row]
    if limits.latency is not None and floor_ms > 1e3 * limits.latency:
        least = f"even a file that computes almost nothing takes {number(floor_ms)} ms there"
        words = [f"Nothing fits: {least}, more than {number(1e3 * limits.latency)} ms."]
        return {"chosen": None, "words": [*words, f"Relax --max-latency to more than {number(floor_ms)} ms."], "nearest": None}
    if not measured:
        small = min((row for row in rows if row["parameters"]), key=lambda row: row["parameters"] or 0, default=None)
        why = f" The smallest, {small['name']}, was {small['dropped']}." if small else ""
        words = [f"Nothing fits: no candidate could be measured within the limits.{why}", *_relax(limits, small)]
        return {"chosen": None, "words": words, "nearest": small["name"] if small else None}
    near = min(measured, key=lambda row: limits.excess(row["latency_ms"], row["bytes"]))
    words = [f"Nothing fits. The nearest miss is {near['name']}: {near['dropped']}.", *_relax(limits, near)]
    return {"chosen": None, "words": words, "nearest": near["name"]}


def _relax(limits: Limits, row: CandidateRow | None) -> list[str]:
    """Which limit to relax, and to what, so that a candidate fits."""
    if row is None:
        return ["Name smaller students with --candidates."]
    found = []
    if limits.latency is not None and row.get("latency_ms", 0.0) > 1e3 * limits.latency:
        found.append(f"--max-latency {number(1.1 * row['latency_ms'])}ms")
    size = row.get("bytes") or 4 * (row["parameters"] or 0)
    if limits.size is not None and size > limits.size:
        found.append(f"--max-size {-(-int(1.05 * size) // 1000)}kB")
    return [f"It would fit with {' and '.join(found)}; or name smaller students with --candidates."] if found else []


def front(trials: Sequence[TrialRow], cost: Cost) -> list[TrialRow]:
    """The trainings that no other beats in both validation score and cost, cheapest first.

    >>> rows = [{"validation": v, "bytes": c} for v, c in ((0.8, 2), (0.9, 3), (0.7, 1), (0.85, 3))]
    >>> [row["validation"] for row in front(rows, "bytes")]
    [0.7, 0.8, 0.9]
    """
    best, found = float("-inf"), []
    for row in sorted(trials, key=lambda row: (row[cost], -reached(row))):
        if reached(row) > best:
            best = reached(row)
            found.append(row)
    return found


def reached(trial: TrialRow) -> float:
    """The score on validation of a training that has one."""
    value = trial["validation"]
    assert value is not None, trial["candidate"]
    return value


@dataclass(frozen=True)
class Guess:
    """What answering always the same reaches on validation, and how much of that is the luck of its samples."""

    score: float
    margin: float

    @staticmethod
    def on(data: Data) -> "Guess | None":
        """Of a classification: always the most frequent class; None where there is no such answer."""
        labels = data["validation"].labels
        if data.task.name != "classify" or labels is None or not len(labels):
            return None
        share = float(torch.bincount(labels.long(), minlength=1).max()) / len(labels)
        return Guess(share, 1.96 * (share * (1 - share) / len(labels)) ** 0.5)


def choose(
    limits: Limits,
    rows: Sequence[CandidateRow],
    trials: Sequence[TrialRow],
    score: FigureInfo = FigureInfo(),  # noqa: B008
    *,
    guess: Guess | None = None,
    time_up: bool = False,
) -> Verdict:
    """The best on validation among those trained to the end; of equals the faster one. None is chosen that is no better than a
    guess, or worse than a training that was cut off already was; and that the time ran out is said first."""
    done = [t for t in trials if t["state"] == "complete" and t["validation"] is not None]
    first = (
        [f"Time ran out after {len(done)} trained student{'' if len(done) == 1 else 's'}; give more --time."] if time_up else []
    )
    if not done:
        why = next((t["error"] for t in trials if t.get("error")), None)
        said = f" The first training failed: {why}" if why else " Give more --time, or fewer --epochs."
        return {"chosen": None, "nearest": None, "words": [*first, f"No student was trained to the end.{said}"]}
    best = max(done, key=lambda t: (reached(t), -t["latency_ms"], -t["bytes"]))
    if why := _not_worth_it(best, trials, score, guess):
        return {"chosen": None, "nearest": best["candidate"], "words": [*first, why]}
    if limits.score is None or reached(best) >= limits.score:
        return {"chosen": best, "nearest": best["candidate"], "words": [*first, _described(best, len(done), score)]}
    words = [
        *first,
        f"Nothing fits: of {len(done)} trained students the best, {best['candidate']}, reaches "
        f"{score.text(best['validation'], 2)} on validation, less than {score.text(limits.score, 2)}.",
        f"Relax --min-score to {best['validation']:.3f}, give more --time or --epochs, or allow more cost:",
    ]
    larger = [r for r in rows if r["dropped"] and "latency_ms" in r]
    words += [f"{r['name']} was excluded: {r['dropped']}." for r in larger[:2]]
    return {"chosen": None, "nearest": best["candidate"], "words": words}


def _not_worth_it(best: TrialRow, trials: Sequence[TrialRow], score: FigureInfo, guess: Guess | None) -> str:
    """Why the best of those trained to the end is no answer; nothing where it is one."""
    its = f"the best student that was trained to the end, {best['candidate']}, reaches {score.text(best['validation'], 2)}"
    if guess is not None and reached(best) <= guess.score + guess.margin:
        always = f"always answering the most frequent class reaches {score.text(guess.score, 2)} there"
        return f"No student is better than chance: {its} on validation, and {always}. Give more --time or --epochs."
    cut = [t for t in trials if t["state"] not in ("complete", "pruned") and not t.get("error") and t["validation"] is not None]
    ahead = max(cut, key=reached, default=best)
    if reached(ahead) > reached(best):
        already = f"{ahead['candidate']} had already {score.text(ahead['validation'], 2)} when it was cut off"
        return f"No student is chosen: {its} on validation, and {already}. Give more --time or fewer --epochs."
    return ""


def _described(trial: TrialRow, count: int, score: FigureInfo) -> str:
    settings = ", ".join(f"{k} {v:.3g}" for k, v in trial["settings"].items())
    best = f"{trial['candidate']} ({settings}) is the best on validation"
    return f"Of {count} trained students {best}: {score.title} {score.text(trial['validation'], 2)}."


def verified(fitting: Fitting, folder: Path, card: Card, typed: Collection[str]) -> ChosenStudent:
    """The chosen student as the file that is shipped: exported, reloaded, compared, and measured again three times.

    typed: models that the user named.
    """
    student, info = load_student(folder, typed=typed)
    shipment = Shipment(student, fitting.data, folder, "student", travelling(info, fitting.data), fitting.say)
    keep(folder, shipment.begun((fitting.format,), fitting.int8), fitting.data)
    rows = shipment.go((fitting.format,), fitting.int8)
    keep(folder, rows, fitting.data)
    row = rows[-1]
    if "error" in row:
        raise UserError(f"the chosen student could not be exported: {row['error']}")
    path, example = folder / row["file"], some(fitting.data["train"], fitting.data, 2)
    seen = ask([fitting.job(path, example)] * 3, fitting.place)
    latency = median(s.figures["latency_ms"]["1"]["median"] for s in seen)
    write_model_card(folder)
    part, judged = ("test", row["test"]) if "test" in row else ("validation", row["validation"])
    score, value, count, whole = score_in(card), judged["score"], judged["samples"], len(fitting.data[part])
    of = "" if count == whole else f" ({count:,} of {whole:,} samples)"
    broken = fitting.limits.broken_by(latency, row["bytes"])
    figures = f"{part} {score.title} {score.text(value, 2)}{of}, {number(latency)} ms, {bytes_words(row['bytes'])}"
    words = [f"Its file {row['file']}: {figures}, in {folder}."]
    words += [f"Measured again, {' and '.join(broken)}: the limit lies within the noise of this machine."] if broken else []
    if fitting.limits.score is not None and value is not None and value < fitting.limits.score:
        words.append(f"On test it is below {score.text(fitting.limits.score, 2)}, which it passed on validation.")
    return {
        "folder": folder.name,
        "file": row["file"],
        "score": value,
        "latency_ms": latency,
        "bytes": row["bytes"],
        "distillation_score": card.get("distillation_score"),
        "words": words,
    }
