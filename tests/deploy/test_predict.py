"""What the user has goes in, words come out: the same answers as through the data's own reader, and by the script alone."""

import ast
import builtins
import csv
import dis
import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import limbeck
from limbeck import data
from limbeck.__main__ import run
from limbeck.deploy.alone import script
from limbeck.deploy.raw import samples, sentences
from limbeck.errors import UserError

SMALL = ["--epochs", "1", "--no-baseline", "--quiet"]
LOCAL = {"__module__", "__qualname__", "__annotations__", "__file__", "__doc__", "__name__"}  # names inside the body of a class
SEEN = {
    "argparse",
    "codecs",
    "csv",
    "io",
    "json",
    "re",
    "sys",
    "zipfile",
    "dataclasses",
    "pathlib",
    "zlib",
    "numpy",
    "PIL",
    "onnxruntime",
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Runs on pictures, on a table and on texts, each with its data."""
    folder = tmp_path_factory.mktemp("made")
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for k in range(20):
            pixels = draw.integers(0, 255, (12 + k % 3, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{k}.png")
    lines = [
        "age,colour,town,label",
        *(f"{k % 17},{'red' if k % 3 else 'blue'},town{k % 40},{'yes' if k % 2 else 'no'}" for k in range(90)),
    ]
    (folder / "people.csv").write_text("\n".join(lines))
    texts = [f"{'a fine good' if k % 2 else 'a dull bad'} film number {k}\t{k % 2}" for k in range(60)]
    (folder / "films.tsv").write_text("\n".join(["sentence\tlabel", *texts]))
    os.environ["LIMBECK_STORE"] = str(folder / "store")
    cnn = ["--teacher", "cnn", "--set", "teacher.width=4", "--student", "cnn", "--set", "student.width=2"]
    mlp = ["--teacher", "mlp", "--set", "teacher.width=8", "--student", "mlp", "--set", "student.width=4"]
    for name, words in (("photos", cnn), ("people.csv", mlp)):
        assert (
            run(["distill", "--data", str(folder / name), *words, *SMALL, "--out", str(folder / name.partition(".")[0] / "run")])
            == 0
        )
    return folder


def expected(folder, name):
    """Probabilities by the data's reader: of all parts, by sample number."""
    found, student = data.load(str(folder / name)), limbeck.load(folder / name.partition(".")[0] / "run")
    rows = {}
    for part in found.partitions.values():
        whole = data.Batches(part, found, size=500, seed=0).whole()
        with torch.no_grad():
            shares = torch.softmax(student(whole["inputs"]), 1)
        rows |= dict(zip(part.index.tolist(), shares.numpy(), strict=True))
    return np.stack([rows[k] for k in sorted(rows)]), found.classes


def probabilities(answers, classes):
    return np.array([[float(one[f"p({name})"]) for name in classes] for one in answers])


def test_pictures_are_answered_as_they_were_read_for_training(made):
    rows, classes = expected(made, "photos")
    answers = limbeck.predict(made / "photos" / "run", [made / "photos" / "cat", made / "photos" / "dog"])
    names = [f"photos/{n}" for n in ("cat", "dog")]
    assert len(answers) == 40 and all(any(n in one["input"] for n in names) for one in answers)
    np.testing.assert_allclose(probabilities(answers, classes), rows, atol=2e-6)
    best = answers[0]
    assert best["class"] == classes[int(rows[0].argmax())] and best["probability"] == pytest.approx(rows[0].max(), abs=1e-6)


def test_rows_of_a_table_with_any_order_of_columns_and_without_labels(made, tmp_path):
    rows, classes = expected(made, "people.csv")
    with (made / "people.csv").open() as file:
        cells = list(csv.DictReader(file))
    lines = ["town,age,colour", *(f"{c['town']},{c['age']},{c['colour']}" for c in cells)]
    (tmp_path / "new.csv").write_text("\n".join(lines))
    (tmp_path / "new.jsonl").write_text("\n".join(json.dumps({**c, "age": float(c["age"])}) for c in cells))
    for name in ("new.csv", "new.jsonl"):
        answers = limbeck.predict(made / "people" / "run", tmp_path / name)
        np.testing.assert_allclose(probabilities(answers, classes), rows, atol=2e-6)


@pytest.mark.parametrize(("name", "given"), [("photos", "cat"), ("people", "../people.csv")])
def test_the_script_alone_answers_the_same(made, name, given):
    folder = made / name / "run"
    inputs = (made / name / given).resolve()
    imported = {
        n.name.partition(".")[0]
        for node in ast.walk(ast.parse((folder / "predict.py").read_text()))
        if isinstance(node, ast.Import)
        for n in node.names
    }
    imported |= {
        n.module.partition(".")[0]
        for n in ast.walk(ast.parse((folder / "predict.py").read_text()))
        if isinstance(n, ast.ImportFrom)
    }
    assert imported - {"__future__"} <= SEEN
    words = [sys.executable, "-I", str(folder / "predict.py"), str(inputs), "--json"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs, ours = json.loads(done.stdout), limbeck.predict(folder, inputs)
    assert [one["input"] for one in theirs] == [one["input"] for one in ours]
    classes = limbeck.load(folder).classes
    np.testing.assert_allclose(probabilities(theirs, classes), probabilities(ours, classes), atol=1e-5)


def test_every_name_in_the_script_is_there():
    code = compile(script(), "predict.py", "exec")
    made = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_NAME"} | set(dir(builtins))
    names, left = set(), [code]
    while left:
        one = left.pop()
        left += [part for part in one.co_consts if hasattr(part, "co_code")]
        names |= {i.argval for i in dis.get_instructions(one) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    assert not names - made - LOCAL


def test_the_command_writes_csv_and_json(made, tmp_path, capsys):
    folder, photo = str(made / "photos" / "run"), str(made / "photos" / "cat" / "0.png")
    assert run(["predict", folder, photo]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["input"] == photo and row["class"] in ("cat", "dog")
    assert run(["predict", folder, photo, "--out", "a.json"]) == 0
    assert json.loads((tmp_path / "a.json").read_text())[0]["class"] == row["class"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("people", "age,colour\n3,red", "no cell for the column 'town'"),
        ("people", "age,colour,town\nold,red,town1", "row 1: column 'age' holds numbers, got 'old'"),
        ("people", "age,colour,town\n1e60,red,town1", "row 1: column 'age' holds '1e60', too large a number"),
        ("people", "age,colour,town\n3,red", "row 1 has 2 cells where the header has 3"),
        ("photos", "not a picture", "is not a readable picture"),
    ],
)
def test_what_it_cannot_take_is_one_sentence(made, tmp_path, capsys, name, text, said):
    (tmp_path / "x.csv").write_text(text)
    assert run(["predict", str(made / name / "run"), "x.csv"]) == 2
    assert said in capsys.readouterr().err
    assert run(["predict", str(made / name / "run"), "nowhere.png"]) == 2
    assert "nowhere.png does not exist" in capsys.readouterr().err


def test_a_zip_is_read_without_what_macos_hides_in_it_and_a_damaged_one_is_a_sentence(made, tmp_path):
    photo = (made / "photos" / "cat" / "0.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as packed:
        packed.writestr("in/0.png", photo)
        packed.writestr("__MACOSX/in/._0.png", b"hidden")
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    (answer,) = limbeck.predict(made / "photos" / "run", tmp_path / "new.zip")
    (other,) = limbeck.predict(made / "photos" / "run", made / "photos" / "cat" / "0.png")
    assert {**answer, "input": ""} == {**other, "input": ""} and answer["input"].endswith("new.zip/in/0.png")
    with pytest.raises(UserError, match=r"broken.zip cannot be unpacked"):
        limbeck.predict(made / "photos" / "run", tmp_path / "broken.zip")


def test_lines_that_are_not_utf_8_are_latin_1(tmp_path):
    (tmp_path / "lines.txt").write_bytes("caf\xe9 ol\xe9\n".encode("latin-1"))
    ((name, numbers),) = sentences({"words": ["", "", "", "", "café", "olé"]}, tmp_path / "lines.txt")
    assert name.endswith("lines.txt:1") and numbers[:4].tolist() == [2, 4, 5, 3]


def test_a_recording_is_refused_with_what_is_taken_instead(tmp_path):
    (tmp_path / "7_ann_0.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"7_ann_0.wav cannot be answered: .* from .npy files \(n, 40, 59\) only"):
        next(samples({"kind": "other", "shape": [40, 59]}, [tmp_path / "7_ann_0.wav"]))


def test_inputs_that_no_student_can_answer_are_one_sentence(made, tmp_path):
    np.save(tmp_path / "nan.npy", np.full((2, *limbeck.load(made / "photos" / "run").shape), np.nan, np.float32))
    for given, said in ((tmp_path / "nan.npy", "no finite numbers"), ("text:a cat", "takes image data and no sentences")):
        with pytest.raises(UserError, match=said):
            limbeck.predict(made / "photos" / "run", given)


def test_a_table_without_a_header_counts_its_columns(tmp_path):
    lines = [f"{k % 17},{'red' if k % 3 else 'blue'},{'yes' if k % 2 else 'no'}" for k in range(60)]
    (tmp_path / "bare.csv").write_text("\n".join(lines))
    words = [
        "--teacher",
        "mlp",
        "--set",
        "teacher.width=8",
        "--student",
        "mlp",
        "--set",
        "student.width=4",
        "--set",
        "onnx=false",
    ]
    assert run(["distill", "--data", "bare.csv", *words, *SMALL, "--out", "run"]) == 0
    answers = limbeck.predict("run", "bare.csv")
    (tmp_path / "named.csv").write_text("\n".join(["a,b,label", *lines]))
    assert run(["distill", "--data", "named.csv", *words, *SMALL, "--out", "other"]) == 0
    again = limbeck.predict("other", "named.csv")
    assert len(answers) == 60 and probabilities(answers, ("no", "yes")).tolist() == probabilities(again, ("no", "yes")).tolist()


def test_an_export_elsewhere_has_the_script_beside_it(made, tmp_path):
    folder, photo = made / "photos" / "run", made / "photos" / "dog" / "3.png"
    assert run(["export", str(folder), "--out", str(tmp_path / "device" / "student.onnx")]) == 0
    done = subprocess.run([sys.executable, "-I", "device/predict.py", str(photo), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (theirs,), (ours,) = json.loads(done.stdout), limbeck.predict(folder, photo)
    assert theirs["class"] == ours["class"] and theirs["probability"] == pytest.approx(ours["probability"], abs=1e-5)
