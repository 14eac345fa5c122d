"""Equal terms for all, and nothing that stops the table: failures, kills, processes, Ray."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors.torch import load_file

from limbeck import models
from limbeck.comparison import comparison as compare
from limbeck.comparison import work
from limbeck.comparison.asked import asked, table_of
from limbeck.comparison.comparison import Comparison
from limbeck.comparison.entries import Entry, parse_entries
from limbeck.errors import UserError
from limbeck.plan.roles import Cast
from limbeck.runs.events import RunBegins
from limbeck.runs.recipes import load, make
from limbeck.runs.session import Session
from limbeck.runs.settings import MethodSettings
from limbeck.runs.sources import open_sources

TINY = {
    "onnx": False,
    "data": {"name": "digits", "limit": 200},
    "teacher": {"model": "mlp"},
    "student": {"model": "mlp", "arguments": {"width": 4}},
    "train": {"epochs": 2, "batch": 32},
}


@pytest.fixture(autouse=True)
def own_store(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path_factory.getbasetemp() / "store"))


def comparison(folder, words="kd", seeds=(0, 1), settings=TINY, **more):
    return Comparison(make(settings), parse_entries(words), list(seeds), folder, **more)


def scores(board):
    return {row["name"]: row["scores"] for row in board["rows"]}


# ------------------------------------------------------------------------------------ equal terms


def test_every_method_gets_the_same_start_order_views_and_teacher(tmp_path):
    settings = TINY | {"data": {"name": "digits", "limit": 200, "augment": "crop"}, "seed": 3}
    several = comparison(tmp_path, "kd,dkd,fitnets,mutual,mean_teacher,born_again", settings=settings, seeds=(3, 4))
    models.save_weights(models.build("mlp", classes=10, shape=(1, 8, 8)), tmp_path / "t.safetensors")
    found: dict[int, list] = {3: [], 4: []}
    for job in several._jobs(str(tmp_path / "t.safetensors")):
        sources = open_sources(job.settings)
        data, cast, streams = sources.data, sources.cast, sources.streams()
        if "unlabelled" in data.partitions:
            continue
        batches = [streams(("train",), position) for position in (0, 1, 7)]
        start = torch.cat([p.flatten() for p in cast["student"].parameters()])
        teacher = torch.cat([p.flatten() for p in cast["teacher"].parameters()])
        fit = sources.fit(streams, "student")
        found[job.seed].append((start, teacher, *(b["inputs"] for b in batches), *(b["labels"] for b in batches), fit))
    for same in found.values():
        assert len(same) == 7
        for other in same[1:]:
            assert all(torch.equal(a, b) for a, b in zip(same[0][:-1], other[:-1])) and same[0][-1] == other[-1]
    (one, *_), (two, *_) = found.values()
    assert not torch.equal(one[0], two[0]) and not torch.equal(one[2], two[2]), "another seed is another start and order"
    assert torch.equal(one[1], two[1]), "but the same teacher"


def test_settings_of_the_runs_differ_in_method_and_seed_alone(tmp_path):
    jobs = comparison(tmp_path, "kd,dkd:beta=2")._jobs("t.safetensors")
    rest = [job.settings.model_dump(exclude={"method", "seed"}) for job in jobs]
    assert all(r == rest[0] for r in rest) and rest[0]["teacher"]["weights"] == "t.safetensors"
    assert [(j.entry, j.seed) for j in jobs] == [(e, s) for s in (0, 1) for e in ("baseline", "kd", "dkd:beta=2")]
    assert jobs[2].settings.method == MethodSettings(name="dkd", arguments={"beta": 2})


# ------------------------------------------------------------------------------ the table, whatever happens


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A comparison in which one entry becomes NaN, one has a layer that does not exist, one crashes for one seed."""
    folder = tmp_path_factory.mktemp("mixed") / "c"
    real = Session.steps

    def crash(self):
        if self.sources.recipe.method.name == "dkd" and self.sources.recipe.seed == 1 and not (folder / "mended").exists():
            raise ZeroDivisionError("a bug of ours")
        return real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "steps", crash)
        words = 'kd,kd:temperature=2,dkd,kd:alpha=1e30,fitnets:hint="nowhere"'
        board = comparison(folder, words).go()
    return folder, words, board


