"""Tables: the label column that is said, nominal columns by their rule, cells as their writer meant them."""

from zlib import crc32

import pytest
import torch
from typer.testing import CliRunner

import limbeck
from limbeck import data
from limbeck.cli.app import app
from limbeck.data import from_datasets, understood
from limbeck.data.columns import encoded
from limbeck.deploy.student_file import need_same_data
from limbeck.errors import UserError


def written(path, text, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode(**how))
    return str(path)


def in_order(found):
    parts = found.partitions.values()
    return torch.cat([p.inputs for p in parts])[torch.cat([p.index for p in parts]).argsort()]


def rows(*columns, count=20):
    return "".join(",".join(str(column(k)) for column in columns) + "\n" for k in range(count))


def test_the_label_column_is_said_with_its_classes_and_shape(tmp_path):
    text = "churn,a,b,plan\n" + rows(
        lambda k: "yn"[k % 2], lambda k: k, lambda k: k * k, lambda k: ["x", "y", "z"][k % 3], count=30
    )
    last = understood(data.load(written(tmp_path / "t.csv", text)))
    assert "labels: column 'plan', the last (set another with data.label)" in last
    assert "of shape (3,)" in last and "3 classes with their training samples: x (7), y (7), z (8)" in last
    named = understood(data.load(written(tmp_path / "t.csv", text), label="churn"))
    assert "labels: column 'churn', as set" in named and "n (11), y (11)" in named and "of shape (5,)" in named


def test_usual_names_are_tried_in_their_order_before_the_last(tmp_path):
    text = "y,class,label,a\n" + rows(lambda k: k, lambda k: k, lambda k: k % 2, lambda k: k)
    assert "labels: column 'label', by its name" in understood(data.load(written(tmp_path / "t.csv", text)))
    assert "column '2', the last, without a header" in understood(
        data.load(written(tmp_path / "u.csv", rows(float, lambda k: k % 2)))
    )


@pytest.mark.parametrize("cell", [lambda k: k + 0.5, lambda k: f"name {k}", lambda k: 600_000_000 + k])
def test_floats_names_and_ids_are_no_classes(tmp_path, cell):
    with pytest.raises(UserError, match=r"'plan' has \d+ different (numbers|values)") as caught:
        data.load(written(tmp_path / "t.csv", "a,plan\n" + rows(lambda k: k, cell, count=120)))
    assert len(str(caught.value)) <= 300 + len(str(tmp_path))


def test_few_values_are_one_hot_and_many_are_hashed(tmp_path):
    text = "few,two,many,label\n" + rows(
        lambda k: "abc"[k % 3], lambda k: "mf"[k % 2], lambda k: f"v{k % 40}", lambda k: k % 2, count=80
    )
    found = data.load(written(tmp_path / "t.csv", text))
    one = in_order(found)[7]
    assert found.shape == (3 + 1 + 32,) and one[:4].tolist() == [0, 1, 0, 0]
    assert one[4:].nonzero().flatten().tolist() == [crc32(b"v7") % 32]
    said = understood(found)
    assert "became features 0/1: 'few' (3), 'two' (2)" in said and "hashed into 32 features 0/1 each: 'many' (40 values)" in said


def test_values_that_training_lacks_are_none_of_its_values(tmp_path):
    written(tmp_path / "train.csv", "few,two,label\n" + rows(lambda k: "abc"[k % 3], lambda k: "mf"[k % 2], lambda k: k % 2))
    written(tmp_path / "test.csv", "few,two,label\nd,x,0\na,m,1\n")
    found = data.load(str(tmp_path))
    assert found.shape == (4,) and found["test"].inputs.tolist() == [[0, 0, 0, 0.5], [1, 0, 0, 1]]
    assert "values that training lacks, fed as none of its values: 'few' (1), 'two' (1)" in understood(found)


