"""Videos of moving pictures: they go where their class says, are the same however they are made, and refuse what is none."""

import pytest
import torch

from limbeck import data as D
from limbeck.data.made.moving import MOTIONS, moving
from limbeck.data.views.seen import RoleInputs
from limbeck.errors import UserError

DIGITS = D.load("digits", validation=0)
VIDEOS = moving(DIGITS, frames=4, canvas=16, size=8, speed=3)


def test_every_frame_is_the_one_before_moved_as_the_class_says():
    part = VIDEOS["test"]
    for video, label in zip(part.inputs[:40], part.labels[:40].tolist(), strict=True):
        rows, columns = MOTIONS[VIDEOS.classes[label].split()[1]]
        for one, two in zip(video, video[1:], strict=False):
            assert torch.equal(one.roll((3 * rows, 3 * columns), (0, 1)), two)


def test_the_picture_and_its_class_are_kept():
    for name in ("train", "test"):
        part, old = VIDEOS[name], DIGITS[name]
        assert torch.equal(part.labels // 4, old.labels) and torch.equal(part.index, old.index)
        assert torch.equal(part.inputs[:, 0].flatten(1).sum(1), old.inputs.flatten(1).sum(1))  # nothing is lost at size 8
    assert set(VIDEOS["train"].labels.tolist()) == set(range(40))


def test_a_sample_is_the_same_alone_and_among_others():
    few = moving(D.load("digits", validation=0, limit=100), frames=4, canvas=16, size=8, speed=3, noise=0.1)
    many = moving(DIGITS, frames=4, canvas=16, size=8, speed=3, noise=0.1)
    places = {int(k): row for row, k in enumerate(many["train"].index)}
    rows = torch.tensor([places[int(k)] for k in few["train"].index])
    assert torch.equal(many["train"].inputs[rows], few["train"].inputs)
    assert many.fingerprint != VIDEOS.fingerprint != moving(DIGITS, frames=4, canvas=16, size=8, speed=3, seed=1).fingerprint


def test_differences_of_a_resting_background_are_zero_and_noise_has_its_size():
    still = moving(DIGITS, frames=3, canvas=64, size=8, speed=1)["test"].inputs.float() / 255
    assert (RoleInputs("differences")(still) != 0).float().mean() < 0.03  # a picture and its way, of 64 x 64
    noisy = moving(DIGITS, frames=3, canvas=64, size=8, speed=1, noise=0.1)["test"].inputs.float() / 255
    there = (still == 0) & (noisy > 0)
    assert abs(float((noisy[there] ** 2).mean().sqrt()) - 0.1) < 0.005  # the upper half of a normal: same mean square


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"frames": 1}, "at least 2 frames"), ({"size": 30}, "within the canvas"), ({"noise": -1.0}, "noise")],
)
def test_what_cannot_be_made_is_one_sentence(arguments, words):
    with pytest.raises(UserError, match=words):
        moving(DIGITS, **arguments)
    with pytest.raises(UserError, match="one-channel pictures"):
        moving(D.from_datasets((torch.rand(8, 3), torch.arange(8) % 2), validation=0.25))
