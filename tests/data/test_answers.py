"""Answers of a teacher out of a file: what the numbers are, and which sample each row belongs to."""

import numpy as np
import pytest
import torch

from limbeck import data
from limbeck.data.answers import read
from limbeck.errors import UserError

CLASSES = ("cat", "dog", "hen")


@pytest.fixture
def pets():
    """12 samples of a table, of which 3 are held out for validation and none for the test."""
    torch.manual_seed(0)
    y = torch.tensor([0, 1, 2] * 4)
    return data.from_datasets((torch.rand(12, 2), y), validation=0.25, classes=CLASSES)


def softmax(rows):
    return torch.softmax(rows, 1).numpy()


def written(folder, name, array):
    np.save(folder / name, array)
    return str(folder / name)


def shares(count=12, seed=0):
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), count)
    return rows / rows.sum(1, keepdims=True)


def test_probabilities_come_back_as_they_are(pets, tmp_path):
    rows = shares()
    found = read(written(tmp_path, "p.npy", rows), pets)
    np.testing.assert_allclose(softmax(found.rows), rows, atol=1e-6)
    assert found.at.tolist() == list(range(12)) and "12 answers, probabilities" in found.said


def test_counts_of_votes_are_shares(pets, tmp_path):
    votes = np.array([[3, 1, 0], [0, 0, 4], [2, 2, 0]] * 4)
    found = read(written(tmp_path, "v.npy", votes), pets)
    np.testing.assert_allclose(softmax(found.rows)[:3], [[0.75, 0.25, 0], [0, 0, 1], [0.5, 0.5, 0]], atol=1e-6)
    assert "votes" in found.said


def test_annotators_who_may_have_said_nothing(pets, tmp_path):
    said = np.array([[0, 0, 1, -1], [2, 2, 2, 2], [1, -1, -1, -1]] * 4)
    np.savez(tmp_path / "a.npz", annotators=said)
    rows = softmax(read(str(tmp_path / "a.npz"), pets).rows)
    np.testing.assert_allclose(rows[:3], [[2 / 3, 1 / 3, 0], [0, 0, 1], [0, 1, 0]], atol=1e-6)


def test_logits_are_left_alone(pets, tmp_path):
    rows = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
    found = read(written(tmp_path, "l.npy", rows), pets)
    np.testing.assert_array_equal(found.rows.numpy(), rows)
    assert "logits" in found.said


def test_one_label_each_by_number_or_by_name(pets, tmp_path):
    expected = np.full((12, 3), 0.0005)
    expected[np.arange(12), [2, 1, 0] * 4] = 0.999
    for name, labels in (("n.npy", np.array([2, 1, 0] * 4)), ("w.npy", np.array(["hen", "dog", "cat"] * 4))):
        np.testing.assert_allclose(softmax(read(written(tmp_path, name, labels), pets).rows), expected, atol=1e-6)


def test_the_rest_of_the_most_likely_classes_is_spread(pets, tmp_path):
    np.savez(tmp_path / "t.npz", top_classes=np.array([[2], [0]] * 6), top_values=np.array([[0.8], [1.0]] * 6))
    rows = softmax(read(str(tmp_path / "t.npz"), pets).rows)
    np.testing.assert_allclose(rows[:2], [[0.1, 0.1, 0.8], [1, 0, 0]], atol=1e-6)


def test_columns_are_matched_by_the_names_of_the_classes(pets, tmp_path):
    rows = shares()
    lines = ["hen,cat,dog", *(f"{h!r},{c!r},{d!r}" for c, d, h in rows.tolist())]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    found = read(str(tmp_path / "p.csv"), pets)
    np.testing.assert_allclose(softmax(found.rows), rows, atol=1e-6)
    assert "by the names of the classes" in found.said


@pytest.mark.parametrize("names", [("p(hen)", "p(cat)", "p(dog)"), ("Hen", " CAT", "dog")])
def test_names_of_columns_as_predict_writes_them_or_in_other_case(pets, tmp_path, names):
    rows = shares()
    lines = [",".join(names), *(f"{h!r},{c!r},{d!r}" for c, d, h in rows.tolist())]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    np.testing.assert_allclose(softmax(read(str(tmp_path / "p.csv"), pets).rows), rows, atol=1e-6)