def test_failed_runs_are_rows_with_their_sentence(mixed):
    _, _, board = mixed
    rows = {row["name"]: row for row in board["rows"]}
    assert [rows[n]["seeds"] for n in ("baseline", "kd", "kd:temperature=2", "dkd")] == [[0, 1], [0, 1], [0, 1], [0]]
    assert len(rows["kd:alpha=1e30"]["errors"]) == len(rows['fitnets:hint="nowhere"']["errors"]) == 2
    said = "\n".join(board["verdict"])
    assert "Both runs of kd:alpha=1e30 failed; seed 0: " in said and " is nan; it came from" in said
    assert "Both runs of fitnets:hint=\"nowhere\" failed; seed 0: unknown layer of role 'teacher' 'nowhere'" in said
    assert "1 of the 2 runs of dkd failed; seed 1: ZeroDivisionError: a bug of ours." in said
    assert [row["name"] for row in board["rows"]][-2:] == ["kd:alpha=1e30", 'fitnets:hint="nowhere"']


def test_a_search_gives_everyone_the_same_number_of_trials_and_reads_no_test_part(tmp_path, monkeypatch):
    from limbeck.comparison import tuning
    from limbeck.face import run as whole

    finished = []
    real = whole.build
    monkeypatch.setattr(whole, "build", lambda left, *rest: (finished.append(left.folder), real(left, *rest))[1])
    made = comparison(tmp_path / "c", "kd,dkd:beta=4.0", [0, 1], search=3)
    board = made.go()
    assert not [error for row in board["rows"] for error in row["errors"]]
    trials = {
        p.name: [json.loads((t / "trial.json").read_text()) for t in sorted(p.iterdir())]
        for p in (tmp_path / "c" / "trials").iterdir()
    }
    assert {name: len(found) for name, found in trials.items()} == {"baseline": 3, "kd": 3, "dkd_beta=4.0": 3}
    assert finished and not [folder for folder in finished if "trials" in str(folder)]
    for name, entry in (("baseline", "baseline"), ("kd", "kd"), ("dkd_beta=4.0", "dkd:beta=4.0")):
        best = max(trials[name], key=lambda t: t["score"])
        assert board["chosen"][entry] == {"lr": best["lr"], **best["arguments"]}
        settings = [load(run / "recipe.toml") for run in (tmp_path / "c" / "runs").glob(f"{name}-seed*")]
        assert len(settings) == 2 and all(s["train"]["lr"] == best["lr"] for s in settings)
        assert len({t["lr"] for t in trials[name]}) == 3 and trials[name][0]["lr"] == 0.05
    assert (
        trials["dkd_beta=4.0"][0]["arguments"] == {"beta": 4.0} and 4 / 3 <= trials["dkd_beta=4.0"][1]["arguments"]["beta"] <= 12
    )
    assert "among 3 trials for each" in board["hyperparameters"]
    monkeypatch.setattr(tuning, "_try", None)  # a continued search tries nothing again
    assert scores(made.go()) == scores(board)


def test_an_undefined_score_is_a_trial_that_failed_with_a_sentence(tmp_path):
    """R2 of a validation part whose targets are all alike is undefined; the runs take the settings as given."""
    for name, rows in (("train", range(60)), ("validation", [7] * 20), ("test", range(20))):
        (tmp_path / f"{name}.csv").write_text("a,b,y\n" + "".join(f"{k},{k % 3},{k % 7}\n" for k in rows))
    model = {"model": "mlp", "arguments": {"width": 4}}
    settings = {"data": {"name": str(tmp_path), "task": "numbers", "label": "y"}, "student": model, "teacher": model}
    settings |= {"train": {"epochs": 1}, "onnx": False, "device": "cpu"}
    heard = []
    made = comparison(tmp_path / "c", "alone", [0], settings, search=2, listen=heard.append)
    board = made.go()
    trials = [json.loads(path.read_text()) for path in sorted((tmp_path / "c" / "trials" / "alone").glob("*/trial.json"))]
    why = f"R2 is undefined on the validation part of {tmp_path.name}: its labels are all alike"
    assert len(trials) == 2 and all(t["error"].startswith(why) and "score" not in t and t["version"] == 1 for t in trials)
    assert f"every trial of alone failed; the first: {trials[0]['error']}" in [getattr(event, "text", "") for event in heard]
    assert [row["errors"] for row in board["rows"]] == [[], []] and "chosen" not in board


