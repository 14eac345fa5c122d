"""The page: one file, in order, escaped, and without what the folder does not hold."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file
from synthetic_run import make_run

from limbeck.errors import UserError
from limbeck.report import card_table, write_report
from limbeck.report.charts import score_span
from limbeck.report.costs import cost_chart, cost_points
from limbeck.report.curves import stages, thinned
from limbeck.report.headline import headline, numbers
from limbeck.report.read import RunView, read_run
from limbeck.report.sections import drawn
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.figure import FigureInfo
from limbeck.tasks.keeping import Kept
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Matrix, SamplePrediction, Section


class Page(HTMLParser):
    """Tags with their attributes, and the text outside script and style."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def test_the_page_fetches_nothing(run_folder):
    html = write_report(run_folder).read_text(encoding="utf-8")
    parsed = Page(html)
    for tag, attributes in parsed.tags:
        for key in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(key) or ""
            assert not value or value.startswith(("data:", "#")), f"<{tag} {key}={value!r}>"
        assert tag not in ("iframe", "object", "embed", "base")
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", html)
    policies = [a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'")
    assert [p.name for p in run_folder.iterdir() if p.suffix in (".part", ".html")] == ["report.html"]


def test_sections_come_in_order_result_first(run_folder):
    ids = [a["id"] for tag, a in page(run_folder).tags if tag == "section"]
    assert ids == ["result", "curves", "cost", "classes", "confusion", "reliability", "differ", "method", "again"]


def test_figures_of_the_card_are_on_the_page(run_folder):
    text = page(run_folder).text
    card = json.loads((run_folder / "card.json").read_text())
    for who, model in card["models"].items():
        assert f"{100 * model['score']:.1f} %" in text, who
    assert f"{card['drop_percent']:.2f} %" in text
    assert f"{card['distillation_score']:.4f}" in text
    assert "25 times fewer parameters" in text
    assert "limbeck distill --recipe" in text
    assert 'model = "cnn" # <b>' in text
    assert "fewer training batches than published" in text


def test_every_picture_has_a_text_alternative(run_folder):
    parsed = page(run_folder)
    pictures = [a for tag, a in parsed.tags if tag == "img"]
    assert len(pictures) == 12
    assert all("label" in a["alt"] and "student predicts" in a["alt"] for a in pictures)
    charts = [a for tag, a in parsed.tags if tag == "svg" and "aria-hidden" not in a]
    assert len(charts) == 9
    assert all(a.get("aria-label") or a.get("aria-labelledby") for a in charts)


def test_hostile_names_are_inert(tmp_path):
    bad = "<script>alert('x')</script>"
    folder = make_run(tmp_path / "run", classes=(bad, '"><img src=x onerror=alert(1)>', "c"))
    card = json.loads((folder / "card.json").read_text())
    card["method"]["name"] = card["models"]["student"]["model"] = card["notes"][0] = card["command"] = bad
    card["data"]["name"] = "</title>" + bad
    (folder / "card.json").write_text(json.dumps(card))
    records = (folder / "metrics.jsonl").read_text().replace('"hint"', json.dumps(bad)).replace('"task"', json.dumps(bad))
    (folder / "metrics.jsonl").write_text(records)
    (folder / "recipe.toml").write_text(bad)
    (folder / "environment.json").write_text(json.dumps({bad: bad}))
    parsed = page(folder)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1, "only our own"
    assert not any(key.startswith("on") for _, attributes in parsed.tags for key in attributes)
    assert all((a["src"] or "").startswith("data:image/png") for tag, a in parsed.tags if tag == "img")
    assert bad in parsed.text


@pytest.mark.parametrize(
    "drawing",
    [
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><style>@import "http://x.org/a.css";</style></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><rect fill="url(http://x.org/a)"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg"><text>half',
    ],
)
def test_a_drawing_that_is_not_ours_is_left_out(run_folder, drawing):
    (run_folder / "method.svg").write_text(drawing)
    parsed = page(run_folder)
    assert "not a drawing of limbeck" in parsed.text
    assert not any(tag == "svg" and "onload" in a for tag, a in parsed.tags)


PIECES = ("card.json", "environment.json", "metrics.jsonl", "predictions.safetensors", "method.svg", "recipe.toml")


@pytest.mark.parametrize("name", PIECES)
@pytest.mark.parametrize("damage", [None, b"", b"\xff{half", b"[]"])
def test_a_missing_or_damaged_piece_is_a_sentence(run_folder, name, damage):
    (run_folder / name).unlink()
    if damage is not None:
        (run_folder / name).write_bytes(damage)
    assert "Reproduce" in page(run_folder).text


def test_an_almost_empty_folder_still_gives_a_page(tmp_path):
    (tmp_path / "card.json").write_text("{}")
    text = page(tmp_path).text
    assert "No metrics.jsonl" in text
    assert "no card yet" in text


def test_what_is_no_run_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="is not a run folder"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="no run folder at"):
        write_report(tmp_path / "nowhere")


