"""Our optimisers are torch's, step by step and bit by bit, and leave torch's compiler unloaded."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from limbeck.engine import optimizers

KINDS = [("SGD", {"momentum": 0.9, "weight_decay": 1e-2}), ("Adam", {"weight_decay": 1e-2}), ("AdamW", {"weight_decay": 1e-2})]


@pytest.mark.parametrize("name, more", KINDS)
def test_the_same_bits_as_torchs(name, more):
    weights, states = [], []
    for source in (torch.optim, optimizers, torch.optim):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
        optimizer = getattr(source, name)(net.parameters(), lr=0.05, **more)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
        for _ in range(3):
            net(torch.ones(2, 5)).square().sum().backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        kept = optimizer.state_dict()
        again = getattr(optimizers, name)(net.parameters(), lr=1.0, **more)
        again.load_state_dict(kept)
        net(torch.ones(2, 5)).square().sum().backward()
        again.step()
        weights.append([p.detach().clone() for p in net.parameters()])
        states.append(kept["param_groups"])
    for one, other in zip(weights[0] + weights[2], weights[1] * 2, strict=True):
        assert torch.equal(one, other)
    assert states[0] == states[1]


def test_a_parameter_that_is_no_leaf_is_refused_as_by_torch():
    with pytest.raises(ValueError, match="non-leaf"):
        optimizers.SGD([torch.ones(2, requires_grad=True) * 2], lr=0.1)


def test_the_compiler_stays_unloaded():
    code = (
        "import sys, torch; from limbeck.engine.optimizers import AdamW; p = torch.nn.Parameter(torch.ones(2)); "
        "o = AdamW([p], lr=0.1); p.sum().backward(); o.step(); o.zero_grad(); o.state_dict(); "
        "print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
