"""train.average: the weights that are kept are the moving average over steps, of whoever trains, also after a stop."""

import pytest
import torch
from torch import nn

import limbeck
from limbeck import methods
from limbeck.data import from_datasets
from limbeck.errors import UserError
from limbeck.plan import Cast
from limbeck.runs import averaging

RANDOM = torch.Generator().manual_seed(0)
X = torch.randn(96, 4, generator=RANDOM)
DATA = from_datasets((X, (X[:, 0] > 0).long()), validation=0.25)


def nets():
    torch.manual_seed(0)
    return nn.Linear(4, 2), nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def kept(out, steps_seen, **train):
    """A run whose student's weights are noted after each step."""
    teacher, student = nets()
    trail = []

    def listen(event):
        if isinstance(event, limbeck.runs.events.Epoch) and event.who == "student":
            trail.append({k: v.clone() for k, v in student.state_dict().items()})

    settings = limbeck.Train(epochs=steps_seen, batch=72, **train)  # an epoch is a step
    result = limbeck.distill(teacher, student, DATA, train=settings, baseline=False, onnx=False, out=out, listen=listen)
    return result, student.state_dict(), trail


def test_the_average_by_hand(tmp_path):
    _, plain, trail = kept(tmp_path / "plain", 5)
    result, found, _ = kept(tmp_path / "average", 5, average=0.6)
    assert len(trail) == 5 and any("moving average" in note for note in result.card["notes"])
    for key, last in plain.items():
        if not last.is_floating_point():
            assert torch.equal(found[key], last)
            continue
        mean = None
        for k, step in enumerate(trail):
            decay = min(0.6, k / (k + 1))
            mean = step[key] if mean is None else decay * mean + (1 - decay) * step[key]
        torch.testing.assert_close(found[key], mean)
        assert key.endswith("num_batches_tracked") or not torch.equal(mean, last)


def test_validation_and_the_best_epoch_are_the_averages(tmp_path):
    result, found, _ = kept(tmp_path / "run", 6, average=0.9, best=True)
    history = limbeck.runs.folder.lines_of(tmp_path / "run" / "metrics.jsonl")
    assert len(list(history)) == 6 and result.card["models"]["student"]["score"] is not None
    loaded = {
        k.removeprefix("student."): v for k, v in limbeck.models.weights._read(tmp_path / "run/student.safetensors", "x").items()
    }
    assert all(torch.equal(loaded[k], v) for k, v in found.items()) and not any("average" in k for k in loaded)


def test_a_run_that_was_stopped_goes_on_to_the_same_average(tmp_path):
    _, whole, _ = kept(tmp_path / "whole", 6, average=0.7)

    def stop(event):
        if isinstance(event, limbeck.runs.events.Epoch) and event.step == 3:
            raise KeyboardInterrupt

    teacher, student = nets()
    settings = limbeck.Train(epochs=6, batch=72, average=0.7)
    words = {"train": settings, "baseline": False, "onnx": False, "out": tmp_path / "run", "checkpoint_seconds": 0.0}
    with pytest.raises(KeyboardInterrupt):
        limbeck.distill(teacher, student, DATA, listen=stop, **words)
    assert list((tmp_path / "run" / "checkpoints" / "student").iterdir())
    teacher, student = nets()
    limbeck.distill(teacher, student, DATA, resume=True, **words)
    assert all(torch.equal(value, student.state_dict()[key]) for key, value in whole.items())


def test_what_is_not_one_training_network_stays():
    by = averaging.averaged(methods.kd(), 0.9)
    assert str(by.deployed) == "student_average" and len(by.stages[-1].after_step) == 1
    cast = Cast({"student": nets()[0], "student_average": nets()[0]})
    with torch.no_grad():
        cast["student_average"].weight += 1
    wanted = cast["student_average"].weight.clone()
    averaging.settled(cast)
    assert list(cast) == ["student"] and torch.equal(cast["student"].weight, wanted)
    with pytest.raises(UserError, match=r"train.average|average"):
        limbeck.runs.recipes.make({"train": {"average": 1.0}})