def test_a_comparison_of_another_version_is_one_sentence(tmp_path):
    made = comparison(tmp_path / "c", "alone", [0])
    made._open()
    facts = json.loads((tmp_path / "c" / "comparison.json").read_text())
    (tmp_path / "c" / "comparison.json").write_text(json.dumps(facts | {"version": 9}))
    with pytest.raises(UserError, match="comparison.json has version '9', and this limbeck reads version 1"):
        made.go()
    (tmp_path / "c" / "comparison.json").write_text(json.dumps(facts | {"seeds": "none"}))
    with pytest.raises(UserError, match="comparison.json is damaged: seeds: "):
        made.go()


def test_drawn_settings_stay_where_they_have_a_meaning():
    from limbeck.comparison.tuning import drawn

    for number in range(1, 60):
        made = drawn("kd", {}, 0.1, number, "kd")
        assert 0.1 / 3 <= made.lr <= 0.3 and 0 < made.arguments["alpha"] < 1 and 4 / 3 <= made.arguments["temperature"] <= 12
    assert drawn("kd", {"alpha": 0.5}, 0.1, 0, "kd").arguments == {"alpha": 0.5}


def test_two_at_once_in_one_folder_are_refused(tmp_path):
    from limbeck.files.locks import alone_in

    with ThreadPoolExecutor(1) as other, alone_in(tmp_path / "c"):
        with pytest.raises(UserError, match="another process"):
            other.submit(comparison(tmp_path / "c", "kd").go).result()
        assert [p.name for p in (tmp_path / "c").iterdir()] == [".lock"]
    assert not (tmp_path / "c").exists(), "nothing was done in it"