def test_many_classes_are_cut_down_and_said(tmp_path):
    text = page(make_run(tmp_path / "run", classes=tuple(f"class {i}" for i in range(100)), n=600)).text
    assert "The 24 of 100 classes with the student's lowest score" in text
    assert "100 classes: the labels and answers that the student confuses most." in text and "too many" not in text


def test_headline_says_what_the_samples_can_tell():
    labels = torch.zeros(100, dtype=torch.int64)
    right, wrong = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    logits = {
        who: torch.stack([right] * n + [wrong] * (100 - n)) for who, n in {"teacher": 92, "baseline": 60, "student": 90}.items()
    }
    models = {
        who: {"score": n / 100, "parameters": p}
        for who, n, p in (("teacher", 92, 100), ("baseline", 60, 40), ("student", 90, 40))
    }
    seen = {who: Predictions(z, labels, torch.arange(100)) for who, z in logits.items()}
    view = RunView(Path("x"), card={"models": models, "task": CLASSIFY.facts()}, task=CLASSIFY, kept=Kept(seen))
    said = headline(view)
    assert said[0] == "The student gets 90.0 % of the test samples right with 2.5 times fewer parameters than its teacher."
    # 2 samples of difference: p = 2 * 1/4
    assert (
        said[1]
        == "It is 2.0 points below its teacher: they cannot be told apart on 100 test samples (p = 0.50), so it may be chance."
    )
    assert said[2].startswith("It is 30.0 points above the supervised baseline: the two can be told apart on 100 test samples")
    assert "one seed" in said[3]
    kept, smaller = numbers(view)  # no latency: no third number; 90 / 92 = 97.8 %; 30 points on 100 samples are told apart
    assert kept == ("accuracy kept", "97.8 %", ("90.0 %, teacher 92.0 %", "baseline 60.0 %: can be told apart"))
    assert smaller == ("smaller", "2.5 times", ("40 parameters, teacher 100",))


def test_the_test_of_chance_is_made_once_however_often_it_is_spoken_of(run_folder, monkeypatch):
    made = []
    real = type(CLASSIFY).paired
    monkeypatch.setattr(type(CLASSIFY), "paired", lambda self, a, b: made.append(1) or real(self, a, b))
    assert page(run_folder).text.count("told apart") == 3
    assert len(made) == 2, "with the teacher and with the baseline"


def test_confused_pairs_are_counted_where_labels_have_enough_samples():
    counts = torch.zeros(50, 50)
    counts[0, 1], counts[0, 0], counts[2, 3], counts[4, 4] = 3, 7, 4, 9  # label 2 has 4 samples: too few to tell
    other = torch.zeros(50, 50)
    other[0, 1] = 8
    section = Section("confusion", "Confusion", (Matrix("teacher", other), Matrix("student", counts)))
    found = drawn(section, [f"c{k}" for k in range(50)])
    assert found["figures"] == []
    assert found["values"]["rows"] == [["c0 as c1", ("10", 10.0), ("8", 8.0), ("3", 3.0)]]


def test_axes_of_scores_do_not_make_small_differences_large():
    share, error = FigureInfo(), FigureInfo(form=".3f", better="lower")
    assert score_span(share, [0.97, 0.98]) == (0.9, 1.0) and score_span(share, [0.01]) == (0.0, 0.1)
    low, high = score_span(error, [10.0, 10.1])
    assert high - low == pytest.approx(2.02) and low < 10 < high, "a fifth of the largest value"
    assert score_span(share, [0.2, 0.9], margin=0.1) == pytest.approx((0.13, 0.97))


def test_exported_files_stand_in_the_picture_with_a_mark_of_their_own(run_folder):
    part = {"samples": 100, "score": 0.5, "student": 0.6}
    rows = [
        {"format": "onnx", "precision": kind, "file": f"student.{kind}", "bytes": size, "sha256": {}, "test": part}
        for kind, size in (("float32", 50_000), ("int8", 15_000))
    ]
    (run_folder / "exports.json").write_text(json.dumps({"version": 1, "data": "x", "rows": rows}))
    view = read_run(run_folder)
    assert [(p.who, p.cost) for p in cost_points(view, "size")][3:] == [("int8", 15_000.0)]
    assert "int8, onnx 15 kB, 50.0 %" in cost_chart(view, "size")
    (run_folder / "exports.json").write_text("{}")
    assert "Exported files are left out" in page(run_folder).text