def test_columns_without_names_are_in_order_only_where_they_are_numbered(pets, tmp_path):
    rows = shares()
    for header, fits in (("0,1,2", True), ("p1,p2,p3", True), ("p2,p1,p3", False), ("x,y,z", False)):
        (tmp_path / "p.csv").write_text("\n".join([header, *(",".join(map(repr, row)) for row in rows.tolist())]))
        if fits:
            np.testing.assert_allclose(softmax(read(str(tmp_path / "p.csv"), pets).rows), rows, atol=1e-6)
            continue
        with pytest.raises(UserError, match="give a column for each, by its name"):
            read(str(tmp_path / "p.csv"), pets)


def test_per_cent_are_shares_and_a_sample_without_votes_is_refused(pets, tmp_path):
    rows = shares()
    np.testing.assert_allclose(softmax(read(written(tmp_path, "c.npy", 100 * rows), pets).rows), rows, atol=1e-6)
    votes = np.array([[3, 1, 0], [0, 0, 0], [2, 2, 0]] * 4)
    with pytest.raises(UserError, match=r"row 1 holds \[.*\], which are no votes"):
        read(written(tmp_path, "v.npy", votes), pets)


def test_how_many_labels_agree_is_said(pets, tmp_path):
    truth = np.array([0, 1, 2] * 4)
    assert "; 100 % of the training labels agree" in read(written(tmp_path, "t.npy", truth), pets).said
    turned = read(written(tmp_path, "u.npy", (truth + 1) % 3), pets).said
    assert turned.endswith(
        "; 0 % of the training labels agree, no more than one class alone would: look at the order of rows and columns"
    )


def table(folder, order=range(12)):
    """A table whose samples have names, and the names."""
    names = [f"s{k}" for k in order]
    lines = ["name,x,label", *(f"{name},{k / 7},{CLASSES[k % 3]}" for k, name in enumerate(names))]
    (folder / "pets.csv").write_text("\n".join(lines))
    return data.load(str(folder / "pets.csv"), id="name", validation=0.25, test=0.25), names


def test_rows_are_matched_by_name_in_any_order(tmp_path):
    known, names = table(tmp_path)
    assert known.ids == tuple(names) and known.shape == (1,), "the names are no feature"
    rows, order = shares(14), np.random.default_rng(3).permutation(14)
    every = [*names, "stray", "other"]
    lines = ["id,cat,dog,hen", *(",".join([every[k], *map(repr, rows[k].tolist())]) for k in order)]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    found = read(str(tmp_path / "p.csv"), known)
    np.testing.assert_allclose(softmax(found.rows[found.at]), rows[:12], atol=1e-6)
    assert "by name, 2 of them to no sample here" in found.said