def test_what_was_asked_of_the_teacher_is_counted(tmp_path):
    """180 training samples; nothing augmented: answers are computed once, for the first who needs them."""
    settings = TINY | {"store": {"path": str(tmp_path / "store")}}
    rows = {row["name"]: row for row in comparison(tmp_path / "c", "kd,dkd", [0], settings).go()["rows"]}
    assert {name: row["teacher_samples"] for name, row in rows.items()} == {"baseline": 0, "kd": 180, "dkd": 0}
    live = comparison(tmp_path / "l", "kd", [0], TINY | {"store": {"use": False}}).go()["rows"]
    assert {row["name"]: row["teacher_samples"] for row in live} == {"baseline": 0, "kd": 2 * (180 // 32) * 32}


def test_runs_that_take_turns_are_the_runs_that_follow_one_another(tmp_path, mixed):
    _, words, board = mixed
    taking_turns = comparison(tmp_path / "t", words, on="together").go()
    apart = {k: {s: v for s, v in runs.items() if (k, s) != ("dkd", "1")} for k, runs in scores(taking_turns).items()}
    assert apart == {k: {s: v for s, v in runs.items() if (k, s) != ("dkd", "1")} for k, runs in scores(board).items()}
    assert [row["errors"] for row in taking_turns["rows"][-2:]] == [row["errors"] for row in board["rows"][-2:]]
    one, other = (load_file(f / "runs" / "kd-seed1" / "predictions.safetensors") for f in (mixed[0], tmp_path / "t"))
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_taking_turns_the_teacher_answers_each_batch_once(tmp_path, monkeypatch):
    """New views in every epoch, so that nothing can be stored; three methods ask for logits, maps and a hint."""
    real, passes = Cast.feed, []

    def count(self, role, inputs):
        passes.append(role)
        return real(self, role, inputs)

    settings = TINY | {
        "data": {"name": "digits", "limit": 200, "augment": "crop:1"},
        "teacher": {"model": "cnn", "arguments": {"width": 4}, "epochs": 1},
        "student": {"model": "cnn", "arguments": {"width": 2}},
    }
    found, asked_for = {}, {}
    for on in ("together", "here"):
        board = comparison(tmp_path / on, "kd,attention,fitnets", [0], settings, on=on)
        board._open()
        assert board._teacher() is not None  # trained before anybody counts
        with monkeypatch.context() as patch:
            patch.setattr(Cast, "feed", count)
            passes.clear()
            made = board.go()
        assert not [row["name"] for row in made["rows"] if row["errors"]]
        found[on], asked_for[on] = scores(made), passes.count("teacher")
    steps = 2 * (180 // 32)
    extra = asked_for["here"] - 3 * steps  # checks, probes, the measuring at the end
    assert asked_for["together"] <= steps + extra
    assert found["together"] == found["here"]


def test_methods_of_a_recipes_table_are_names():
    with pytest.raises(UserError, match=r"compare.methods = \[1, 'kd'\] in the recipe cannot be used: write a list of names"):
        table_of({"methods": [1, "kd"]})


def test_marks_inside_quotes_and_brackets_belong_to_the_value():
    said = 'lupi:privileged="columns:0-5,7":imitation=0.3, attention:at=["layer1","layer2"]'
    assert [(e.method, e.arguments) for e in parse_entries(said)] == [
        ("lupi", {"privileged": "columns:0-5,7", "imitation": 0.3}),
        ("attention", {"at": ["layer1", "layer2"]}),
    ]


def test_taking_turns_the_store_is_filled_once_for_all(tmp_path):
    """Two views that repeat; logits, maps and a hint are three files, filled by one forward of each sample's view."""
    found, passes = {}, {}
    for on in ("together", "here"):
        settings = TINY | {
            "data": {"name": "digits", "limit": 200, "augment": "crop:1", "views": 2},
            "store": {"path": str(tmp_path / f"store-{on}")},
            "teacher": {"model": "cnn", "arguments": {"width": 4}, "epochs": 1},
            "student": {"model": "cnn", "arguments": {"width": 2}},
        }
        made = comparison(tmp_path / on, "kd,attention,fitnets", [0], settings, on=on).go()
        assert not [row["errors"] for row in made["rows"] if row["errors"]]
        found[on], passes[on] = scores(made), sum(row["teacher_samples"] for row in made["rows"])
    assert passes == {"together": 2 * 180, "here": 3 * 2 * 180}
    assert found["together"] == found["here"]


@pytest.mark.parametrize("on", ["together", "here"])
def test_the_teacher_answers_the_test_part_once_for_all_runs(tmp_path, monkeypatch, on):
    from limbeck.cards import build as card

    real, asked = card.predict, []

    def count(entry, batches, task):
        asked.append(entry.source)
        return real(entry, batches, task)

    made = comparison(tmp_path / "c", "kd,dkd", [0, 1], on=on)
    made._open()
    made._teacher()
    monkeypatch.setattr(card, "predict", count)
    rows = made.go()["rows"]
    assert not [row["errors"] for row in rows if row["errors"]]
    assert sum(str(source) == "teacher" for source in asked) == 1 and len(asked) == 1 + 2 * 3
    agreed = [row["figures"]["agreement_with_teacher"] for row in rows]
    assert all(value is not None and 0 < value <= 1 for value in agreed)


def test_the_same_method_with_two_settings_is_two_rows(mixed):
    folder, _, board = mixed
    found = scores(board)
    assert set(found["kd"]) == set(found["kd:temperature=2"]) == {"0", "1"}
    settings = [load(folder / "runs" / f"{name}-seed0" / "recipe.toml")["method"] for name in ("kd", "kd_temperature=2")]
    assert settings == [{"name": "kd", "arguments": {}}, {"name": "kd", "arguments": {"temperature": 2}}]


def test_going_on_tries_a_crash_again_and_nothing_else(mixed):
    folder, words, board = mixed
    (folder / "mended").touch()
    heard = []
    again = comparison(folder, words, listen=heard.append).go()
    assert [(e.entry, e.seed) for e in heard if isinstance(e, RunBegins)] == [("dkd", 1)]
    assert {k: v for k, v in scores(again).items() if k != "dkd"} == {k: v for k, v in scores(board).items() if k != "dkd"}
    assert len(json.loads((folder / "leaderboard.json").read_text())["rows"]) == 6
    assert (folder / "report.html").exists()


def test_more_entries_and_seeds_join_and_other_settings_do_not(mixed):
    folder, words, _ = mixed
    (folder / "mended").touch()
    with pytest.raises(UserError, match="has a comparison with other settings"):
        comparison(folder, words, settings=TINY | {"alpha": 0.7}).go()
    with pytest.raises(UserError, match="has a comparison with other settings"):
        Comparison(make(TINY), [Entry("kd", "kd", {"temperature": 9})], [0, 1], folder).go()
    board = comparison(folder, words + ",dist", seeds=(0,)).go()
    assert scores(board)["dist"].keys() == {"0"}
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "a.txt").touch()
    with pytest.raises(UserError, match="exists and is not a comparison"):
        comparison(folder.parent / "other").go()


def test_a_full_disk_stops_it_instead_of_filling_the_table_with_failures(tmp_path, monkeypatch):
    def full(self):
        raise UserError("cannot write: no space left") from OSError(28, "no space left")

    several = comparison(tmp_path / "c", "alone")
    monkeypatch.setattr(Session, "steps", full)
    with pytest.raises(UserError, match="no space"):
        several.go()
    assert not list(tmp_path.rglob("failed.json"))


# ------------------------------------------------------------------------------------------ kill -9


def command(folder, *more):
    words = ["--methods", "kd,fitnets", "--seeds", "2", "--epochs", "8", "--batch", "8", "--quiet", "--out", str(folder)]
    sets = ["onnx=false", "data.limit=200", "student.width=4", "checkpoint_seconds=0.05"]
    models_ = ["--teacher", "mlp", "--student", "mlp"]
    return [sys.executable, "-m", "limbeck", "compare", *words, *models_, *(x for s in sets for x in ("--set", s)), *more]


@pytest.mark.slow
def test_killed_three_times_at_random_moments_the_table_is_the_same(tmp_path):
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    chance, cut, moments = random.Random(5), tmp_path / "cut", []
    for _ in range(3):
        process = subprocess.Popen(command(cut), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = size(cut)
        while process.poll() is None and size(cut) == before:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.0, 0.6))
        assert process.poll() is None, "it ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        moments.append(len(list(cut.glob("runs/*/card.json"))))
    subprocess.run(command(cut), env=env, check=True, capture_output=True)
    settings = load(cut / "compare.toml")
    del settings["compare"]
    recipe = make(settings)
    whole = Comparison(recipe, parse_entries("kd,fitnets"), range(2), tmp_path / "whole").go()
    assert scores(json.loads((cut / "leaderboard.json").read_text())) == scores(whole)
    assert moments[0] < 6 and not list(cut.rglob("failed.json"))
    for name in ("kd-seed0", "fitnets-seed1", "baseline-seed1"):
        first, second = ((f / "runs" / name / "student.safetensors").read_bytes() for f in (cut, tmp_path / "whole"))
        assert first == second, name


def size(folder):
    return sum(p.stat().st_size for p in folder.glob("*/**/metrics.jsonl")) if folder.exists() else 0


# ---------------------------------------------------------------------------------- processes and Ray


def mortal(tmp_path):
    return TINY | {"student": {"model": "mortal:student", "arguments": {"mark": str(tmp_path / "died")}}}


def test_two_processes_give_the_same_table_although_one_is_killed(tmp_path):
    (tmp_path / "died").touch()  # for the first comparison: nobody dies
    calm = comparison(tmp_path / "calm", seeds=(0,), settings=mortal(tmp_path)).go()
    (tmp_path / "died").unlink()
    board = comparison(tmp_path / "two", seeds=(0,), settings=mortal(tmp_path), on="processes", jobs=2).go()
    assert (tmp_path / "died").exists(), "no process was killed; the test shows nothing"
    assert scores(board) == scores(calm) and not any(row["errors"] for row in board["rows"])


def test_a_process_that_always_dies_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "TRIES", 1)
    board = comparison(tmp_path / "c", "alone", seeds=(0,), settings=mortal(tmp_path), on="processes", jobs=1).go()
    failed = [row for row in board["rows"] if row["errors"]]
    assert len(failed) == 1 and "ended 1 times without a result, the last time with code -9" in failed[0]["errors"][0]
    again = comparison(tmp_path / "c", "alone", seeds=(0,), settings=mortal(tmp_path)).go()
    assert not any(row["errors"] for row in again["rows"])


