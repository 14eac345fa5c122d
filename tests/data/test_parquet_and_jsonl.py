"""Parquet tables and JSON Lines: the same samples as from CSV, texts as texts, and one sentence for what cannot be read."""

import json

import pytest
import torch

from limbeck import data as D
from limbeck.data.readers import readers, recognised
from limbeck.errors import UserError

NAMES = ("age", "city", "member", "label")
ROWS = [(20 + k, ("Bern", "Rome", "Oslo")[k % 3], k % 2 == 0, ("no", "yes")[k % 2]) for k in range(24)]
TALK = [{"text": f"a good film {k}" if k % 2 else f"a bad\u2028film {k}", "label": ("neg", "pos")[k % 2]} for k in range(20)]


def csv(path):
    path.write_text("\n".join([",".join(NAMES), *(",".join(map(str, row)) for row in ROWS)]))
    return path


def parquet(path, columns=None):
    arrow = pytest.importorskip("pyarrow", reason='pip install "limbeck[parquet]"')
    written = pytest.importorskip("pyarrow.parquet")

    columns = columns or {name: [row[k] for row in ROWS] for k, name in enumerate(NAMES)}
    written.write_table(arrow.table(columns), path)
    return path


def jsonl(path, objects=None):
    lines = objects or [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    path.write_text("\n".join(json.dumps(each, ensure_ascii=False) for each in lines) + "\n", encoding="utf-8")
    return path


def test_a_table_is_the_same_whichever_way_it_is_written(tmp_path):
    first, *rest = (
        D.load(str(make(tmp_path / f"t{end}"))) for make, end in ((csv, ".csv"), (parquet, ".parquet"), (jsonl, ".jsonl"))
    )
    assert first.shape == (5,) and first.classes == ("no", "yes") and first.kind == "table"  # age, three cities, member
    for other in rest:
        assert other.classes == first.classes and other.fingerprint == first.fingerprint


def test_float_cells_keep_their_value(tmp_path):
    values = [0.1 + k / 7 for k in range(10)]
    objects = [{"x": value, "label": k % 2} for k, value in enumerate(values)]
    for path in (
        jsonl(tmp_path / "a.jsonl", objects),
        parquet(tmp_path / "a.parquet", {"x": values, "label": [k % 2 for k in range(10)]}),
    ):
        found = D.load(str(path))
        every = torch.cat([part.inputs[:, 0] for part in found.partitions.values()])
        index = torch.cat([part.index for part in found.partitions.values()])
        assert sorted(every.tolist()) == torch.tensor(values).sort().values.tolist() and len(index) == 10


def test_a_folder_of_parts_is_split_by_the_source(tmp_path):
    for make, end in ((parquet, ".parquet"), (jsonl, ".jsonl")):
        folder = tmp_path / end[1:]
        folder.mkdir()
        for part in ("train", "val", "test"):
            make(folder / f"{part}{end}")
        found = D.load(str(folder))
        assert {name: len(part) for name, part in found.partitions.items()} == {"train": 24, "validation": 24, "test": 24}
        assert torch.equal(found["train"].inputs, found["test"].inputs) and torch.equal(
            found["train"].labels, found["test"].labels
        )


def test_texts_are_texts_and_lines_end_at_newlines_only(tmp_path):
    found = D.load(str(jsonl(tmp_path / "talk.jsonl", TALK)))
    assert found.kind == "text" and found.classes == ("neg", "pos") and sum(map(len, found.partitions.values())) == 20
    assert {"good", "bad", "film"} <= set(found.words)
    same = D.load(str(parquet(tmp_path / "talk.parquet", {key: [each[key] for each in TALK] for key in ("text", "label")})))
    assert same.words == found.words and same.fingerprint == found.fingerprint


def test_numbers_and_several_labels_from_json_lines(tmp_path):
    path = jsonl(tmp_path / "n.jsonl", [{"a": k, "b": k * 2.5, "c": -k} for k in range(20)])
    found = D.load(str(path), task="numbers", label=["b", "c"])
    assert found.task.name == "numbers" and found.shape == (1,) and found["train"].labels.shape[1] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"x": 1, "label": 0}\n[1, 2]\n', "line 2 is not an object"),
        ('{"x": 1, "label": 0}\n{"x": \n', "line 2 is not JSON"),
        ('{"x": [1], "label": 0}\n', "line 1 has a list at 'x'"),
        ("\n\n", "is empty"),
        ("\xff\xfe", "UTF-8"),
    ],
)
def test_bad_json_lines_are_one_sentence(tmp_path, text, words):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=words) as caught:
        D.load(str(path))
    assert "\n" not in str(caught.value)


def test_bad_parquet_is_one_sentence(tmp_path):
    damaged = tmp_path / "a.parquet"
    damaged.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(UserError, match="is not a Parquet file, or a damaged one") as caught:
        D.load(str(damaged))
    assert "\n" not in str(caught.value)
    lists = parquet(tmp_path / "b.parquet", {"x": [[1], [2]], "label": [0, 1]})
    with pytest.raises(UserError, match=r"column 'x' holds list<.*remove it"):
        D.load(str(lists))
    folder = tmp_path / "f"
    folder.mkdir()
    parquet(folder / "train.parquet")
    parquet(folder / "test.parquet", {"age": [1, 2], "town": ["a", "b"], "label": ["no", "yes"]})
    with pytest.raises(UserError, match="test.parquet has other columns than the training part"):
        D.load(str(folder))


def test_the_most_specific_reader_is_asked_first(tmp_path):
    assert [reader.order for reader in readers()] == sorted(reader.order for reader in readers())
    glue = tmp_path / "x.tsv"
    glue.write_text("sentence\tlabel\n" + "".join(f"film {k}\t{k % 2}\n" for k in range(20)))
    assert recognised(glue).name == "sentences", "a path alone is read as what its header says"
    assert D.load(str(glue)).kind == "text"
    plain = tmp_path / "y.tsv"
    plain.write_text("width\tlabel\n" + "".join(f"{k}\t{k % 2}\n" for k in range(20)))
    assert recognised(plain).name == "csv" and recognised(tmp_path) is None
    with pytest.raises(UserError, match=r"known layout; expected one of: .*\.parquet tables"):
        D.load(str(tmp_path))
