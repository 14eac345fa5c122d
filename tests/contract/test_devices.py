"""Terms traced where no device is: a tensor that was made on the CPU beside others elsewhere is met without a GPU."""

import pytest
import torch
from settings import ROWS, cast_for, draw_for, method_of
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from limbeck.engine.check import build_parts, quiet
from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.plan.observe import observe
from limbeck.plan.schedules import Progress

pytestmark = pytest.mark.contract
WAITS = {"contrastive_representation", "kdcl_naive", "temporal_ensembling"}  # a value is read back to Python in a step
SHAPES = {"cross_task", "ctc_delayed", "norm_direction"}  # rows are chosen by value: the shape waits for the device


def elsewhere(tensor):
    return torch.empty_strided(tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta")


def moved(cast, batch):
    """The cast's tensors and the batch's, of the same shapes, on a device that holds no values."""
    own = [adapter.prepare for adapter in cast.adapters.values() if isinstance(adapter.prepare, torch.nn.Module)]
    for module in (part for whole in (cast, *own) for part in whole.modules()):
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = torch.nn.Parameter(elsewhere(parameter), requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = elsewhere(buffer)
    return {k: elsewhere(v) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}


@pytest.fixture(autouse=True)
def autocast_anywhere(monkeypatch):
    real = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda kind, **more: real("cpu" if kind == "meta" else kind, **more))


@pytest.mark.parametrize("name", sorted(ROWS))
def test_no_term_mixes_devices(name):
    method, cast, draw = method_of(name), cast_for(name), draw_for(name)
    batch = draw(("train",), 0)
    with torch.no_grad(), quiet(cast):
        build_parts(method, cast, batch)
    waits = set()
    with FakeTensorMode(), torch.no_grad():
        there = moved(cast, batch)
        for stage, update, term in method.terms():
            try:
                scene = observe(cast, there, term.sources, learns=update.trains, now=Progress(stage.name, 1, 10))
                evaluate_term(term, scene)
            except DataDependentOutputException:
                waits.add("value")
            except DynamicOutputShapeException:
                waits.add("shape")
            except UserError as error:
                assert "unknown role" in str(error) or "unknown batch field" in str(error), error  # made by an action or a source
            except AssertionError as error:
                assert "non_fake_inputs" in str(error)  # a constant of Python's, made inside an operator
    assert ("value" in waits) == (name in WAITS)
    assert ("shape" in waits) == (name in SHAPES)


def test_a_term_that_mixes_devices_is_met():
    with FakeTensorMode(), torch.no_grad(), pytest.raises(RuntimeError, match="same device"):
        torch.empty(3, device="meta") + torch.ones(3)