def test_threads_are_divided(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert [work.threads_each(n) for n in (1, 3, 20)] == [8, 2, 1]


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason='Ray is not installed; pip install "limbeck[ray]" to run this'
)
@pytest.mark.filterwarnings("default")  # of Ray's own
def test_on_ray_a_worker_is_killed_and_the_table_is_complete(tmp_path):
    board = comparison(tmp_path / "ray", seeds=(0,), settings=mortal(tmp_path), on="ray", jobs=2).go()
    assert (tmp_path / "died").exists(), "no worker was killed; the test shows nothing"
    calm = comparison(tmp_path / "calm", seeds=(0,), settings=mortal(tmp_path)).go()
    assert scores(board) == scores(calm) and not any(row["errors"] for row in board["rows"])


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'Ray is not installed; run: pip install "limbeck\[ray\]"'):
        comparison(tmp_path / "c", "alone", seeds=(0,), on="ray").go()


# ------------------------------------------------------------------------------------------- words


def test_entries_and_their_settings():
    found = parse_entries('kd, dkd:beta=2 ,attention:at=["layer1","layer2"]:beta=10,')
    assert [(e.method, dict(e.arguments)) for e in found] == [
        ("kd", {}), ("dkd", {"beta": 2}), ("attention", {"at": ["layer1", "layer2"], "beta": 10})
    ]  # fmt: skip
    (experts, _) = parse_entries("specialists:subsets=[[0,2],[3,4]]:alpha=0.5,kd")
    assert experts.arguments == {"subsets": [[0, 2], [3, 4]], "alpha": 0.5}
    assert [e.name for e in parse_entries(["kd", "kd:temperature=2"])] == ["kd", "kd:temperature=2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "name at least one method"),
        (" , ", "name at least one method"),
        ("kd,kd", "each once; got kd, kd"),
        ("kd:temperature", "write NAME:SETTING=VALUE, for example kd:temperature=2"),
        ("kd:=2", "write NAME:SETTING=VALUE"),
        ("kdd", "did you mean 'kd'"),
        ("kd:temprature=2", "temprature"),
        ("baseline", "unknown method 'baseline'"),
    ],
)
def test_mistakes_are_sentences(words, said):
    with pytest.raises(UserError) as caught:
        parse_entries(words)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_recipe_may_say_it_and_options_win():
    table = table_of({"methods": ["kd", "dkd:beta=2"], "seeds": 3, "jobs": 2})
    found = asked(table, None, None, None, None)
    assert ([e.name for e in found.entries], found.seeds, found.jobs, found.on) == (["kd", "dkd:beta=2"], 3, 2, "processes")
    found = asked(table, "kd", 7, 1, None)
    assert ([e.name for e in found.entries], found.seeds, found.jobs, found.on) == (["kd"], 7, 1, "here")
    assert asked(table, None, None, None, "ray").on == "ray"


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        ({}, {}, "no methods to compare; give --methods kd,dkd"),
        ({"methods": ["kd"], "seeds": 0}, {}, "--seeds must be at least 1, got 0; 3 or more"),
        ({"methods": ["kd"]}, {"jobs": 0}, "--jobs must be at least 1, got 0"),
        ({"methods": ["kd"]}, {"on": "rai"}, "unknown way of working 'rai'; did you mean 'ray'"),
        ({"method": ["kd"]}, {}, "did you mean 'compare.methods'"),
        ({"methods": "kd"}, {}, "compare.methods = 'kd' in the recipe cannot be used: write a list"),
        ({"methods": ["kd"], "seeds": True}, {}, "write a int"),
    ],
)
def test_mistakes_in_what_is_asked_are_sentences(table, options, said):
    with pytest.raises(UserError) as caught:
        asked(table_of(table), *(options.get(k) for k in ("methods", "seeds", "jobs", "on")))
    assert said in str(caught.value)


