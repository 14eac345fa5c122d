"""One of two processes of `test_ddp.py`, started by torchrun: trains an ordinary, an alternating and a multi-stage method
and writes what it saw."""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import torch  # noqa: E402
from torch import nn  # noqa: E402
from toy import Cast, Toy, fit_of, go  # noqa: E402

from limbeck import methods  # noqa: E402
from limbeck.errors import UserError  # noqa: E402
from limbeck.plan.roles import Adapter  # noqa: E402
from limbeck.runs.heads import find_heads  # noqa: E402
from limbeck.tasks.bind import bind  # noqa: E402
from limbeck.tasks.next_token import FirstWords, NextToken  # noqa: E402
from tests.truth.test_heads_truth import Tiny  # noqa: E402


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


class Rows:
    """Rows of next tokens of which very different numbers count: the halves of a batch are no equal shares."""

    def __call__(self, partitions, position):
        generator = torch.Generator().manual_seed(position)
        ids = torch.randint(0, 23, (4, 13), generator=generator)
        labels = ids[:, 1:].clone()
        for row, first in enumerate((11, 10, 4, 0)):
            labels[row, :first] = -100
        return {"inputs": ids[:, :-1], "labels": labels, "index": torch.arange(4) + 4 * position}

    def whole(self, partitions):
        return self(partitions, 0)


def language():
    """A small language model without full logits: sums over what counts, in both processes together."""
    torch.manual_seed(5)
    cast = Cast({"student": Tiny(8).double(), "teacher": Tiny(12, words=28).double()})
    cast.adapters |= {role: Adapter(logits=FirstWords(23)) for role in cast}
    task = NextToken(vocabulary=23)
    return cast, find_heads(cast, Rows()(("train",), 0), 23).lean(bind(methods.lm_kd(), task))


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
    cast, lean = language()
    told = go(lean, cast, draw=Rows(), fit=fit_of(6))
    terms["lm_kd"] = [record["terms"] for record in told.history]
    terms["lm_kd weights"] = [p.flatten().tolist() for p in cast["student"].parameters()]
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
