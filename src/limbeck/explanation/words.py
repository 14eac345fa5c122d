"""The explanation in plain words: the gain and its parts first, then what else was seen."""

from collections.abc import Sequence

from limbeck.cards.words import number, percent
from limbeck.explanation.schema import Agreement, Corrupted, Explanation, Inside, Similarity, TakenApart
from limbeck.metrics.significance import Paired, PairedFacts, seeds_needed
from limbeck.tasks.figure import known


def verdict(found: Explanation) -> list[str]:
    """Sentences, the most important one first."""
    said = [*gain_words(found), *took_words(found["agreement"]), *corruption_words(found["corruptions"])]
    return said + inside_words(found["inside"])


def gain_words(found: Explanation) -> list[str]:
    """The gain of the soft labels, and which of its parts the seeds can tell from nothing."""
    gain = found["gain"]
    if "skipped" in gain:
        return [_one_seed(found), f"Which part of the soft labels helped was not tested: {gain['skipped']}."]
    seeds, method = len(gain["seeds"]), found["method"].get("name") or "kd"
    whole = gain["gain"]
    first = f"Over {seeds} {'seeds' if seeds > 1 else 'seed'}, the teacher's soft labels changed accuracy by {_points(whole)}"
    if seeds < 2:
        return [f"{first}; one seed shows no significance, so use --seeds 3 or more.", _list(gain)]
    sure = Paired.of(whole).differs
    first += f" against labels alone, {'more' if sure else 'no more'} than seeds differ by chance (p = {number(whole['p'], 2)})."
    more = f"The run's own method, {method}, does other things too; what is taken apart here are soft labels by themselves."
    return [first, _list(gain), _who_did_it(gain), *_control(gain), *([] if method == "kd" else [more])]


def _one_seed(found: Explanation) -> str:
    overall = found["agreement"]["overall"]["accuracy"]
    if "baseline" not in overall:
        each = f"The student gets {percent(overall['student'])} right, its teacher {percent(overall['teacher'])}"
        return f"{each}; there is no baseline."
    gap = 100 * (overall["student"] - overall["baseline"])
    return f"In this run the student is {abs(gap):.1f} points {'above' if gap >= 0 else 'below'} its baseline; that is one seed."


def _list(gain: TakenApart) -> str:
    return "Part by part: " + "; ".join(f"{name} {_points(part)}" for name, part in gain["parts"].items()) + "."


def _who_did_it(gain: TakenApart) -> str:
    """Names the parts that differ from nothing after correction; without one, says so."""
    clear = {name: part for name, part in gain["parts"].items() if Paired.of(part).differs}
    if not clear:
        return f"No single part is significant with these seeds (corrected for three comparisons){_more_seeds(gain)}."
    helped = sorted((n for n, p in clear.items() if p["difference"] > 0), key=lambda n: -clear[n]["difference"])
    harmed = [n for n, p in clear.items() if p["difference"] < 0]
    said = []
    if helped:
        said.append(f"What helped, beyond chance: {', then '.join(helped)}")
    if harmed:
        said.append(f"what harmed: {', '.join(harmed)}")
    unclear = [n for n in gain["parts"] if n not in clear]
    close = f"; not significant: {', '.join(unclear)}" if unclear else ""
    text = "; ".join(said) + close + "."
    return text[:1].upper() + text[1:]


def _more_seeds(gain: TakenApart) -> str:
    """How many seeds would tell the largest part from nothing, if it is as large as it looks."""
    name, part = max(gain["parts"].items(), key=lambda item: abs(item[1]["difference"]))
    many = seeds_needed(Paired.of(part), level=0.05 / len(gain["parts"]))
    if many > 200 or many <= len(gain["seeds"]):
        return ""
    return f"; if {name} is worth as much as it looks, about {many:.0f} seeds would tell"


def _control(gain: TakenApart) -> list[str]:
    check = gain["against_shuffled"]
    if check["p"] is None:
        return []
    sure = "a difference beyond chance" if Paired.of(check).differs else "no difference beyond chance"
    return [f"As a check, with the other classes' probabilities shuffled instead of evened out: {_points(check)}, {sure}."]


def _points(part: PairedFacts) -> str:
    within = f" [{part['low']:+.2f}, {part['high']:+.2f}]" if known(part["low"]) else ""
    return f"{part['difference']:+.2f} points{within}"


def took_words(agreement: Agreement) -> list[str]:
    """What passed from teacher to student, in this run."""
    took, overall = agreement["took"], agreement["overall"]
    said = []
    if "baseline" in overall["agreement"]:
        mine, theirs = overall["agreement"]["student"], overall["agreement"]["baseline"]
        said.append(
            f"The student makes the teacher's prediction on {percent(mine)} of {overall['samples']} samples, "
            f"the baseline on {percent(theirs)}."
        )
    if many := took.get("baseline_alone_wrong"):
        said.append(
            f"Of the {many} {'samples' if many > 1 else 'sample'} that the teacher gets right and the baseline does not, "
            f"the student gets {percent(took['rescued'])} right."
        )
    if took["teacher_errors"] >= 5:
        shares = ", ".join(f"{who} {percent(v)}" for who, v in took["same_errors"].items() if known(v))
        said.append(f"Of the teacher's {took['teacher_errors']} wrong answers, the very same come from: {shares}.")
    return said


def corruption_words(rows: Sequence[Corrupted]) -> list[str]:
    """Which corruption costs the student most, beside the baseline and the teacher."""
    if len(rows) < 2:
        return []
    clean, worse = rows[0], rows[1:]
    drop = {who: [clean["accuracy"][who] - r["accuracy"][who] for r in worse] for who in clean["accuracy"]}
    most = max(range(len(worse)), key=lambda k: drop["student"][k])
    mean = ", ".join(f"{who} {100 * sum(values) / len(values):.1f}" for who, values in drop.items())
    hardest = f"{worse[most]['name']} ({worse[most]['strength']})"
    if drop["student"][most] <= 0:
        return [f"Worse inputs cost points of accuracy, on average: {mean}; none costs the student any."]
    return [
        f"Worse inputs cost points of accuracy, on average: {mean}; the student loses most "
        f"under {hardest}: {100 * drop['student'][most]:.1f}."
    ]


def inside_words(inside: Inside) -> list[str]:
    """How alike the last shared layers are, and how much of the input the last layers keep."""
    said = []
    pairs = inside.get("similarity", {})
    tops = {who: v for who, pair in pairs.items() if known(v := mean_best(pair))}
    if tops:
        floor = max(pair["floor"] or 0.0 for pair in pairs.values())
        shown = ", ".join(f"{who} {v:.2f}" for who, v in tops.items())
        said.append(
            f"Each layer's similarity to the teacher's most similar one (CKA, mean): {shown}; "
            f"mixed-up samples reach {floor:.2f} at most."
        )
    ends = {who: v for who, rows in inside.get("keeps", {}).items() if rows and (v := rows[-1]["input"]) is not None}
    if ends:
        shown = ", ".join(f"{who} {max(0.0, v):.2f}" for who, v in ends.items())
        said.append(f"A linear map reads this share of the input back from the last layer (R²): {shown}.")
    return said


def mean_best(pair: Similarity) -> float | None:
    """Mean over a learner's layers of the CKA with the teacher's most similar one."""
    best = [max(values) for row in pair["cka"] if (values := [v for v in row if v is not None])]
    return sum(best) / len(best) if best else None