def test_a_missing_value_is_a_value_of_a_nominal_column_and_of_numbers_the_median_with_a_mark(tmp_path):
    found = data.load(written(tmp_path / "t.csv", "c,label\n" + rows(lambda k: ["x", "", "NA", "y"][k % 4], lambda k: k % 2)))
    assert found.shape == (3,) and in_order(found)[1:3].tolist() == [[1, 0, 0]] * 2
    assert "missing values, a value of their own: 'c' (10)" in understood(found)
    found = data.load(written(tmp_path / "t.csv", "c,label\n" + rows(lambda k: "" if k % 4 == 1 else k, lambda k: k % 2)))
    there = [k for k in range(20) if k % 4 != 1]
    middle = there[7]  # the eighth of 15 numbers
    assert found.shape == (2,) and in_order(found)[:6].tolist() == [[0, 0], [middle, 1], [2, 0], [3, 0], [4, 0], [middle, 1]]
    assert f"marked by a feature 0/1 each: 'c' (5, {middle})" in understood(found)
    row = [{"c": ""}, {"c": "7"}]
    assert encoded(row, [column.facts() for column in found.columns]).tolist() == [[middle, 1], [7, 0]]
    (tmp_path / "parts").mkdir()
    written(tmp_path / "parts" / "train.csv", "c,label\n" + rows(lambda k: k, lambda k: k % 2))
    written(tmp_path / "parts" / "test.csv", "c,label\n" + rows(lambda k: "" if k == 2 else k, lambda k: k % 2))
    found = data.load(str(tmp_path / "parts"))
    assert found.shape == (1,) and found["test"].inputs[2].item() == 9.5 and "where training has none" in understood(found)
    with pytest.raises(UserError, match="row 1: column 'c' holds numbers"):
        encoded(row, [{"name": "c", "values": [], "hashed": False}])
    with pytest.raises(UserError, match="39 different numbers, and 'oops' among them"):
        data.load(written(tmp_path / "t.csv", "c,label\n" + rows(lambda k: "oops" if k == 3 else k, lambda k: k % 2, count=40)))


SENTENCES = "review,label\n" + "".join(f"the film number {k} was fine,{k % 2}\n" for k in range(40))


def test_sentences_beside_a_label_are_texts_whatever_their_name(tmp_path):
    found = data.load(written(tmp_path / "t.csv", SENTENCES))
    assert found.kind == "text" and "labels: column 'label', by its name" in understood(found)


PLAIN = "a,b,label\n" + rows(lambda k: k + 0.5, lambda k: 10 * k, lambda k: "yn"[k % 2])
SAME = {
    "a mark at its start": PLAIN.encode("utf-8-sig"),
    "UTF-16": PLAIN.encode("utf-16"),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "CR": PLAIN.replace("\n", "\r").encode(),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "decimal commas": PLAIN.replace(",", ";").replace(".", ",").encode(),
    "tabs and decimal commas": PLAIN.replace(",", "\t").replace(".", ",").encode(),
    "quotes": "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in PLAIN.splitlines()).encode(),
    "decimal commas in quotes": "".join(
        ",".join(f'"{cell.replace(".", ",")}"' for cell in line.split(",")) + "\n" for line in PLAIN.splitlines()
    ).encode(),
    "empty lines": PLAIN.replace("\n", "\n\n").encode(),
    "row numbers of pandas": "".join(f"{'' if k == 0 else k - 1},{line}\n" for k, line in enumerate(PLAIN.splitlines())).encode(),
}


@pytest.mark.parametrize("how", SAME)
def test_one_table_in_many_spellings(tmp_path, how):
    plain, other = (data.load(written(tmp_path / f"{k}.csv", text)) for k, text in enumerate((PLAIN, SAME[how])))
    assert other.fingerprint == plain.fingerprint and plain.shape == (2,)
    if "commas" in how:
        assert "decimal commas became points in 'a'" in understood(other)
    if "pandas" in how:
        assert "columns of row numbers were left out: ''" in understood(other)


