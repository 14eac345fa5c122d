"""Corruptions do what they say, to every model alike."""

import pytest
import torch

from limbeck import data
from limbeck.explanation.corrupt import blurred, corruptions, dropped, flattened, made_worse, noisy, shifted

PIXEL = torch.zeros(1, 1, 9, 9)
PIXEL[0, 0, 4, 4] = 1.0


def by_seed(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_blur_spreads_a_point_and_keeps_what_is_flat():
    spread = blurred(PIXEL, by_seed(), sigma=1.0)
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-6) and float(spread.max()) == pytest.approx(0.3991**2, abs=2e-3)
    assert torch.equal(spread[0, 0], spread[0, 0].T)
    flat = torch.full((2, 3, 5, 5), 0.3)
    assert torch.allclose(blurred(flat, by_seed(), sigma=0.5), flat)


def test_a_shift_moves_by_so_many_pixels_each_sample_its_own_way():
    many = PIXEL.expand(60, 1, 9, 9)
    found = {
        tuple(p)
        for p in (shifted(many, by_seed(), by=2)[:, 0].flatten(1).argmax(1)[:, None] // torch.tensor([9, 1]) % 9).tolist()
    }
    assert found == {(2, 2), (2, 6), (6, 2), (6, 6)}


def test_contrast_keeps_the_mean_and_noise_the_range():
    x = torch.rand(4, 1, 6, 6, generator=by_seed())
    flat = flattened(x, by_seed(), factor=0.25)
    assert torch.allclose(flat.mean((1, 2, 3)), x.mean((1, 2, 3)))
    assert torch.allclose(flat.std((1, 2, 3)), 0.25 * x.std((1, 2, 3)))
    worse = noisy(x, by_seed(), size=0.3, clip=True)
    assert worse.min() == 0 and worse.max() <= 1 and 0.1 < float((worse - x).std()) < 0.3
    table = noisy(torch.zeros(4000, 2), by_seed(), size=torch.tensor([1.0, 10.0]))
    assert table.std(0).tolist() == pytest.approx([1.0, 10.0], rel=0.05)


def test_dropped_columns_are_the_mean_and_others_in_each_sample():
    fill = torch.tensor([10.0, 20.0, 30.0, 40.0])
    worse = dropped(torch.zeros(50, 4), by_seed(), share=0.5, fill=fill)
    assert ((worse == fill).sum(1) == 2).all() and ((worse == 0) | (worse == fill)).all()
    assert (worse == fill).any(0).all()


def test_the_same_sample_is_made_worse_alike_and_the_label_stays():
    digits = data.load("digits")
    ways = corruptions(digits)
    assert [w.name for w in ways] == [n for n in ("noise", "blur", "shift", "contrast") for _ in range(2)]
    batch = next(data.Batches(digits["test"], digits, size=8, seed=0).ordered())
    for how in ways:
        (first,), (second,) = (list(made_worse(iter([batch]), how)) for _ in range(2))
        assert torch.equal(first["inputs"], second["inputs"]) and torch.equal(first["labels"], batch["labels"])
        assert first["inputs"].shape == batch["inputs"].shape and not torch.equal(first["inputs"], batch["inputs"])


def test_texts_are_left_alone():
    from dataclasses import replace

    digits = data.load("digits")
    assert corruptions(replace(digits, kind="text")) == []
