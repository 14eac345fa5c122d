"""The result in plain words, with what the test samples can and cannot tell."""

from limbeck.cards.schema import ModelEntry, median_of
from limbeck.cards.words import count, number, percent
from limbeck.report.read import RunView
from limbeck.tasks.figure import FigureInfo, known, score_in, spoken_in
from limbeck.tasks.keeping import LONGER, STARTED

OTHERS = (
    ("teacher", "its teacher"),
    ("baseline", "the supervised baseline"),
    (STARTED, "the baseline that starts from the teacher, too"),
    (LONGER, "the baseline that was trained for as long"),
)


def headline(view: RunView) -> list[str]:
    """Sentences that say what came out; none without a student in the card."""
    student = view.models.get("student")
    if not student or not known(student.get("score")):
        return []
    teacher, baseline = view.models.get("teacher"), view.models.get("baseline")
    found = [_first(student, teacher, spoken_in(view.card))]
    for who, name in OTHERS:
        other = view.models.get(who)
        if other and known(other.get("score")):
            found.append(_against(view, student, other, who, name))
    if baseline or teacher:
        found.append("This is one seed: it does not show how the result varies from seed to seed.")
    return found


def _first(student: ModelEntry, teacher: ModelEntry | None, score: FigureInfo) -> str:
    sentence = score.sentence or f"reaches {{}} {score.title} on the test samples"
    right = f"The student {sentence.format(score.text(_value(student, score)))}"
    mine, theirs = student.get("parameters"), (teacher or {}).get("parameters")
    if known(mine) and known(theirs) and mine and theirs:
        ratio = theirs / mine
        size = (
            f"{number(ratio)} times fewer"
            if ratio > 1.005
            else "as many"
            if ratio > 0.995
            else f"{number(1 / ratio)} times as many"
        )
        return f"{right} with {size} parameters than its teacher.".replace("as many parameters than", "as many parameters as")
    return f"{right} with {count(mine)} parameters." if known(mine) else right + "."


def _value(entry: ModelEntry, figure: FigureInfo) -> float | None:
    """A model's value of a figure, the score or another."""
    found = entry.get("figures") or {}
    return found.get(figure.key, entry.get("score"))


def _against(view: RunView, student: ModelEntry, other: ModelEntry, who: str, name: str) -> str:
    score = spoken_in(view.card)
    mine, theirs = _value(student, score), _value(other, score)
    if not known(mine) or not known(theirs):
        return f"{name} has no {score.title} to compare with.".capitalize()
    gap = mine - theirs
    if abs(gap) < 5e-5 * (1 if score.share else max(abs(mine), abs(theirs))):
        return f"It is level with {name}."
    words = f"It is {score.gap(gap)} {'above' if gap > 0 else 'below'} {name}"
    p = view.chance(who)
    if p is None:
        return words + "."
    n = count(len(view.kept.predictions["student"])) if view.kept is not None else ""
    if p < 0.05:
        return f"{words}: the two can be told apart on {n} test samples (p = {number(p, 2)})."
    return f"{words}: they cannot be told apart on {n} test samples (p = {p:.2f}), so it may be chance."


Tile = tuple[str, str, tuple[str, ...]]  # a number's name, the number, and lines on what it stands beside


def numbers(view: RunView) -> list[Tile]:
    """What the student keeps of its teacher, how much smaller and faster it is; what is not known is left out."""
    student, teacher = view.models.get("student"), view.models.get("teacher", {})
    if not student:
        return []
    found = _kept(view, student, teacher)
    small, large = student.get("parameters"), teacher.get("parameters")
    if known(small) and known(large) and small and large:
        found.append(("smaller", _times(large / small), (f"{count(small)} parameters, teacher {count(large)}",)))
    quick, slow = median_of(student), median_of(teacher)
    if known(quick) and known(slow) and quick and slow:
        found.append(("faster", _times(slow / quick), (f"{number(quick)} ms per sample, teacher {number(slow)} ms",)))
    return found


def _times(ratio: float) -> str:
    return f"{number(ratio)} times"


def _kept(view: RunView, student: ModelEntry, teacher: ModelEntry) -> list[Tile]:
    """The share of the teacher's score, or the task's own figure where a share of it means nothing; the baseline beside it."""
    score, said = score_in(view.card), spoken_in(view.card)
    mine, theirs = student.get("score"), teacher.get("score")
    if not known(mine):
        return []
    own, other = said.text(_value(student, said)), said.text(_value(teacher, said)) if teacher else ""
    if said == score and known(theirs) and mine >= 0 and theirs > 0 and score.better == "higher":
        return [(f"{score.title} kept", percent(mine / theirs, 1), (f"{own}, teacher {other}", *_baseline(view)))]
    return [(said.title, own, (*([f"teacher {other}"] if other else []), *_baseline(view)))]


def _baseline(view: RunView) -> list[str]:
    """The baseline's score, and whether the student can be told apart from it on the test samples."""
    baseline, student, score = view.models.get("baseline"), view.models["student"], spoken_in(view.card)
    mine, other = _value(student, score), None if not baseline else _value(baseline, score)
    if not known(other) or not known(mine):
        return []
    p = view.chance("baseline")
    told = "" if p is None else ": can be told apart" if p < 0.05 else ": cannot be told apart"
    return [f"baseline {score.text(other)}{told}"]