def test_the_recipe_that_a_comparison_leaves_asks_for_it_again(mixed):
    folder, words, _ = mixed
    settings = load(folder / "compare.toml")
    found = asked(table_of(settings.pop("compare")), None, None, None, None)
    assert [(e.method, dict(e.arguments)) for e in found.entries][:5] == [
        (e.method, dict(e.arguments)) for e in parse_entries(words)
    ]
    assert make(settings) == make(TINY)


def test_the_docstring_example_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = compare.Comparison.__doc__.split("is left, also with more entries or seeds.\n\n")[1]
    code = (
        textwrap.dedent(code)
        .replace('{"data"', '{"onnx": False, "data"')
        .replace('"epochs": 5', '"epochs": 1')
        .replace("range(3)", "range(1)")
    )
    exec(code, {})  # noqa: S102
    assert (tmp_path / "runs" / "mine" / "report.html").exists()


# ------------------------------------------------------------------------------------ the command line


@pytest.fixture
def limbeck(capsys, monkeypatch):
    from limbeck.__main__ import run

    monkeypatch.setenv("COLUMNS", "200")

    def call(*words):
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


def test_compare_from_a_recipe_file_then_report_again(tmp_path, limbeck):
    import tomli_w

    recipe = tmp_path / "r.toml"
    recipe.write_text(tomli_w.dumps(TINY | {"compare": {"methods": ["alone", "mutual:temperature=2"], "seeds": 2}}))
    code, out, err = limbeck("compare", "--recipe", recipe, "--out", tmp_path / "c", "--set", "train.epochs=1")
    assert (code, err) == (0, "") and "mutual:temperature=2" in out and "run 6 of 6" in out and "report.html" in out
    page = tmp_path / "c" / "report.html"
    page.unlink()
    assert limbeck("report", tmp_path / "c")[1].strip() == str(page) and page.exists()
    assert limbeck("compare", "--recipe", tmp_path / "c" / "compare.toml", "--out", tmp_path / "c", "--quiet")[0] == 0
    code, _, err = limbeck("distill", "--recipe", recipe)
    assert code == 2 and "compare" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare"], "no methods to compare; give --methods kd,dkd or a recipe with [compare] methods = [...]"),
        (["compare", "--methods", "kd", "--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["compare", "--methods", "kd", "--jobs", "-1"], "--jobs must be at least 1, got -1"),
        (["compare", "--methods", "kd", "--on", "moon"], "unknown way of working 'moon'"),
        (["compare", "--methods", "nothing"], "unknown method 'nothing'"),
        (["report", "/nowhere"], "no run folder at /nowhere"),
        (["watch", "/nowhere"], "no run folder at /nowhere"),
        (["watch", "/tmp", "--port", "x"], "--port"),
    ],
)
def test_mistakes_on_the_command_line_are_one_sentence(limbeck, words, said):
    code, _, err = limbeck(*words)
    assert code == 2 and err.startswith("limbeck: ") and said in err and err.count("\n") == 1, err


