"""Rows 18 and 19: a class for every pixel, by U-Nets on cell membranes and by FCNs on street scenes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.survey_rows.common import line, model, run

# 30 slices of 512 x 512, cut into tiles of 128 x 128 after the split; 20 slices to learn from (2 of them validation)
MEMBRANE = {"name": "folder", "limit": 20, "validation": 0.1, "test": 10, "tile": 128, "augment": "flip,crop:8"}
# 367 / 101 / 233 street scenes, 11 classes; 11 is what no class was given to
CAMVID = {"name": "folder", "limit": 367, "size": (96, 128), "void": 11, "augment": "flip,crop:6"}
TRAIN = {"batch": 8, "lr": 0.05}


def _at(settings: dict[str, Any], *place: str) -> dict[str, Any]:
    return settings | {"path": str(Path(os.environ["LIMBECK_DATA"]).joinpath(*place))}


def membranes(seed: int) -> dict[str, Any]:
    """Wang et al. 2019, here in two dimensions: labels, soft pixels and a hint from the decoder."""
    made, card = run(
        18,
        seed,
        method="dense_hints",
        data=_at(MEMBRANE, "membrane"),
        teacher=model("unet", width=12, depth=3),
        student=model("unet", width=4, depth=3),
        train=TRAIN | {"epochs": 6},
    )
    words = "membrane (30 slices): 20 to train, 10 to test, tiles of 128 x 128"
    return line(made, card, data=words, metric="test mean IoU")


def streets(seed: int) -> dict[str, Any]:
    """He et al. 2019: a student of larger output stride follows a code of the teacher's map."""
    made, card = run(
        19,
        seed,
        method="knowledge_adaptation",
        data=_at(CAMVID, "camvid_240x180", "camvid_240x180.zip"),
        teacher=model("fcn", width=24, blocks=2, stride=4),
        student=model("fcn_mobile", width=0.5, blocks=2, stride=16),
        train=TRAIN | {"epochs": 12},
    )
    words = "CamVid at 128 x 96, 367 training images"
    return line(made, card, words="20 % of it on the code", data=words, metric="test mean IoU")


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {18: membranes, 19: streets}
