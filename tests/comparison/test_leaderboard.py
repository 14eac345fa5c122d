"""The leaderboard and its verdict on hand-made cards whose answers are known."""

from math import nan, sqrt

import numpy as np
import pytest

from limbeck.comparison.leaderboard import leaderboard, ranking_by_alpha
from limbeck.metrics.significance import Paired, seeds_needed
from limbeck.runs.recipes import make
from limbeck.tasks.classify import CLASSIFY

RECIPE = make({})


def card(score, parameters=100, teacher=0.9, steps=50):
    """A run's card with what the leaderboard reads; the teacher has 1,000 parameters."""
    figures = {"accuracy": score, "macro_f1": score / 2, "agreement_with_teacher": None, "calibration_error": 0.1}
    found = {"score": score, "worst": {"name": "0", "value": None if score is None else score / 2}, "figures": figures,
             "parameters": parameters, "bytes": 4 * parameters, "latency_ms": {"median": 0.2},
             "train_seconds": 2.0, "steps": steps}  # fmt: skip
    models = {"student": found} | ({"teacher": {"score": teacher}} if teacher else {})
    cut = 100 * (1 - parameters / 1000) if teacher else None
    return {"models": models, "size_cut_percent": cut, "distillation_score": 0.1 if teacher else None, "data": {"name": "toy"},
            "task": CLASSIFY.facts()}  # fmt: skip


def board(table, names=None, seeds=None, **facts):
    """table: method -> accuracies in %; None is a run that failed, "" one that is missing."""
    results = []
    for name, values in table.items():
        for seed, value in enumerate(values):
            if value is None:
                results.append({"entry": name, "seed": seed, "error": "term 'soft' is nan; lower the learning rate"})
            elif value != "":
                results.append({"entry": name, "seed": seed, "card": card(value / 100, **facts.get(name, {}))})
    width = max(map(len, table.values()))
    return leaderboard(results, RECIPE, list(names or table), list(seeds or range(width)))


def row(found, name):
    return next(r for r in found["rows"] if r["name"] == name)


def test_means_intervals_and_differences_by_hand():
    found = board({"baseline": [70.0, 72.0, 74.0], "kd": [72.0, 74.5, 75.5], "dkd": [71.0, 72.0, 73.0]})
    assert [r["name"] for r in found["rows"]] == ["kd", "baseline", "dkd"]  # 74, 72, 72: equal means keep their order
    base = row(found, "baseline")
    half = 4.302652729749464 * 2 / sqrt(3)  # t(0.975, 2) s / sqrt(3), s = 2
    assert base["score"] == pytest.approx({"mean": 72.0, "low": 72 - half, "high": 72 + half})
    assert base["worst"] == pytest.approx(36.0) and "to_baseline" not in base
    gap = row(found, "kd")["to_baseline"]  # differences 2, 2.5, 1.5: mean 2, s 0.5, t = 2 / (0.5 / sqrt 3) = 6.9282, 2 degrees
    assert (gap["difference"], gap["spread"]) == pytest.approx((2.0, 0.5))
    assert gap["p"] == pytest.approx(0.0202, abs=5e-5) and gap["p_corrected"] == pytest.approx(2 * gap["p"]) and gap["differs"]
    assert row(found, "dkd")["to_baseline"]["p"] == 1.0  # differences 1, 0, -1
    assert row(found, "dkd")["to_best"]["to"] == "kd"


def test_intervals_of_shares_stay_within_0_and_100():
    found = board({"baseline": [1.0, 10.0, 42.0], "kd": [99.0, 60.0, 100.0]})
    assert row(found, "baseline")["score"]["low"] == 0.0 and row(found, "kd")["score"]["high"] == 100.0
    gap = row(found, "kd")["to_baseline"]
    assert gap["high"] == 100.0 and -100 <= gap["low"] <= gap["difference"]


def test_the_verdict_says_what_can_be_told_and_what_cannot():
    found = board({"baseline": [70.0, 72.0, 74.0, 71.0], "kd": [72.0, 74.1, 75.9, 73.0], "dkd": [73.5, 74.5, 77.2, 73.4]})
    first, kd, dkd = found["verdict"]
    gap = row(found, "kd")["to_best"]
    more = int(gap["seeds_needed"] - 4)
    assert first == (f"dkd comes first with 74.65 %, but cannot be told apart from kd with these 4 seeds; "
                     f"about {more} more would be needed if the differences are that large.")  # fmt: skip
    assert dkd.startswith("kd beats the baseline by 2.00 ± 0.13 points (corrected p < 0.001).")
    assert kd.startswith("dkd beats the baseline by 2.90 ± ")


