"""The pictures cut out of scikit-learn's photographs: each is a region of its photograph, and no two share a pixel."""

import torch
from sklearn.datasets import load_sample_image

from limbeck import data


def test_pictures_are_the_regions_of_the_photographs():
    found = data.load("photographs", validation=0)
    assert found.shape == (3, 16, 16) and {k: len(p) for k, p in found.partitions.items()} == {"train": 1456, "test": 624}
    assert found.classes[0] == "temple, top left" and found.classes[7] == "flower, bottom right"
    whole = torch.cat([found["train"].inputs, found["test"].inputs])
    labels, index = (torch.cat([getattr(found[part], what) for part in ("train", "test")]) for what in ("labels", "index"))
    assert torch.bincount(labels).tolist() == [260] * 8 and sorted(index.tolist()) == list(range(2080))
    wide = 640 // 16
    for sample in (0, wide - 1, 13 * wide, 1040 + 25 * wide + 39):  # corners, by hand: 26 rows of 40 in each photograph
        photo = torch.from_numpy(load_sample_image(("china.jpg", "flower.jpg")[sample // 1040]).copy()).permute(2, 0, 1)
        row, column = divmod(sample % 1040, wide)
        place = int((index == sample).nonzero())
        assert torch.equal(whole[place], photo[:, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16])
        assert labels[place] == 4 * (sample // 1040) + 2 * (row >= 13) + (column >= 20)
