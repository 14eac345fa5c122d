"""The one line that is said before training, for every kind of data, and who hears it."""

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile
from typer.testing import CliRunner

import limbeck
from limbeck import data
from limbeck.cli.app import app
from limbeck.data import from_datasets, understood
from limbeck.errors import UserError
from limbeck.runs.events import Message


def pictures(root, classes, count=4):
    for k, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for n in range(count + k):
            Image.new("L", (8, 8), 20 * n).save(root / name / f"{n}.png")
    return str(root)


def test_pictures(tmp_path):
    (tmp_path / "d" / "a").mkdir(parents=True)
    (tmp_path / "d" / "a" / "notes.txt").write_text("x")
    found = data.load(pictures(tmp_path / "d" / "train", "ab"), validation=2)
    assert understood(found) == (
        "train: images of shape (1, 8, 8); 5 train, 2 validation, 2 test samples; 2 classes with their training samples: a (2), b (3); "
        "labels: names of folders; no test part at the source: 2 samples were held out, stratified, split seed 0"
    )


def test_many_classes_are_counted_not_listed(tmp_path):
    found = data.load(pictures(tmp_path / "d", [f"c{k}" for k in range(20)]), test=20, validation=20)
    assert "; 20 classes, 2 to 21 training samples each; labels: names of folders" in understood(found)


def masks(root, values, names=None, ending="png"):
    for k in range(6):
        for place, picture in (("images", Image.new("RGB", (8, 8))), ("masks", Image.fromarray(values.astype(np.uint8)))):
            (root / place).mkdir(parents=True, exist_ok=True)
            picture.save(root / place / f"{k}.{'png' if place == 'images' else ending}")
    if names:
        (root / "classes.txt").write_text("\n".join(names) + "\n")
    return str(root)


VOC = ["background", "aeroplane", *(f"c{k}" for k in range(2, 15)), "person", *(f"c{k}" for k in range(16, 21))]
BORDER = np.full((8, 8), 15)
BORDER[0], BORDER[1] = 0, 255


def test_values_of_masks_are_lines_of_classes_txt(tmp_path):
    """Person (15) was called aeroplane, and the border (255) became a class."""
    found = data.load(masks(tmp_path / "d", BORDER, VOC), test=2, validation=1)
    assert found.classes == tuple(VOC) and found["train"].labels[0, :3, 0].tolist() == [0, -100, 15]
    said = understood(found)
    assert "21 classes, 0 to 144 training pixels each; labels: a mask beside each image" in said
    assert "pixels with mask value 255 are not counted" in said and "no sample at all of the classes aeroplane" in said


def test_masks_that_names_do_not_fit_are_refused_and_two_names_keep_255(tmp_path):
    with pytest.raises(UserError, match="classes.txt names 2 classes, but the masks hold 3 values"):
        data.load(masks(tmp_path / "d", np.where(BORDER == 15, 128, BORDER), ["a", "b"]))
    found = data.load(masks(tmp_path / "e", np.where(BORDER == 15, 255, BORDER), ["sky", "sea"]), test=2, validation=1)
    assert found.classes == ("sky", "sea") and found["train"].labels[0, :2, 0].tolist() == [0, 1]


def test_masks_as_jpeg_are_refused(tmp_path):
    with pytest.raises(UserError, match="mask masks/0.jpg is a JPEG, whose values are not exact; save masks as PNG"):
        data.load(masks(tmp_path / "d", BORDER, ending="jpg"))


