"""A module as a graph: what every format starts from, and one sentence where it cannot be had."""

import re

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.plan.roles import Adapter

MISSING = (  # how the exporters name an operation that they do not have
    r"No (?:ONNX function|decompositions?) (?:registered )?(?:found )?for .*?op='([\w.:]+)'",
    r"No ONNX function found for \W*(?:OpOverload\()?\W*([\w.:]+)",
    r"Missing out variants: \{'([\w.:]+)'",
    r"Operator (?:torch._ops.)?([\w.:]+) is not (?:Core ATen|in Core ATen)",
)


class Answers(nn.Module):
    """A module whose only input is a tensor `inputs` and whose only output is its logits."""

    def __init__(self, module: nn.Module, adapter: Adapter):
        super().__init__()
        self.module, self.adapter = module, adapter
        self.prepare = adapter.prepare if isinstance(adapter.prepare, nn.Module) else None

    def forward(self, inputs: Tensor) -> Tensor:
        return self.adapter.find_logits(self.adapter.feed(self.module, inputs), "exported model")


def rows_of(module: nn.Module, example: Tensor, count: int = 2) -> Tensor:
    """Inputs to trace with, where the module is; a batch of 1 would be taken for a constant. In the usual order of
    memory: with one channel a tensor may be laid out either way, and ExecuTorch takes only what it was shown."""
    rows = torch.empty(count, *example.shape[1:], dtype=example.dtype)
    return rows.copy_(example[torch.arange(count) % len(example)]).to(device_of(module, example))


def device_of(module: nn.Module, inputs: Tensor) -> torch.device:
    return next((t.device for t in (*module.parameters(), *module.buffers())), inputs.device)


def traced(whole: nn.Module, pair: Tensor, most: int | None = None) -> torch.export.ExportedProgram:
    """The graph for a batch of any size, up to `most` where it is given. The lenient tracer takes `len(x)` for a
    constant; the strict one does not."""
    shapes = {"inputs": {0: torch.export.Dim("batch", max=most)}}
    try:
        return torch.export.export(whole, (pair,), dynamic_shapes=shapes, strict=False)
    except Exception as lenient:  # the tracers raise many kinds
        try:
            return torch.export.export(whole, (pair,), dynamic_shapes=shapes, strict=True)
        except Exception:  # the first reason is the clearer one
            raise lenient from None


def cannot_export(error: BaseException, to: str = "ONNX") -> UserError:
    """One sentence: which operation, or else the innermost reason, and what to do."""
    chain, current = [], error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__  # type: ignore[assignment]
    text = "\n".join(str(e) for e in chain)
    for user in chain:
        if isinstance(user, UserError):
            return user
    found = next(filter(None, (re.search(pattern, text) for pattern in MISSING)), None)
    if found:
        return UserError(
            f"cannot export to {to}: the operation {found[1]} has no {to} form; replace it in the model's forward, "
            "or keep the safetensors file"
        )
    root = next((line.strip() for line in str(chain[-1]).splitlines() if line.strip()), type(chain[-1]).__name__)
    return UserError(
        f"cannot export to {to}: the model's code cannot be traced ({type(chain[-1]).__name__}: {root[:200]}); "
        "make its forward depend on shapes only, not on values, or keep the safetensors file"
    )