# ----------------------------------------------------------------------------------- inputs that change between runs


def table(path, shift):
    rows = [f"{k % 7},{k % 5},{(k + shift) % 2}" for k in range(60)]
    path.write_text("\n".join(["a,b,label", *rows]) + "\n")
    return str(path)


@pytest.mark.parametrize("on", ["here", "together", "processes"])
def test_data_that_changes_between_runs_ends_the_comparison(tmp_path, on):
    """Of nine runs those begun after the change were trained on other labels, and only the table at the end was refused."""
    path, folder = tmp_path / "t.csv", tmp_path / "c"
    settings = TINY | {"data": {"name": table(path, 0)}, "train": {"epochs": 1, "batch": 32}}
    comparison(folder, seeds=[0], settings=settings).go()
    table(path, 1)
    with pytest.raises(UserError, match=f"the data has changed since the first runs of {folder}; put that back"):
        comparison(folder, seeds=[0, 1, 2], settings=settings, on=on).go()
    assert sorted(path.parent.name for path in folder.glob("runs/*/card.json")) == ["baseline-seed0", "kd-seed0"]
    table(path, 0)
    board = comparison(folder, seeds=[0, 1], settings=settings).go()
    assert [len(row["scores"]) for row in board["rows"]] == [2, 2]


def test_a_page_that_a_kill_left_out_is_written_when_the_comparison_goes_on(tmp_path):
    settings = TINY | {"data": {"name": table(tmp_path / "t.csv", 0)}, "train": {"epochs": 1, "batch": 32}}
    comparison(tmp_path / "c", seeds=[0], settings=settings).go()
    gone = [tmp_path / "c" / name for name in ("report.html", "runs/kd-seed0/report.html", "runs/kd-seed0/method.svg")]
    for path in gone:
        path.unlink()
    comparison(tmp_path / "c", seeds=[0], settings=settings).go()
    assert all(path.stat().st_size > 100 for path in gone)


def test_a_teacher_that_changes_between_runs_ends_the_comparison(tmp_path):
    folder, weights = tmp_path / "c", tmp_path / "t.safetensors"

    def teach():
        models.save_weights(models.build("mlp", classes=10, shape=(1, 8, 8)), weights)

    teach()
    settings = TINY | {"teacher": {"model": "mlp", "weights": str(weights)}, "train": {"epochs": 1, "batch": 32}}
    begun = []

    def heard(event):
        if isinstance(event, RunBegins):
            begun.append((event.entry, event.seed))
            if event.entry == "kd" and event.seed == 1:
                teach()

    with pytest.raises(UserError, match=f"the weights of the teacher have changed since the first runs of {folder}"):
        comparison(folder, settings=settings, seeds=[0, 1, 2], listen=heard).go()
    assert begun == [("baseline", 0), ("kd", 0), ("baseline", 1), ("kd", 1)]
    assert not (folder / "runs" / "kd-seed1" / "card.json").exists()