def voc(folder, objects):
    folder.mkdir(parents=True)
    for k, (name, box) in enumerate(objects):
        corners = "".join(f"<{key}>{v}</{key}>" for key, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        (folder / f"{k}.xml").write_text(
            f"<annotation><object><name>{name}</name><bndbox>{corners}</bndbox></object></annotation>"
        )
        Image.new("RGB", (32, 32)).save(folder / f"{k}.png")


def test_boxes_beside_their_picture(tmp_path):
    """train/0.png and test/0.png got the same .xml."""
    voc(tmp_path / "d" / "train", [("dog", (1, 2, 9, 9)), ("cat", (3, 3, 8, 8))] * 4)
    voc(tmp_path / "d" / "test", [("dog", (20, 20, 30, 30)), ("cat", (0, 0, 4, 4))])
    found = data.load(str(tmp_path / "d"), validation=2)
    assert found["test"].labels.tolist() == [[[1, 20, 20, 30, 30]], [[0, 0, 0, 4, 4]]]
    assert "6 train, 2 validation, 2 test samples; 2 classes with their training objects: cat (3), dog (3)" in understood(found)
    assert "labels: an .xml for each picture" in understood(found)


def test_boxes_of_one_name_in_folders_of_their_own_and_in_doubt(tmp_path):
    voc(tmp_path / "a" / "train", [("dog", (1, 2, 9, 9))])
    voc(tmp_path / "a" / "test", [("dog", (20, 20, 30, 30))])
    for part in ("train", "test"):
        (tmp_path / "b" / part / "Annotations").mkdir(parents=True)
        (tmp_path / "b" / part / "Images").mkdir()
        (tmp_path / "a" / part / "0.xml").rename(tmp_path / "b" / part / "Annotations" / "0.xml")
        (tmp_path / "a" / part / "0.png").rename(tmp_path / "b" / part / "Images" / "0.png")
    found = data.load(str(tmp_path / "b"), validation=0)
    assert found["test"].labels[0, 0].tolist() == [0, 20, 20, 30, 30] and found["train"].labels[0, 0].tolist() == [0, 1, 2, 9, 9]
    for part in ("train", "test"):
        (tmp_path / "b" / part / "Annotations" / "0.xml").rename(tmp_path / f"{part}.xml")
    for part in ("one", "two"):
        (tmp_path / "b" / part).mkdir()
        (tmp_path / f"{'train' if part == 'one' else 'test'}.xml").rename(tmp_path / "b" / part / "0.xml")
    with pytest.raises(UserError, match="0.png can be of one/0.xml and two/0.xml; put each .xml beside its picture"):
        data.load(str(tmp_path / "b"))


def test_recordings_of_one_name_under_two_speakers(tmp_path):
    pytest.importorskip("transformers", reason="its mel bands")
    with tarfile.open(tmp_path / "r.tar", "w") as tar:
        for speaker in ("ann", "ben", "cem"):
            for k in range(10):
                file = io.BytesIO()
                wavfile.write(file, 8000, (1000 * np.sin(np.arange(2000) * (k + 1) / 40)).astype(np.int16))
                member = tarfile.TarInfo(f"{speaker}/{'no' if k % 2 else 'yes'}_{k}.wav")
                member.size = len(file.getvalue())
                file.seek(0)
                tar.addfile(member, file)
    found = data.load(str(tmp_path / "r.tar"), test=6, validation=4)
    said = understood(found)
    assert "20 train, 4 validation, 6 test samples; 2 classes with their training samples: no (10), yes (10)" in said
    assert "labels: names of files, up to the first _" in said


def test_python_data_and_numbers():
    found = from_datasets((torch.rand(10, 4), torch.arange(10) % 2 + 1), validation=2, name="mine")
    assert understood(found) == (
        "mine: rows of shape (4,); 8 train, 2 validation samples; 3 classes with their training samples: 0 (0), 1 (4), 2 (4); "
        "labels: as given from Python; no sample at all of the class 0: labels are counted from 0"
    )
    assert "1 target: 0; labels" in understood(from_datasets((torch.rand(10, 4), torch.rand(10)), validation=2))


def test_classes_that_differ_in_case_or_spaces_alone_are_said(tmp_path):
    kept = "classes that differ in case or spaces alone were kept apart: "
    rows = "".join(f"{k},{['yes', 'no', 'YES', 'NO'][k % 4]}\n" for k in range(24))
    (tmp_path / "t.csv").write_text("a,label\n" + rows)
    assert kept + "'NO' and 'no', 'YES' and 'yes'" in understood(data.load(str(tmp_path / "t.csv")))
    (tmp_path / "t.jsonl").write_text("".join(f'{{"a": {k}, "label": "{"x" if k % 2 else "x "}"}}\n' for k in range(24)))
    assert kept + "'x' and 'x '" in understood(data.load(str(tmp_path / "t.jsonl")))
    assert kept + "'Cat' and 'cat'" in understood(data.load(pictures(tmp_path / "d", ["Cat", "cat", "dog"]), validation=2))
    (tmp_path / "n.csv").write_text("a,sex,label\n" + "".join(f"{k},{'mMf'[k % 3]},{k % 2}\n" for k in range(24)))
    said = understood(data.load(str(tmp_path / "n.csv")))
    assert kept not in said and "values that differ in case or spaces alone were kept apart: 'sex' ('M', 'm')" in said


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            torch.arange(12) % 2 * 1.0,
            "labels are floats (0.0, 1.0), taken as numbers to predict; for classes, give whole numbers",
        ),
        ((np.arange(12) % 6 * 1.0)[:, None], "labels are floats (0.0, 1.0, 2.0, 3.0, ...), taken as numbers"),
        ((torch.arange(36) % 5 < 3).reshape(12, 3) * 1.0, "for tags, give labels.bool()"),
        (torch.arange(12) / 2, ""),
    ],
)
def test_floats_that_may_be_classes_are_said(labels, said):
    found = understood(from_datasets((torch.rand(12, 4), labels)))
    assert (said in found and "target" in found) if said else "labels are floats" not in found
    assert "labels are floats" not in understood(from_datasets((torch.rand(12, 4), labels), task=limbeck.tasks.Numbers()))


SMALL = ["--set", "teacher.model=mlp", "--set", "train.epochs=0.1", "--set", "data.limit=60", "--set", "teacher.epochs=0.1"]
MORE = {
    "distill": ["--set", "student.model=mlp"],
    "plan": ["--set", "student.model=mlp"],
    "compare": ["--set", "student.model=mlp", "--methods", "kd", "--seeds", "2"],
    "shrink": ["--candidates", "mlp", "--trials", "1", "--max-size", "1MB"],
}


@pytest.mark.parametrize("command", MORE)
def test_commands_say_it_once(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    done = CliRunner().invoke(app, [command, *SMALL, *MORE[command]])
    assert done.exit_code == 0, done.output
    assert done.output.count("digits: images of shape (1, 8, 8); 54 train, 6 validation, 539 test samples; 10 classes with") == 1


def test_python_listeners_and_the_card_have_it(tmp_path):
    found = from_datasets((torch.rand(40, 4), torch.arange(40) % 2), validation=8, test=(torch.rand(8, 4), torch.arange(8) % 2))
    heard = []
    teacher, student = torch.nn.Linear(4, 2), torch.nn.Linear(4, 2)
    result = limbeck.distill(teacher, student, found, out=tmp_path / "r", epochs=1, onnx=False, listen=heard.append)
    said = [event.text for event in heard if isinstance(event, Message)]
    assert said.count(understood(found)) == 1 and result.card["notes"].count(understood(found)) == 1


def test_pictures_with_colours_last_are_said_to_be_channels():
    y = torch.arange(8) % 2
    last = data.from_datasets((torch.rand(8, 16, 20, 3), y))
    assert (
        "inputs of shape (16, 20, 3) are taken as 16 channels of 20 x 3; for pictures with colours last, move these"
        in understood(last)
    )
    assert "colours last" not in understood(data.from_datasets((torch.rand(8, 3, 16, 20), y)))
