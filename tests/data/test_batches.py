"""Batches: the k-th batch is a function of k, from tensors and from Datasets alike."""

import itertools

import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from limbeck import data as D
from limbeck.errors import UserError
from limbeck.transforms.draws import Draw

X = torch.randint(0, 256, (50, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
Y = torch.arange(50) % 5


class Items(Dataset):
    def __init__(self, x=X, y=Y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, k):
        return self.x[k], int(self.y[k])


def both():
    return D.from_datasets((X, Y), name="a"), D.from_datasets(Items(), name="a")


def equal(a, b):
    assert list(a) == list(b) or set(a) == set(b)
    return all(torch.equal(a[k], b[k]) if torch.is_tensor(a[k]) else a[k] == b[k] for k in a)


VIEWS = {"inputs": D.parse("crop:2,flip"), "strong": D.parse("crop:2,randaugment"), "plain": D.View()}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_gives_what_tensors_give(workers):
    tensors, items = both()
    a = D.Batches(tensors["train"], tensors, size=8, seed=1, views=VIEWS)
    b = D.Batches(items["train"], items, size=8, seed=1, views=VIEWS, workers=workers)
    for k, (one, two) in enumerate(zip(a.stream(5), itertools.islice(b.stream(5), 10), strict=False)):
        assert equal(one, two) and equal(one, b.batch(5 + k))
    assert equal(a.whole(), b.whole())


def test_streams_do_not_touch_global_randomness():
    state = torch.get_rng_state()
    for data in both():
        next(D.Batches(data["train"], data, size=8, seed=1, views=VIEWS).stream())
    assert torch.equal(state, torch.get_rng_state())


def test_random_access_is_the_stream():
    data = both()[0]
    one = D.Batches(data["train"], data, size=8, seed=1, views=VIEWS)
    streamed = list(itertools.islice(one.stream(), 20))
    fresh = D.Batches(data["train"], data, size=8, seed=1, views=VIEWS)
    assert all(equal(streamed[k], fresh.batch(k)) for k in (19, 0, 7, 6, 13))


def test_an_epoch_holds_every_sample_once_in_a_new_order():
    data = both()[0]
    batches = D.Batches(data["train"], data, size=8, seed=1)
    epochs = [torch.cat([batches.batch(e * 7 + k)["index"] for k in range(7)]) for e in range(3)]
    assert len(batches) == 7 and all(torch.equal(e.sort().values, torch.arange(50)) for e in epochs)
    assert not torch.equal(epochs[0], epochs[1])
    whole = [D.Batches(data["train"], data, size=8, seed=1, drop_last=True).batch(k) for k in range(6)]
    assert all(len(b["index"]) == 8 for b in whole) and whole[0]["view"] == 0


def test_a_view_is_its_sample_and_number_whatever_the_batch():
    data = both()[0]
    a = D.Batches(data["train"], data, size=8, seed=1, views=VIEWS, cycle=2)
    b = D.Batches(data["train"], data, size=50, seed=1, views=VIEWS, cycle=2, shuffle=False)
    for epoch in range(3):
        reference = b.batch(epoch)
        for k in range(7):
            batch = a.batch(epoch * 7 + k)
            assert batch["view"] == reference["view"] == epoch % 2
            for name in VIEWS:
                assert torch.equal(batch[name], reference[name][batch["index"]])


def test_same_ops_under_two_names_differ_and_one_name_agrees():
    data = both()[0]
    views = {"a": D.parse("crop"), "b": D.parse("crop"), "c": D.parse("crop", "a")}
    batch = D.Batches(data["train"], data, size=8, seed=1, views=views).batch(0)
    assert not torch.equal(batch["a"], batch["b"]) and torch.equal(batch["a"], batch["c"])
    assert torch.equal(batch["inputs"], X[batch["index"]].float() / 255)


@pytest.mark.parametrize("source", [0, 1])
def test_mixup_by_hand(source):
    data = both()[source]
    views = {"inputs": D.parse("flip,mixup:1.0"), "hard": D.parse("flip", "inputs")}
    batches = D.Batches(data["train"], data, size=50, seed=1, views=views, shuffle=False)
    batch = batches.batch(0)
    assert batch["labels"].shape == (50, 5) and torch.allclose(batch["labels"].sum(1), torch.ones(50))
    op, draw = views["inputs"].ops[1], Draw.of(1, torch.arange(50), 0).within("inputs").within("1:Mixup")
    share, partner = op.share(draw), op.partner(draw, 50)
    expected = share.view(-1, 1, 1, 1) * batch["hard"] + (1 - share).view(-1, 1, 1, 1) * batch["hard"][partner]
    assert torch.equal(batch["inputs"], expected)  # the partner is flipped as in its own view
    hot = torch.nn.functional.one_hot(Y, 5).float()
    assert torch.equal(batch["labels"], share[:, None] * hot + (1 - share[:, None]) * hot[partner])
    small = D.Batches(data["train"], data, size=7, seed=1, views=views).batch(3)
    assert torch.equal(small["inputs"], batch["inputs"][small["index"]])


def test_ordered_and_whole_are_the_samples_themselves():
    data = both()[0]
    batches = D.Batches(data["train"], data, size=8, seed=1, views=VIEWS)
    parts = list(batches.ordered(16))
    whole = batches.whole()
    for name in VIEWS:
        assert torch.equal(torch.cat([p[name] for p in parts]), X.float() / 255)
    assert torch.equal(whole["labels"], Y) and whole["view"] == -1


def test_a_mixture_says_who_is_labelled():
    data = D.load("digits", labelled=50)
    train = D.Batches(data["train"], data, size=8, seed=1, views={"inputs": D.parse("crop:1,mixup")})
    other = D.Batches(data["unlabelled"], data, size=24, seed=1, views={"inputs": D.parse("crop:1")})
    plain = D.Batches(data["train"], data, size=8, seed=1)
    batch = D.Mixture([train, other]).batch(9)
    assert batch["inputs"].shape == (32, 1, 8, 8) and batch["labelled"].tolist() == [1.0] * 8 + [0.0] * 24
    assert torch.equal(batch["inputs"][:8], train.batch(9)["inputs"])
    assert batch["labels"].shape == (32, 10) and not batch["labels"][8:].any()
    assert batch["view"].tolist() == [9 // 7] * 8 + [0] * 24
    hard = next(D.Mixture([plain, other]).stream(3))
    assert (hard["labels"][8:] == -100).all() and torch.equal(hard["labels"][:8], plain.batch(3)["labels"])


def test_mappings_pass_through():
    class Words(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, k):
            return {"input_ids": torch.tensor([k, k + 1]), "attention_mask": [1, 1]}, k % 2

    data = D.from_datasets(Words())
    batch = D.Batches(data["train"], data, size=4, seed=0, shuffle=False).batch(0)
    assert data.kind == "other" and batch["inputs"]["input_ids"].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    joined = D.Mixture([D.Batches(data["train"], data, size=2, seed=0)] * 2).batch(0)
    assert joined["inputs"]["input_ids"].shape == (4, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"views": {"inputs": D.parse("featuredropout")}}, "needs tables"),
        ({"views": {"labels": D.View()}}, "name of another batch entry"),
        ({"size": 0}, "size >= 1"),
        ({"size": 64, "drop_last": True}, "fewer than a batch of 64"),
        ({"cycle": 0}, "cycle >= 1"),
    ],
)
def test_bad_requests_are_one_sentence(arguments, words):
    data = both()[0]
    with pytest.raises(UserError, match=words) as caught:
        D.Batches(data["train"], data, **{"size": 8, "seed": 1, **arguments})
    assert "\n" not in str(caught.value)


def test_crop_on_a_table_is_refused():
    data = D.from_datasets(TensorDataset(torch.rand(6, 3), torch.arange(6) % 2))
    with pytest.raises(UserError, match="crop needs images"):
        D.Batches(data["train"], data, size=2, seed=0, views={"inputs": D.parse("crop")})


def test_bad_items_are_one_sentence():
    mixed = [torch.rand(3), torch.rand(4), torch.rand(3)]
    with pytest.raises(UserError, match="mixed shapes"):
        D.from_datasets(Items(mixed, [0, 1, 0]))
    bad = D.from_datasets(Items(torch.cat([torch.rand(30, 2), torch.full((1, 2), float("nan"))]), torch.arange(31) % 2))
    with pytest.raises(UserError, match="not finite"):
        D.Batches(bad["train"], bad, size=31, seed=0).batch(0)
    with pytest.raises(UserError, match="different views"):
        data = both()[0]
        D.Mixture([D.Batches(data["train"], data, size=2, seed=0, views=v) for v in ({}, VIEWS)])