def test_the_seeds_needed_count_at_the_corrected_level():
    table = {"baseline": [70.0, 72.0, 74.0, 71.0], "kd": [71.0, 72.4, 75.9, 72.1], "dkd": [70.5, 72.1, 77.8, 73.3]}
    gap = row(board(table), "kd")["to_baseline"]
    pair = Paired(*(gap[k] for k in ("difference", "low", "high", "p", "seeds", "spread", "p_corrected")))
    assert gap["p_corrected"] > gap["p"]
    assert gap["seeds_needed"] == seeds_needed(pair, level=0.05 / 2)


def test_a_corrected_p_of_one_still_counts_at_the_level_of_the_test():
    """Eight methods with the same gaps: each p is 0.2, times eight more than 1, but the next test is made at 0.05 / 8."""
    base, gaps = [70.0, 72.0, 74.0], (0.5, 1.0, 2.5)
    table = {"baseline": base} | {f"kd:temperature={k}": [b + g for b, g in zip(base, gaps, strict=True)] for k in range(8)}
    facts = [r["to_baseline"] for r in board(table)["rows"] if r["name"] != "baseline"]
    assert all(f["p_corrected"] == 1.0 for f in facts)
    assert max(f["seeds_needed"] for f in facts) == seeds_needed(Paired(4 / 3, 0, 0, 0.2, 3, facts[0]["spread"]), level=0.05 / 8)


def test_the_verdict_on_many_methods_stays_short():
    base = [70.0, 72.0, 74.0]
    near = {f"kd:temperature={k}": [b + g for b, g in zip(base, (0.5, k / 9, -0.4), strict=True)] for k in range(20)}
    good = {"dkd": [b + 5 + g for b, g in zip(base, (0.0, 0.001, 0.002), strict=True)]}
    said = board({"baseline": base} | near | good)["verdict"]
    assert len(said) == 3 and max(map(len, said)) < 300
    assert said[0].startswith("dkd comes first with 77.00 %")
    assert said[1].startswith("dkd beats the baseline by 5.00 ± 0.00 points")
    assert said[2].startswith("20 methods cannot be told apart from the baseline with 3 seeds")


def test_two_seeds_settle_nothing_however_small_p_is():
    said = board({"baseline": [70.0, 71.0], "kd": [72.0, 73.001], "dkd": [72.5, 73.501]})["verdict"]
    assert said == [
        "dkd comes first with 73.00 %, but from two seeds, which settle nothing; use at least 3.",
        "dkd is 2.50 points above the baseline with two seeds; two seeds settle nothing, use at least 3.",
        "kd is 2.00 points above the baseline with two seeds; two seeds settle nothing, use at least 3.",
    ]


def test_worse_equal_and_constant():
    base = [70.0, 72.0, 74.0]
    found = board({"baseline": base, "bad": [60.0, 61.5, 64.1], "same": base, "more": [70.5, 72.5, 74.5]})
    assert found["verdict"][1:] == [
        "more cannot be told apart from the baseline: +0.50 points at every seed with 3 seeds (corrected p = 0.500); "
        "about 4 more would be needed if it is that large.",  # three equal differences: 2 (1/2)^3, and Holm's 2
        "same is equal to the baseline at each of the 3 seeds.",
        found["verdict"][3],
    ]
    assert found["verdict"][3].startswith("bad is worse than the baseline by 10.13 ± ")


def test_failures_and_nan_results_are_rows_and_sentences():
    found = board({"baseline": [70.0, 72.0, 74.0], "kd": [72.0, None, 75.5], "dead": [None] * 3, "odd": [nan, 71.0, 73.0]})
    assert [r["name"] for r in found["rows"]] == ["kd", "baseline", "odd", "dead"]
    kd, odd, dead = (row(found, name) for name in ("kd", "odd", "dead"))
    assert (kd["seeds"], odd["seeds"], dead["seeds"]) == ([0, 2], [1, 2], [])
    assert kd["to_baseline"]["seeds"] == 2 and kd["to_baseline"]["difference"] == pytest.approx(1.75)  # only the seeds of both
    assert kd["to_baseline"]["difference"] == pytest.approx(np.mean([2.0, 1.5]))
    assert "to_best" not in dead and dead["score"] == {"mean": None, "low": None, "high": None}
    assert found["verdict"][-3:] == [
        "1 of the 3 runs of kd failed; seed 1: term 'soft' is nan; lower the learning rate.",
        "1 of the 3 runs of odd failed; seed 0: the accuracy is nan.",
        "All 3 runs of dead failed; seed 0: term 'soft' is nan; lower the learning rate.",
    ]