def test_images_are_matched_by_their_files(tmp_path):
    from PIL import Image

    for name in CLASSES:
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(4):
            Image.new("L", (8, 8), 20 * k).save(tmp_path / "photos" / name / f"{name}{k}.png")
    known = data.load(str(tmp_path / "photos"), validation=0.25, test=0.25)
    rows = shares()
    files = [f"{name}{k}.png" for name in CLASSES for k in range(4)]
    np.savez(tmp_path / "p.npz", probabilities=rows[::-1], ids=np.array(files[::-1]))
    found = read(str(tmp_path / "p.npz"), known)
    assert known.ids[0] == "cat/cat0.png"
    np.testing.assert_allclose(softmax(found.rows[found.at]), rows, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (shares(11), "has 11 answers, and the data has 12 (the training part)"),
        (np.full((12, 3), np.nan), "no numbers (NaN or infinity), the first in row 0"),
        (shares()[:, :2], r"expected (n, 3): a number for each class"),
        (np.array([0, 1, 7] * 4), "the label '7' in row 2, no class of the data"),
        (np.array([["a"] * 3] * 12, dtype=object), "is not a NumPy file of numbers"),
    ],
)
def test_what_does_not_fit_is_one_sentence(pets, tmp_path, array, said):
    with pytest.raises(UserError) as refused:
        read(written(tmp_path, "x.npy", array), pets)
    assert said in str(refused.value) and len(str(refused.value)) <= 300


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("img,cat,dog,hen\ns0.png,1,0,0", "got 's0.png' in column 'img', row 1; correct it, or name the column of ids"),
        ("id,label\n" + "\n".join(f"s{k},{'cow' if k == 5 else 'cat'}" for k in range(12)), "the label 'cow' in row 5"),
        ("id,cat,dog,hen\n" + "\n".join(f"s{k % 11},1,0,0" for k in range(12)), "has two answers to s0"),
        ("id,cat,dog,hen\n" + "\n".join(f"s{k},1,0,0" for k in range(1, 12)), "training samples, first s0"),
        ("id,cat,dog,hen\n" + "\n".join(f"q{k},1,0,0" for k in range(12)), "names samples as 'q0', and the data as 's0'"),
        ("id,cat,dog,cow\n" + "\n".join(f"s{k},1,0,0" for k in range(12)), "the classes are cat, dog, hen"),
        ("id,cat,dog,hen\n" + "\n".join(f"s{k},1,0" for k in range(12)), "rows of 4 cells each"),
    ],
)
def test_names_that_do_not_fit_are_one_sentence(tmp_path, text, said):
    known, _ = table(tmp_path)
    (tmp_path / "p.csv").write_text(text)
    if "first s0" in said:
        known = data.load(str(tmp_path / "pets.csv"), id="name", validation=0.25, test=0.25, split_seed=train_with_s0(tmp_path))
    with pytest.raises(UserError) as refused:
        read(str(tmp_path / "p.csv"), known)
    assert said in str(refused.value) and len(str(refused.value)) <= 300


def train_with_s0(folder):
    """A split seed that leaves sample 0 in the training part."""
    for seed in range(20):
        if 0 in data.load(str(folder / "pets.csv"), id="name", validation=0.25, test=0.25, split_seed=seed)["train"].index:
            return seed
    raise AssertionError


def test_probabilities_that_are_said_to_be_votes_are_not_guessed(pets, tmp_path):
    counts = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]] * 4) * 2
    with pytest.raises(UserError, match="add up to 2; set answers_as = votes for counts"):
        read(written(tmp_path, "c.npy", counts), pets, meaning="probabilities")


def test_numbers_of_a_regression(tmp_path):
    known = data.from_datasets((torch.rand(8, 2), torch.rand(8)), validation=0.25)
    values = np.linspace(0, 7, 8)
    found = read(written(tmp_path, "v.npy", values), known)
    assert found.rows.shape == (8, 1) and found.rows[:, 0].tolist() == values.tolist() and "values" in found.said


def test_targets_are_matched_by_name_and_one_may_have_any(tmp_path):
    x = np.arange(8.0)
    (tmp_path / "d.csv").write_text("\n".join(["x,weight,height", *(f"{v},{v + 0.5},{100 - v}" for v in x)]))
    (tmp_path / "two.csv").write_text("\n".join(["height,weight", *(f"{100 - v},{v + 0.5}" for v in x)]))
    two = read(str(tmp_path / "two.csv"), data.load(str(tmp_path / "d.csv"), task="numbers", label=["weight", "height"]))
    np.testing.assert_allclose(two.rows.numpy(), np.stack([x + 0.5, 100 - x], 1))
    assert "columns by the names of the targets" in two.said
    (tmp_path / "one.csv").write_text("\n".join(["prediction", *(f"{v + 0.5}" for v in x)]))
    one = read(str(tmp_path / "one.csv"), data.load(str(tmp_path / "d.csv"), task="numbers", label="weight"))
    np.testing.assert_allclose(one.rows[:, 0].numpy(), x + 0.5)


def test_a_column_of_class_names_for_each_person(tmp_path):
    known, names = table(tmp_path)
    lines = ["id,ann,bob", *(f"{name},{CLASSES[k % 3]},{'' if k % 2 else CLASSES[0]}" for k, name in enumerate(names))]
    (tmp_path / "v.csv").write_text("\n".join(lines))
    found = read(str(tmp_path / "v.csv"), known)
    rows = softmax(found.rows)
    np.testing.assert_allclose(rows[:3], [[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]], atol=1e-6)
    assert "12 answers, votes of 2 annotators, by name" in found.said
