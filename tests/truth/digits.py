"""A small real setting for whole methods: digits, tiny CNNs, twelve steps."""

import torch

from limbeck import data, engine, models
from limbeck.data.streams import Streams
from limbeck.engine.check import build_parts
from limbeck.engine.step import evaluate_term
from limbeck.plan.observe import observe
from limbeck.plan.roles import Adapter, Cast, Normalise

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


def values(method):
    """(cast, batch, scene, {term: its mean}) of a method's first batch, everything in evaluation mode."""
    cast, batch = make_cast(method), streams(method)(("train",), 0)
    torch.manual_seed(7)
    build_parts(method, cast, batch)
    cast.eval()
    terms = [term for _, _, term in method.terms()]
    scene = observe(cast, batch, [s for t in terms for s in t.sources], learns=tuple(cast.keys()))
    means = {t.name: (lambda s, c: s / c)(*evaluate_term(t, scene)) for t in terms}
    return cast, batch, scene, means


def states(cast):
    return {key: value.clone() for key, value in cast.state_dict().items()}