def test_a_decimal_comma_in_rows_without_a_header(tmp_path):
    found = data.load(written(tmp_path / "t.csv", "".join(f"{k},5;{k},25;{'yn'[k % 2]}\n" for k in range(20))))
    assert found.shape == (2,) and in_order(found)[3].tolist() == [3.5, 3.25]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b,label\n", "has a single row .a, b, label.; expected a row for each sample"),
        ("a,a,label\n" + rows(int, int, lambda k: k % 2), "has 2 columns called 'a'"),
        ("a,label\n1,x\n2,y,3\n", "row 3 has 3 cells where 2"),
        (
            "a;label\n" + "".join(f"1,{200 + k};{k % 2}\n" for k in range(20)),
            "'1,200' in column 'a' may be a decimal comma or a thousand",
        ),
        ('a,label\n"1,x\n2,y\n', "correct its quotes"),
        ("id,2019,2020,kind\n" + rows(int, float, float, lambda k: "yn"[k % 2]), "neither a header nor a sample"),
        (b"\xff\xfea", "damaged UTF-16|is empty"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, text, words):
    with pytest.raises(UserError, match=words) as caught:
        data.load(written(tmp_path / "t.csv", text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a|b|label\n1,5|x|0\n2,5|y|1\n", "a;b;label\n1,5;x;0\n2,5;y;1\n", "1,5|x|0\n2,5|y|1\n"])
def test_bars_and_semicolons_split_and_are_said(tmp_path, text):
    found = data.load(written(tmp_path / "t.csv", text), test=0, validation=0)
    assert in_order(found).tolist() == [[1.5, 0], [2.5, 1]] and found.classes == ("0", "1")
    assert f"cells are split at '{text[3] if text[0] == '1' else text[1]}'" in understood(found)


def test_bars_within_cells_are_not_separators(tmp_path):
    found = data.load(written(tmp_path / "t.csv", "1,a|b,0\n2,c|d,1\n3,a|b,0\n"), test=0, validation=0)
    assert in_order(found).tolist() == [[1, 0], [2, 1], [3, 0]] and "split at" not in understood(found)


@pytest.mark.parametrize(("by", "words"), [(" ", "split by spaces"), (":", "split by ':'"), ("^", "split by '^'")])
def test_another_separator_is_named(tmp_path, by, words):
    with pytest.raises(UserError, match="has one column, .*expected columns split by tabs, semicolons, bars") as caught:
        data.load(written(tmp_path / "t.csv", "a,b,label\n1,2,0\n3,4,1\n".replace(",", by)))
    assert words in str(caught.value)


def test_text_that_is_no_utf8_is_said(tmp_path):
    found = data.load(written(tmp_path / "t.csv", "größe,label\n" + rows(int, lambda k: k % 2), encoding="latin-1"))
    assert "t.csv is not UTF-8 and was read as Latin-1" in understood(found)


@pytest.mark.parametrize("test", ["a\n7\n8\n", "a,label\n7,\n8,?\n", "a,label\n7,-1\n8,-1\n"])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_test_part_without_labels_is_left_out_and_dev_tests(tmp_path, test, ending):
    for part, text in (("train", "a,label\n" + rows(int, lambda k: k % 2)), ("dev", "a,label\n5,1\n6,0\n"), ("test", test)):
        written(tmp_path / f"{part}.{ending}", text.replace(",", "\t") if ending == "tsv" else text)
    found = data.load(str(tmp_path))
    assert found["test"].inputs.flatten().tolist() == [5, 6] and found.classes == ("0", "1")
    assert "test has no labels and was left out; the validation part is used as the test part" in understood(found)


@pytest.mark.parametrize("test", ["index\tsentence\n0\tgood film\n", "sentence\tlabel\ngood film\t-1\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_sentences_of_glue(tmp_path, test, mark):
    for part in ("train", "dev"):
        written(
            tmp_path / f"{part}.tsv", mark + "sentence\tlabel\n" + '"good" film\t1\nbad film\t0\n' * (4 if part == "train" else 1)
        )
    written(tmp_path / "test.tsv", mark + test)
    found = data.load(str(tmp_path))
    assert len(found["test"]) == 2 and found.classes == ("0", "1")
    assert "test has no labels and was left out; the dev part is used as the test part" in understood(found)
    written(tmp_path / "test.tsv", "sentence\tlabel\nfine film\t1\n")
    found = data.load(str(tmp_path))
    assert (len(found["validation"]), len(found["test"])) == (2, 1)  # dev beside a labelled test part was ignored


def test_sentences_with_other_columns_and_with_numbers_to_predict(tmp_path):
    path = written(tmp_path / "t.tsv", "idx\tsentence\tlabel\n" + "".join(f"{k}\tfilm {k}\t{k % 2}.0\n" for k in range(20)))
    found = data.load(path)
    assert found.classes == ("0", "1") and "no sentence or label were left out: 'idx'" in understood(found)
    with pytest.raises(UserError, match="whose classes are in the column label"):
        data.load(path, label="idx")
    path = written(tmp_path / "u.tsv", "sentence\tlabel\n" + "".join(f"film {k}\t{k / 7:.2f}\n" for k in range(20)))
    with pytest.raises(UserError, match="20 different numbers in 20 rows, where classes are expected"):
        data.load(path)


def test_labels_of_minus_one_and_one_are_two_classes(tmp_path):
    found = data.load(written(tmp_path / "t.csv", "a,label\n" + rows(int, lambda k: [-1, 1][k % 2])))
    assert found.classes == ("-1", "1")


def test_classes_that_training_lacks_are_said_first(tmp_path):
    written(tmp_path / "train.csv", "a,label\n" + rows(int, lambda k: "xy"[k % 2]))
    written(tmp_path / "test.csv", "a,label\n1,x\n2,z\n3,y\n")
    assert "no training sample of the class z, which other parts have: no model learns it" in understood(data.load(str(tmp_path)))


def colours(path, last):
    shades = ["red", "green", last]
    return written(
        path, "n,c,many,label\n" + rows(lambda k: k, lambda k: shades[k % 3], lambda k: f"v{k % 40}", lambda k: k % 2, count=80)
    )


def test_a_student_is_fed_rows_as_the_data_gave_them_and_other_values_are_refused(tmp_path, monkeypatch):
    """Data whose third colour is another had the same shape, and were answered."""
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    path, run = colours(tmp_path / "t.csv", "blue"), str(tmp_path / "r")
    small = ["--teacher", "mlp", "--student", "mlp", "--epochs", "0.2", "--no-baseline", "--set", "onnx=false", "--quiet"]
    assert CliRunner().invoke(app, ["distill", "--data", path, *small, "--out", run]).exit_code == 0
    student = limbeck.load(run)
    found = encoded([{"n": 5, "c": "blue", "many": "v5"}, {"n": "6", "c": "pink", "many": "new"}], student.columns)
    assert torch.equal(found[0], in_order(data.load(path))[5]) and found[1, :4].tolist() == [6, 0, 0, 0]
    assert student(found).shape == (2, 2)
    with pytest.raises(UserError, match="a row has no cell for the column 'c'"):
        encoded([{"n": 5}], student.columns)
    assert CliRunner().invoke(app, ["evaluate", run, "--data", path]).exit_code == 0
    other = CliRunner().invoke(app, ["evaluate", run, "--data", colours(tmp_path / "u.csv", "pink")])
    assert isinstance(other.exception, UserError) and "column 'c' is another, or has other values" in str(other.exception)


def test_students_are_not_asked_about_other_classes_or_words(tmp_path):
    info = {"data": "d", "kind": "table", "classes": ["cat", "dog"], "words": ["a", "b"]}
    need_same_data(info, from_datasets((torch.rand(8, 2), torch.arange(8) % 2), validation=2, classes=["cat", "dog"]))
    need_same_data(info, from_datasets((torch.rand(8, 2), torch.arange(8) % 2), validation=2))  # their numbers
    with pytest.raises(UserError, match="its classes are others .'dog' where it has 'cat'."):
        need_same_data(info, from_datasets((torch.rand(8, 2), torch.arange(8) % 2), validation=2, classes=["dog", "cat"]))
    digits = info | {"classes": ["0", "1"]}
    need_same_data(digits, from_datasets((torch.rand(8, 2), torch.arange(8) % 2), validation=2, classes=["cat", "dog"]))
    with pytest.raises(UserError, match="its classes are others .'2' where it has '1'."):  # 2 was taken for 1
        need_same_data(digits, data.load(written(tmp_path / "n.csv", "a,label\n" + rows(int, lambda k: k % 2 * 2))))
    text = data.load(written(tmp_path / "t.csv", SENTENCES))
    with pytest.raises(UserError, match="its words are numbered otherwise"):
        need_same_data(info | {"kind": "text", "classes": list(text.classes)}, text)


def test_parts_that_spell_all_classes_otherwise_are_matched_or_refused(tmp_path):
    """The adult data of UCI end every label of their test part with a full stop."""
    (tmp_path / "train.csv").write_text("x,label\n" + "\n".join(f"{k},{'>50K' if k % 2 else '<=50K'}" for k in range(20)))
    (tmp_path / "test.csv").write_text("x,label\n" + "\n".join(f"{k},{'>50K.' if k % 2 else '<=50K.'}" for k in range(6)))
    found = data.load(str(tmp_path))
    assert found.classes == ("<=50K", ">50K") and found["test"].labels.tolist() == [0, 1] * 3
    assert "classes are spelt <=50K., >50K. in test, <=50K, >50K in training, and were taken for the same" in found.notes
    (tmp_path / "test.csv").write_text("x,label\n" + "\n".join(f"{k},{'rich' if k % 2 else 'poor'}" for k in range(6)))
    with pytest.raises(UserError, match="test has no class that training has"):
        data.load(str(tmp_path))


def test_a_student_of_texts_is_not_asked_about_other_words(tmp_path, monkeypatch):
    """The numbers of its words stood for other words."""
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    small = ["--teacher", "mlp", "--student", "mlp", "--epochs", "0.2", "--no-baseline", "--set", "onnx=false", "--quiet"]
    text, run = written(tmp_path / "t.csv", SENTENCES), str(tmp_path / "r")
    assert CliRunner().invoke(app, ["distill", "--data", text, *small, "--out", run]).exit_code == 0
    assert CliRunner().invoke(app, ["evaluate", run, "--data", text]).exit_code == 0
    other = CliRunner().invoke(app, ["evaluate", run, "--data", written(tmp_path / "u.csv", SENTENCES.replace("film", "book"))])
    assert isinstance(other.exception, UserError) and "its words are numbered otherwise" in str(other.exception)


def test_a_network_from_python_that_gets_uneven_columns_is_told(tmp_path):
    lines = ["age,income,label", *(f"{k % 50},{1000 * (k % 37)},{k % 2}" for k in range(80))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    known = data.load(str(tmp_path / "t.csv"))
    make = lambda: limbeck.models.build("mlp", classes=2, shape=known.shape, arguments={"width": 4})  # noqa: E731
    settings = {"method": limbeck.methods.alone(), "epochs": 1, "onnx": False, "baseline": False}
    told = limbeck.distill(None, make(), known, out=tmp_path / "a", **settings).card["notes"]
    assert any(note.startswith("student: gets the columns unscaled, with standard deviations of") for note in told)
    scaled = {"student": limbeck.Adapter(prepare=limbeck.Normalise(known.mean, known.std))}
    told = limbeck.distill(None, make(), known, out=tmp_path / "b", adapters=scaled, **settings).card["notes"]
    assert not any("unscaled" in note for note in told)
