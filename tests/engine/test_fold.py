"""A stand-in with folded batch-norms answers as the model does, or there is none."""

import pytest
import torch
from torch import nn

from limbeck import data, engine, methods, models
from limbeck.data.streams import Streams
from limbeck.engine.fold import fold
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Tap
from limbeck.store.planner import plan


def trained_norms(module):
    """Batch-norms as training leaves them: nothing at its initial value."""
    g = torch.Generator().manual_seed(3)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor, low in ((part.running_mean, -1), (part.running_var, 0.3), (part.weight.data, 0.5), (part.bias.data, -1)):
                tensor.copy_(torch.rand(tensor.shape, generator=g) * 1.5 + low)
    return module.eval()


@pytest.fixture
def batch():
    return {"inputs": torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))}


@pytest.mark.parametrize("name,layers", [("resnet8", 7), ("vgg8", 5), ("mobilenetv2", 53), ("cnn", 3)])
def test_folded_networks_answer_alike(batch, name, layers):
    torch.manual_seed(0)
    cast = Cast({"teacher": trained_norms(models.build(name, classes=10, shape=(3, 16, 16)))})
    found = fold(cast, "teacher", batch, [Tap("teacher")])
    assert found is not None and found.layers == layers and found.difference < 1e-5
    assert not [part for part in found.module.modules() if isinstance(part, nn.BatchNorm2d)]
    assert [part for part in cast["teacher"].modules() if isinstance(part, nn.BatchNorm2d)]  # the role is as it was
    with torch.no_grad():
        assert torch.allclose(found.module(batch["inputs"]), cast["teacher"](batch["inputs"]), rtol=1e-3, atol=1e-4)


def test_what_is_tapped_keeps_its_meaning(batch):
    torch.manual_seed(0)
    cast = Cast({"teacher": trained_norms(models.build("resnet8", classes=10, shape=(3, 16, 16)))})
    taps = [
        Tap("teacher", "layer1.0.conv1"),
        Tap("teacher", "layer2.0.bn2", io="input"),
        Tap("teacher", "layer3.0.bn1"),
        Tap("teacher"),
    ]
    found = fold(cast, "teacher", batch, taps)
    assert found is not None and found.layers == 5  # two pairs stay: their middle is asked for
    own = observe(cast, batch, taps)
    cast.stand_ins["teacher"] = found.module
    other = observe(cast, batch, taps)
    assert all(torch.allclose(own(tap), other(tap), rtol=1e-3, atol=1e-3) for tap in taps)


class Forked(nn.Module):
    """The convolution's output goes past the batch-norm as well."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return (self.norm(y) + y).mean((2, 3))


class Twice(nn.Module):
    """One convolution, two batch-norms."""

    def __init__(self):
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.b(self.conv(self.a(self.conv(x)))).mean((2, 3))


@pytest.mark.parametrize("kind", [Forked, Twice, nn.Flatten])
def test_what_cannot_be_folded_is_left(batch, kind):
    cast = Cast({"teacher": trained_norms(kind())})
    assert fold(cast, "teacher", batch, [Tap("teacher")]) is None


def test_a_live_teacher_is_folded_and_the_run_stays_the_same_to_rounding():
    digits = data.load("digits", limit=200)
    histories = []
    for planned in (False, True):
        torch.manual_seed(0)
        make = lambda width: models.build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": width})  # noqa: E731
        cast = Cast({"teacher": trained_norms(make(4)), "student": make(2)})
        streams = Streams(digits, size=32, seed=0, augment="crop:1")  # new views for ever: nothing can be stored
        made = plan(methods.kd(), cast, streams, None)
        assert set(made.stand_ins) == {"teacher"}
        cast.stand_ins = dict(made.stand_ins) if planned else {}
        histories.append(engine.train(methods.kd(), cast, streams, engine.Fit(steps=10), seed=0, device="cpu").history)
    assert histories[0][-1]["terms"] == pytest.approx(histories[1][-1]["terms"], rel=1e-4)