def test_a_run_in_progress_says_what_is_left_and_how_it_stands_beside_the_baseline(run_folder):
    (run_folder / "card.json").unlink()
    (run_folder / "recipe.toml").write_text("[train]\nepochs = 20\n")
    text = page(run_folder).text
    assert "In progress: the student trains, stage distil, step 400, epoch 10 of 20, 50 % of its training." in text
    assert "Best on validation so far: 93.8 % at step 400; the baseline had reached 89.8 % by then." in text


def test_the_terminal_ends_with_the_sentences_the_three_numbers_and_the_page(run_folder):
    from limbeck.cli.progress import Display

    card = json.loads((run_folder / "card.json").read_text())
    shown = {}
    for brief in (False, True):
        display = Display(quiet=True, brief=brief)
        display.console.record, display.console.file = True, open("/dev/null", "w")  # noqa: PTH123, SIM115
        display.show(card, run_folder)
        display.console.file.close()
        shown[brief] = display.console.export_text().splitlines()
    assert "macro F1" in "".join(shown[False]) and "macro F1" not in "".join(shown[True])
    lines = shown[True]
    assert len(lines) <= 24 and lines[0].startswith("The student gets") and lines[-1].endswith("report.html")
    assert [line.split()[0] for line in lines[-4:-1]] == ["accuracy", "smaller", "faster"]
    assert shown[False][-len(lines) :] == lines


def test_the_page_opens_with_a_sentence_and_three_numbers(run_folder):
    text = page(run_folder).text
    first = [text.index(word) for word in ("The student", "kept", "smaller", "faster", "test accuracy [95 %]")]
    assert first == sorted(first)


def test_samples_are_ordered_by_total_variation():
    probabilities = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.6, 0.4]])
    logits = {"teacher": torch.tensor([[0.5, 0.5]] * 3).log(), "student": probabilities.log()}
    kept = Kept({w: Predictions(z, torch.tensor([0, 1, 0]), torch.tensor([10, 11, 12])) for w, z in logits.items()})
    *_, section = CLASSIFY.sections(kept, ["0", "1"])
    (piece,) = section.pieces
    assert [s.number for s in piece.samples] == [11, 12, 10]
    assert piece.samples[0].predictions[1] == SamplePrediction("student", "0", "90 %", False)


def test_stages_and_thinning(run_folder):
    view = read_run(run_folder)
    assert stages(view) == [("hint", 0.0, 110.0), ("distil", 120.0, 400.0)]
    line = [(float(i), float(i)) for i in range(1000)]
    thin = thinned(line, 100)
    assert len(thin) <= 101
    assert thin[-1] == (999.0, 999.0)


def test_half_a_line_of_a_stopped_run_is_passed_over(run_folder):
    with (run_folder / "metrics.jsonl").open("a") as file:
        file.write('{"who": "student", "st')
    assert len(read_run(run_folder).metrics) == 123


def test_terminal_table_holds_the_same_figures(run_folder):
    card = json.loads((run_folder / "card.json").read_text())
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(card_table(card))
    console.file.close()
    shown = console.export_text()
    assert shown.index("teacher") < shown.index("baseline") < shown.index("student")
    for expected in (
        "300\u202f000",
        f"{100 * card['models']['student']['score']:.1f} %",
        "0.11 ms",
        f"{card['gain_percent']:.2f} %",
        "student.onnx",
    ):
        assert expected in shown


def strings(folder, **changes):
    tensors = {
        "index": torch.tensor([40, 41, 42]),
        "strings": torch.tensor([[1, 2], [2, -100], [0, 1]]),
        "strings_teacher": torch.tensor([[1, 2], [2, -100], [0, 1]]),
        "strings_student": torch.tensor([[1, 2], [-100, -100], [0, 0]]),
    }
    save_file(tensors | changes, folder / "predictions.safetensors", metadata={"task": "transcribe"})
    return read_run(folder)


def test_where_answers_are_strings_the_page_shows_what_was_written(run_folder):
    view = strings(run_folder)
    view.card["data"]["classes"] = ["a", "b", "c"]
    (section,) = view.task.sections(view.kept, view.class_names())
    found = drawn(section, [])
    assert found["note"].startswith("Teacher and student make different predictions for 66.7 % of the samples.")
    assert found["texts"]["head"] == ["sample", "label", "teacher", "student"]
    assert found["texts"]["rows"] == [
        ["41", "c", "c", "(nothing)"],  # one edit of one
        ["42", "a b", "a b", "a a"],  # one of two
        ["40", "b c", "b c", "b c"],
    ]
    text = page(run_folder).text
    assert "(nothing)" in text and "Confusion matrix" not in text


def test_strings_of_other_counts_are_left_out(run_folder):
    view = strings(run_folder, strings_student=torch.zeros(2, 2, dtype=torch.int64))
    assert view.kept is None and "predictions.safetensors cannot be read: charts from it are left out." in view.missing