def test_everything_failed():
    found = board({"baseline": [None, None], "kd": [None, None]})
    assert [r["name"] for r in found["rows"]] == ["baseline", "kd"] and found["ranking_by_alpha"] == []
    assert len(found["verdict"]) == 2 and found["verdict"][0].startswith("Both runs of baseline failed; seed 0: ")


def test_without_a_baseline_the_methods_are_still_compared():
    found = board({"baseline": [None] * 3, "kd": [72.0, 74.5, 75.5], "dkd": [60.0, 62.6, 63.4]})
    assert "to_baseline" not in row(found, "kd")
    assert found["verdict"][0] == "kd comes first with 74.00 % and is better than every other method here."


def test_one_seed_claims_nothing():
    found = board({"baseline": [70.0], "kd": [75.0], "dkd": [74.0]})
    gap = row(found, "kd")["to_baseline"]
    assert (gap["difference"], gap["p"], gap["low"], gap["differs"]) == (pytest.approx(5.0), None, None, False)
    assert (
        found["verdict"][0]
        == "kd comes first with 75.00 %, but from one seed: no difference can be tested; use at least 3 seeds."
    )
    assert found["verdict"][1] == "kd is 5.00 points above the baseline with one seed; one seed shows no spread, use at least 3."


def test_missing_runs_are_said():
    found = board({"baseline": [70.0, 72.0, ""], "kd": [72.0, "", ""]})
    assert (row(found, "baseline")["missing"], row(found, "kd")["missing"]) == (1, 2)
    assert found["verdict"][-1].startswith("Missing runs: 2 of kd and 1 of baseline;")


def test_more_steps_than_the_baseline_are_said():
    found = board({"baseline": [70.0, 72.0], "long": [71.0, 73.1]}, long={"steps": 150})
    assert "Not the same budget: some methods declare more steps than the baseline: long 3 times as many." in found["verdict"]


def test_the_chance_of_a_false_best_stays_under_5_percent(monkeypatch):
    """Equal methods: which one is best is read off the same numbers, so Holm over the m - 1 pairs with it would
    reject about twice as often as it says (9.8 % for 8 methods and 5 seeds); over all pairs it keeps its word."""
    monkeypatch.setattr(
        "limbeck.comparison.leaderboard.seeds_needed", lambda *_, **__: 0.0
    )  # costs most of the time and is not asked for
    rng, wrong, naive, repeats = np.random.default_rng(8), 0, 0, 400
    names = ["baseline", *(f"m{i}" for i in range(7))]
    for _ in range(repeats):
        values = 70 + rng.normal(size=(1, 5)) + rng.normal(size=(8, 5))
        gaps = [r["to_best"] for r in board(dict(zip(names, values.tolist())))["rows"] if "to_best" in r]
        wrong += any(g["differs"] for g in gaps)
        naive += min(g["p"] for g in gaps) * len(gaps) < 0.05
    assert wrong / repeats < 0.05 + 4 * sqrt(0.05 * 0.95 / repeats)
    assert naive / repeats > 0.05 + 2 * sqrt(0.05 * 0.95 / repeats), "the naive correction fails: the test can see it"


def test_the_ranking_changes_where_the_scores_cross():
    rows = board({"small": [63.0], "middle": [81.0], "large": [90.0]}, teacher=0,
                 small={"parameters": 100}, middle={"parameters": 200}, large={"parameters": 500})["rows"]  # fmt: skip
    # accuracy lost of 90: 0.3, 0.1, 0; size: 0.1, 0.2, 0.5. Lines a s + (1 - a) d cross where a = dd / (dd - ds):
    # large and middle: 0.1 / (0.1 + 0.3) = 0.25; large and small: 0.3 / 0.7; middle and small: 0.2 / 0.3
    found = ranking_by_alpha(rows)
    assert [f["alpha"] for f in found] == pytest.approx([0.0, 0.25, 3 / 7, 2 / 3])
    assert [f["order"] for f in found] == [
        ["large", "middle", "small"], ["middle", "large", "small"], ["middle", "small", "large"], ["small", "middle", "large"]
    ]  # fmt: skip


def test_equal_sizes_never_change_the_ranking():
    found = board({"baseline": [70.0], "kd": [75.0], "dkd": [74.0]})["ranking_by_alpha"]
    assert found == [{"alpha": 0.0, "order": ["kd", "dkd", "baseline"]}]


def test_without_a_teacher_there_is_no_score():
    results = [{"entry": n, "seed": 0, "card": card(0.7, teacher=None)} for n in ("baseline", "alone")]
    found = leaderboard(results, RECIPE, ["baseline", "alone"], [0])
    assert found["ranking_by_alpha"] == [] and found["teacher"] is None and found["rows"][0]["distillation_score"] is None
