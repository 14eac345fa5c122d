"""The page of evidence: what measurements say of the methods, counted from their files, and what nobody measured."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from limbeck.catalogue.figures import RESULTS, lines
from limbeck.catalogue.survey.measured import measured, verdict
from limbeck.metrics.significance import mean_interval

HEAD = """# Evidence

What was measured, what it can show, and what is unproven. The counts and lists below are made from the files of the
measurements (`bench/results`) by `make docs`; each names the command that writes them. Nothing here reproduces a paper's
accuracy: losses are tested against numbers from the authors' public code or by hand, defaults are the authors', for their data
and not for yours."""
REST = """## What is unproven

- Published accuracies of whole methods have not been reproduced. Nothing larger than CIFAR-10 at 20,000 images has been run: no
  ImageNet; of language models one of 135 million parameters, for minutes, [without a gain](language.md#what-was-measured).
- Five epochs and fifteen give [different orders](comparisons.md) of the same methods on the same data: a short comparison ranks
  short trainings.
- Figures of the survey's systems come from networks of 5,000 to 80,000 parameters on a few thousand images: enough to see
  whether a method learns and beats the supervised baseline. Two of the rows that lie below it use no real data.
- Methods for detection, text and segmentation have been run on little more than one data set each (`python -m bench.tasks`,
  `bench.text`).
- Several processes (`torchrun`) and mixed precision go through Accelerate. Two processes on CPUs give the losses of one;
  nothing has been measured on several GPUs. [One GPU](gpu.md) was.
- Folders of transformers are tested with models that the tests and `bench.folders` fine-tune themselves; no published
  checkpoint was tried; `timm:NAME` is not tested against timm.
- Latency holds for the machine and the number of threads on the card, not for your device.
- Pictures in the documents show one seed each; a page says itself whether its student can be told apart from its baseline."""


def page(names: Sequence[str], results: Path = RESULTS) -> str:
    """The page as Markdown. names: of all methods."""
    parts = [HEAD, _catalogue(results), _larger(results), _survey(), _demo(results), _none(names), REST]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()] if path.exists() else []


def _gaps(path: Path) -> dict[str, list[float]]:
    """Points over no teacher, by method: a number for each seed, paired."""
    score = {(str(row["method"]), row["seed"]): 100 * float(str(row["score"])) for row in _rows(path)}
    found: dict[str, list[float]] = {}
    for (method, seed), value in score.items():
        if method != "alone" and ("alone", seed) in score:
            found.setdefault(method, []).append(value - score["alone", seed])
    return found


def sides(gaps: Sequence[float]) -> str:
    """Where the 95 % interval over seeds lies.

    >>> sides([1.0, 1.1, 0.9]), sides([1.0, -1.0, 0.2]), sides([-1.0, -1.1])
    ('above', 'around', 'below')
    """
    _, low, high = mean_interval(gaps)
    return "above" if low > 0 else "below" if high < 0 else "around"


def _counted(gaps: dict[str, list[float]]) -> str:
    many = Counter(sides(values) for values in gaps.values() if len(values) > 1)
    above = f"the gain of {many['above']} lies above zero with its whole 95 % interval"
    return f"{above}, that of {many['below']} below, and {many['around']} are not settled"


def _catalogue(results: Path) -> str:
    gaps = _gaps(results / "catalogue.jsonl")
    if not gaps:
        return ""
    return (
        "## The catalogue on 300 digits\n\n"
        "`python -m bench.catalogue` trains every method that fits on 300 of scikit-learn's digits: 20 epochs, three seeds, "
        "defaults. "
        f"Of {len(gaps)} methods, {_counted(gaps)}. It says how a method behaves untuned and in a hurry. "
        "[Each method's page](methods.md) has its figures."
    )


def _larger(results: Path) -> str:
    names = ("kd", "attention", "dkd", "fitnets")
    found = [f"- {name}: {line}" for name in names for line in lines(name, results) if "cifar10.py" in line]
    head = "## A published teacher on CIFAR-10\n\n`python -m bench.cifar10`, mean and 95 % interval over seeds:\n\n"
    return head + "\n".join(found) if found else ""


def _survey() -> str:
    found = [verdict(row) for row in measured().values()]
    if not found:
        return ""
    better, worse = (sum(words.startswith(start) for words in found) for start in ("better", "worse"))
    return (
        f"## The 27 systems of a survey\n\n`python -m bench.survey`, three seeds: of {len(found)} rows {better} are better than "
        f"their baseline (the 95 % interval of the gain lies above zero), {worse} are worse, and {len(found) - better - worse} "
        "are not settled. `limbeck survey` has the table, with the cause of each miss where it was found."
    )


DEMOS = (  # file of results, heading, command, who learns what
    ("demo", "Handwritten digits", "python -m bench.demo", "`kd`, 30 epochs, a student 219 times smaller than its teacher"),
    ("photographs", "Photographs", "python -m bench.demo --photos",
     "the rule `auto`, 10 epochs, a student that starts from its teacher and is 15 times smaller"),
)  # fmt: skip


def _demo(results: Path) -> str:
    """The demos over their seeds."""
    parts = []
    for file, head, command, what in DEMOS:
        path = results / f"{file}.json"
        rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        if not rows:
            continue
        said = [f"## {head}", f"`{command}`, {len(rows)} seeds: {what}."]
        found = [f"- vs {who}: {line}" for who in ("baseline", "baseline-started") if (line := _against(rows, who))]
        parts.append("\n\n".join([*said, "\n".join(found)]))
    return "\n\n".join(parts)


def _against(rows: Sequence[dict[str, float]], who: str) -> str:
    """The student's mean difference to another model with its interval; "" where that was not trained."""
    gaps = [row["student"] - row[who] for row in rows if who in row]
    if len(gaps) < len(rows):
        return ""
    mean, low, high = mean_interval(gaps)
    told = {"above": "beyond chance", "below": "below zero", "around": "not settled"}[sides(gaps)]
    return f"{mean:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}: {told}."


def _none(names: Sequence[str]) -> str:
    found = [name for name in names if not lines(name)]
    listed = ", ".join(f"[{name}](methods/{name}.md)" for name in found)
    words = f"{len(found)} of {len(names)} methods have no figure on their pages: {listed}."
    others = (
        "Figures of [language models](language.md#what-was-measured) and [encoders](encoders.md#what-is-measured) have pages."
    )
    return f"## Methods without a figure\n\n{words} {others}" if found else ""
