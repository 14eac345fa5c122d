"""One of two processes of `test_ddp.py`, started by torchrun: trains an ordinary, an alternating and a multi-stage method
and writes what it saw."""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch  # noqa: E402
from torch import nn  # noqa: E402
from toy import Cast, Toy, fit_of, go  # noqa: E402

from limbeck import methods  # noqa: E402
from limbeck.errors import UserError  # noqa: E402


def mlp(width, seed):
    """No batch statistics: half a batch has others than a whole one."""
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Tanh(), nn.Linear(width, 4))
    return made.double()


def in_double(batch, position):
    return {**batch, "inputs": batch["inputs"].double()}


def spoiled_at_the_end(batch, position):
    """From the third batch on the last sample is not a number: it is in the second process's half."""
    batch = in_double(batch, position)
    if position >= 2:
        batch["inputs"][-1] = float("nan")
    return batch


def main(out):
    terms = {}
    others = {
        "kd": {"teacher": mlp(16, 1)},
        "mutual": {"peer": mlp(8, 3)},
        "assistant": {"teacher": mlp(16, 1), "assistant": mlp(12, 4)},
    }
    for name, more in others.items():
        cast = Cast({"student": mlp(8, 2)} | more)
        told = go(getattr(methods, name)(), cast, draw=Toy(change=in_double), fit=fit_of(6))
        terms[name] = [record["terms"] for record in told.history]
        terms[name + " weights"] = [p.tolist() for p in cast["student"].parameters()]
    try:
        go(methods.dist(), Cast({"student": mlp(8, 2), "teacher": mlp(16, 1)}), draw=Toy(change=in_double), fit=fit_of(2))
        terms["dist"] = "not refused"
    except UserError as error:
        terms["dist"] = str(error)
    try:
        go(methods.kd(), Cast({"student": mlp(8, 2), "teacher": mlp(16, 1)}), draw=Toy(change=spoiled_at_the_end), fit=fit_of(6))
        terms["nan"] = "not refused"
    except UserError as error:
        terms["nan"] = str(error)
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else -1
    Path(f"{out}.{rank}.json").write_text(json.dumps(terms))


if __name__ == "__main__":
    main(sys.argv[1])
