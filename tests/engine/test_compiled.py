"""Compiled roles learn what plain ones learn, taps included."""

import shutil

import pytest
import torch
from torch import nn

from limbeck import engine
from limbeck.engine.compiled import Compiled
from limbeck.errors import UserError
from limbeck.losses import cross_entropy, mse
from limbeck.plan import Term, single_stage
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Field, Tap

COMPILER = shutil.which("g++") or shutil.which("clang++")


def cast() -> Cast:
    torch.manual_seed(0)
    make = lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))  # noqa: E731
    return Cast({"teacher": make().eval(), "student": make()})


class Draw:
    def __call__(self, partitions, position):
        g = torch.Generator().manual_seed(position)
        return {
            "inputs": torch.randn(6, 4, generator=g),
            "labels": torch.randint(0, 3, (6,), generator=g),
            "index": torch.arange(6),
        }


@pytest.mark.skipif(not COMPILER, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_run_is_the_plain_run_to_rounding():
    hint = Term("hint", mse, student=Tap("student", "1"), teacher=Tap("teacher", "2", io="input").detach())
    method = single_stage(Term("task", cross_entropy, student=Tap("student"), labels=Field("labels")), hint)
    found = []
    for compile in (False, True):
        who = cast()
        trained = engine.train(method, who, Draw(), engine.Fit(steps=6, steps_per_epoch=3, compile=compile), device="cpu")
        found.append((trained.history[-1]["terms"], who["student"].state_dict()))
        assert not who.callers and not any(part._forward_hooks or part._forward_pre_hooks for part in who.modules())
    (plain, weights), (compiled, others) = found
    assert compiled == pytest.approx(plain, rel=1e-5)
    assert all(torch.allclose(weights[k], others[k], rtol=1e-4, atol=1e-6) for k in weights)


def test_one_call_of_several_is_refused():
    with pytest.raises(UserError, match="set compile = false"):
        Compiled(cast()["student"], [Tap("student", "1", call=0)], "student")
