"""`photographs`: small pictures cut out of the two photographs inside scikit-learn; a class is the part of one that they show.

No two pictures share a pixel; three tenths of them, drawn with a fixed seed, are the test part.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from limbeck.data.assemble import Raw

FILES = {"temple": "china.jpg", "flower": "flower.jpg"}
ROWS, COLUMNS, SIDE = 2, 2, 16  # parts of a photograph; pixels of a picture


def read() -> Raw:
    """2,080 pictures (3, 16, 16) of 8 classes."""
    from PIL import Image

    place = find_spec("sklearn")
    assert place is not None and place.origin is not None
    pictures, labels = [], []
    for number, file in enumerate(FILES.values()):
        with Image.open(Path(place.origin).parent / "datasets" / "images" / file) as opened:
            pixels = np.asarray(opened.convert("RGB"))
        tall, wide = (side // SIDE for side in pixels.shape[:2])
        for row in range(tall):
            for column in range(wide):
                cut = pixels[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
                pictures.append(cut.transpose(2, 0, 1).copy())
                labels.append((number * ROWS + row * ROWS // tall) * COLUMNS + column * COLUMNS // wide)
    names = tuple(f"{name}, {y} {x}" for name in FILES for y in ("top", "bottom") for x in ("left", "right"))
    parts = {"train": (torch.from_numpy(np.stack(pictures)), torch.tensor(labels))}
    return Raw(parts, names, "image", test_share=0.3, test_seed=0)
