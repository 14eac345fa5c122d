"""The page of a comparison: finished or growing, escaped, self-contained, and the same in a browser."""

import json
import re

import pytest
from synthetic_board import NAMES, make_board
from test_page import Page

from limbeck.comparison.board_charts import mean_curves, side_by_side
from limbeck.comparison.board_read import read_board
from limbeck.comparison.pages import write_page
from limbeck.errors import UserError

SECTIONS = ["result", "seeds", "curves", "cost", "alpha", "failures", "method", "again"]


def page(folder):
    return Page(write_page(folder).read_text(encoding="utf-8"))


@pytest.fixture
def board_folder(tmp_path):
    return make_board(tmp_path / "board")


def test_sections_come_in_order_and_the_verdict_first(board_folder):
    parsed = page(board_folder)
    assert [a["id"] for tag, a in parsed.tags if tag == "section"] == SECTIONS
    view = read_board(board_folder)
    assert parsed.text.index(view.board["verdict"][0]) < parsed.text.index("mean accuracy [95")
    assert all(" ".join(sentence.split()) in parsed.text for sentence in view.board["verdict"])


def test_the_figures_of_the_leaderboard_are_on_the_page(board_folder):
    text, view = page(board_folder).text, read_board(board_folder)
    for row in view.board["rows"]:
        mean, low, high = (row["score"][k] for k in ("mean", "low", "high"))
        assert f"{mean:.2f} % [{low:.2f}, {high:.2f}]" in text
        if "to_baseline" in row:
            gap = row["to_baseline"]
            assert f"{gap['difference']:+.2f} ± {(gap['high'] - gap['low']) / 2:.2f}" in text
    assert "baseline seed" not in text and "teacher" in text and "Hyper-parameters: as given" in text


def test_it_fetches_nothing(board_folder):
    html = write_page(board_folder).read_text(encoding="utf-8")
    parsed = Page(html)
    for tag, attributes in parsed.tags:
        for key in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(key) or ""
            assert not value or value.startswith(("data:", "#")), f"<{tag} {key}={value!r}>"
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", html)
    (policy,) = [a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy


def test_every_drawing_has_a_text_alternative_and_ids_are_unique(board_folder):
    parsed = page(board_folder)
    charts = [a for tag, a in parsed.tags if tag == "svg" and "aria-hidden" not in a]
    assert len(charts) == 1 + 1 + 1 + 2 + 1 + len(NAMES)
    assert all(a.get("aria-label") or a.get("aria-labelledby") for a in charts)
    ids = [a["id"] for _, a in parsed.tags if a.get("id")]
    assert len(ids) == len(set(ids))


def test_hostile_names_are_inert(tmp_path):
    bad = "<script>alert('x')</script>"
    folder = make_board(tmp_path / "board", names=("baseline", bad, '"><img src=x onerror=alert(1)>'), fail=(bad,))
    parsed = page(folder)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1, "only our own"
    assert not any(key.startswith("on") for _, attributes in parsed.tags for key in attributes)
    assert not any(tag == "img" for tag, _ in parsed.tags)
    assert bad in parsed.text and "term <b>soft</b> is nan" in parsed.text


@pytest.mark.parametrize("missing", [1, 5, 11, 12])
def test_what_is_missing_is_said(tmp_path, missing):
    folder = make_board(tmp_path / "board", missing=missing, fail=())
    parsed = page(folder)
    assert f"In progress: {12 - missing} of 12 runs are done. Still to come: " in parsed.text
    shown = [a["id"] for tag, a in parsed.tags if tag == "section"]
    assert shown == [s for s in SECTIONS if s != "failures" and (missing < 12 or s in ("result", "method", "again"))], (
        "none is empty"
    )
    if missing == 12:
        assert "Missing runs" in parsed.text and "not yet" in parsed.text


def test_failures_are_shown_once_with_their_seeds(tmp_path):
    folder = make_board(tmp_path / "board", seeds=2)
    (folder / "runs" / "dkd-seed0" / "card.json").unlink()
    (folder / "runs" / "dkd-seed0" / "failed.json").write_text(json.dumps({"error": "term <b>soft</b> is nan"}))
    parsed = page(folder)
    assert parsed.text.count("dkd, seeds 0 and 1 ") == 1
    assert "failed" in parsed.text and "Both runs of dkd failed" in parsed.text


def test_damaged_pieces_are_no_end(board_folder):
    runs = board_folder / "runs"
    (runs / "kd-seed0" / "card.json").write_text("{half")
    (runs / "kd-seed1" / "card.json").write_text('{"models": {"student": 3}}')
    (runs / "kd-seed2" / "metrics.jsonl").write_bytes(b"\xff{")
    (runs / "dkd-seed1" / "failed.json").write_text("[]")
    (runs / "baseline-seed0" / "method.svg").write_text("<svg onload='alert(1)'/>")
    text = page(board_folder).text
    assert "its card.json cannot be used" in text and "failed, and its failed.json cannot be read" in text
    assert "Still to come" not in text, "a card that is cut is damaged, not missing"


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"recipe": "x = ", "entries": [], "seeds": []}'])
def test_a_damaged_comparison_is_one_sentence(tmp_path, damage):
    (tmp_path / "comparison.json").write_text(damage)
    with pytest.raises(UserError, match="comparison.json"):
        write_page(tmp_path)


def test_curves_are_means_with_the_lowest_and_highest_seed(tmp_path):
    folder = make_board(tmp_path / "board", seeds=2, fail=())
    for seed, value in ((0, 0.5), (1, 0.7)):
        records = [
            {"who": "student", "stage": "s", "step": 10 * k, "terms": {}, "validation": {"score": value + k / 10}} for k in (1, 2)
        ]
        (folder / "runs" / f"kd-seed{seed}" / "metrics.jsonl").write_text("\n".join(map(json.dumps, records)))
    line = mean_curves(read_board(folder))["kd"]
    assert [tuple(round(v, 6) for v in point) for point in line] == [(10, 70, 60, 80), (20, 80, 70, 90)]


def test_marks_are_moved_apart_and_others_stay():
    assert side_by_side([50, 50, 90]) == [44.5, 55.5, 90.0]


def test_colours_follow_the_order_given_not_the_rank(board_folder):
    view = read_board(board_folder)
    assert [view.css(name) for name in view.names] == ["baseline", "m-0", "m-1", "m-2"]
    assert [row["name"] for row in view.board["rows"]] == ["dkd", "kd:temperature=2", "kd", "baseline"]
