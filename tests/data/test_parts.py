"""Parts of a partition, columns of a table: who learns from what."""

from dataclasses import replace

import pytest
import torch

from limbeck import data as D
from limbeck.data.core import statistics
from limbeck.errors import UserError

X = torch.randn(53, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(53) % 5


def table():
    data = D.from_datasets((X, Y), name="a", validation=0.1)
    mean, std = statistics(data["train"].inputs, "table")
    return replace(data, mean=mean, std=std)


def test_shares_are_disjoint_complete_and_the_same_again():
    data = table()
    parts = [data[f"train[{k}/4]"] for k in (1, 2, 3, 4)]
    numbers = torch.cat([p.index for p in parts])
    assert torch.equal(numbers.sort().values, data["train"].index.sort().values)
    sizes = [len(p) for p in parts]
    assert max(sizes) - min(sizes) <= 1 and parts[1].name == "train[2/4]"
    assert all(torch.equal(p.index, table()[p.name].index) for p in parts)
    for part in parts:  # samples keep inputs and labels
        rows = {int(i): k for k, i in enumerate(data["train"].index)}
        at = torch.tensor([rows[int(i)] for i in part.index])
        assert torch.equal(part.inputs, data["train"].inputs[at]) and torch.equal(part.labels, data["train"].labels[at])


def test_classes_choose_their_samples():
    data = table()
    part = data["train[classes 0-1,4]"]
    assert set(part.labels.tolist()) == {0, 1, 4}
    assert len(part) == int(torch.isin(data["train"].labels, torch.tensor([0, 1, 4])).sum())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train[5/4]", "share"),
        ("train[0/4]", "share"),
        ("train[classes 7]", "0 to 4"),
        ("train[half]", "such as"),
        ("trian[1/2]", "train"),
    ],
)
def test_what_does_not_exist_is_refused(name, words):
    with pytest.raises(UserError, match=words):
        table()[name]


def test_streams_draw_from_a_part():
    data = table()
    streams = D.Streams(data, size=4, seed=0)
    seen = torch.cat([streams(("train[2/3]",), k)["index"] for k in range(8)])
    assert set(seen.tolist()) <= set(data["train[2/3]"].index.tolist())
    joint = streams(("train[1/3]", "train"), 0)
    assert len(joint["index"]) == 4 and "labelled" in joint


def test_a_view_keeps_columns_and_puts_the_mean_elsewhere():
    data = table()
    view = D.parse("columns:0-1+5")
    assert str(view) == "columns:0-1+5" and D.parse(str(view)) == view
    batch = D.Batches(data["train"], data, size=8, seed=0, views={"some": view}).batch(0)
    mean = torch.tensor(data.mean)
    assert torch.equal(batch["some"][:, [0, 1, 5]], batch["inputs"][:, [0, 1, 5]])
    assert torch.equal(batch["some"][:, 2:5], mean[2:5].expand(8, 3))
    with pytest.raises(UserError, match="0 to 5"):
        D.Batches(data["train"], data, size=8, seed=0, views={"some": D.parse("columns:6")}).batch(0)


def test_a_view_keeps_channels():
    images = torch.randint(0, 256, (12, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    data = D.from_datasets((images, torch.arange(12) % 2), name="c")
    batch = D.Batches(data["train"], data, size=4, seed=0, views={"one": D.parse("channels:0+2")}).batch(0)
    assert (batch["one"][:, 1] == 0).all() and torch.equal(batch["one"][:, [0, 2]], batch["inputs"][:, [0, 2]])
