"""A small real setting for whole methods: digits, tiny CNNs, twelve steps."""

import torch

from limbeck import data, engine, models
from limbeck.data.streams import Streams
from limbeck.roles import Adapter, Cast, Normalise

DIGITS = data.load("digits", labelled=None)
WIDTH = 4


def make_cast(method):
    """Every role a different tiny CNN; the teacher twice as wide."""
    cast = Cast({})
    for k, role in enumerate(method.roles()):
        torch.manual_seed(k)
        width = 2 * WIDTH if role == "teacher" else WIDTH
        module = models.build("cnn", classes=10, shape=DIGITS.shape, arguments={"width": width})
        cast.add(role, module, Adapter(prepare=Normalise(DIGITS.mean, DIGITS.std)))
    return cast


def streams(method):
    return Streams(DIGITS, size=64, seed=0, views=method.views, augment="crop:1")


def train(method, cast=None, *, steps=12, **more):
    cast = make_cast(method) if cast is None else cast
    fit = engine.Fit(steps=steps, steps_per_epoch=6, checkpoint_seconds=0.0)
    return cast, engine.train(method, cast, streams(method), fit, seed=0, device="cpu", **more)


def states(cast):
    return {key: value.clone() for key, value in cast.state_dict().items()}
