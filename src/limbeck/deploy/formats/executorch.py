"""`.pte`: an ExecuTorch program whose layers run in XNNPACK, in float or in int8.

int8 is symmetric, one scale per output channel of a weight and one per activation, from calibration samples: the
XNNPACK quantiser of ExecuTorch with torchao's post-training flow.
"""

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck.deploy.formats.format import MOST, Format, Opened
from limbeck.deploy.measure import answering
from limbeck.deploy.tracing import Answers, cannot_export, rows_of, traced
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.files.still import still
from limbeck.plan.roles import Adapter


class ExecuTorch(Format):
    """A program whose memory is planned for a largest batch; machine-near, so that only files the user trusts are opened."""

    name = "executorch"
    endings = (".pte",)
    runtime = "executorch"
    extra = "mobile"
    int8 = True

    def write(
        self, module: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, object], calibration: Tensor | None
    ) -> int | None:
        return write_pte(module, example, path, metadata=metadata, calibration=calibration)

    @staticmethod
    def opened(path: str, threads: int, memory: Callable[[], int]) -> Opened:
        from importlib.metadata import version

        import torch
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime, Verification

        _unsafe_reset_threadpool(threads)
        before = memory()
        program = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
        method = program.load_method("forward")
        return (lambda x: method.execute([torch.from_numpy(x)])[0].numpy()), version("executorch"), before

    def check(self, path: Path, trust: bool) -> None:
        with path.open("rb") as file:
            if file.read(8)[4:6] != b"ET":
                raise UserError(f"{path} is not an ExecuTorch program; export the model again")
        if not trust:
            raise UserError(
                f"{path} is machine-near code whatever its folder says of it; add --trust (trust=True in Python) if you made it, "
                "or measure another format"
            )


def write_pte(
    module: nn.Module,
    example: Tensor,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, object],
    calibration: Tensor | None = None,
    most: int = MOST,
) -> int:
    """Write a module as an ExecuTorch program and return the largest batch that it takes.

    Args:
        module, example: as for `export_onnx`. most: largest batch; where the graph cannot take several sizes, 1.
        metadata: what the method `limbeck` of the program returns, as JSON.
        calibration: (n, ...) inputs; with them the program computes in int8.

    Raises:
        UserError: an operation has no form there, or ExecuTorch is not installed.
    """
    try:
        with still():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower
    except ImportError as error:
        raise UserError(f'ExecuTorch is not installed ({error}); run: pip install "limbeck[mobile]"') from None
    whole = Answers(module, Adapter())
    methods = {"limbeck": json.dumps(dict(metadata), default=str)}
    with answering(whole), still(), torch.no_grad():
        try:
            rows = rows_of(module, example, most)
            for largest in (most, 1):
                program, most = _program(whole, rows, calibration, largest)
                lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()], constant_methods=methods)
                if most == 1 or _any_batch(lowered.exported_program()):
                    break
            content = bytes(lowered.to_executorch().buffer)
        except Exception as error:  # the tracers and lowerings raise many kinds
            raise cannot_export(error, "ExecuTorch") from error
    with atomic_write(path) as file:
        file.write(content)
    return most


def _program(whole: nn.Module, rows: Tensor, calibration: Tensor | None, most: int) -> tuple[torch.export.ExportedProgram, int]:
    """The graph for batches up to `most`, else for a batch of 1.

    It is traced with a batch of `most`: a convolution asks on the way whether there are 16 samples or more, and from a
    smaller batch 15 would follow as the largest.
    """
    program = None
    if most > 1:
        with contextlib.suppress(Exception):  # some code only works for one size of batch
            program = traced(whole, rows, most)
    if program is None:
        rows, most = rows[:1], 1
        program = torch.export.export(whole, (rows,), strict=False)
    if calibration is None:
        return program, most
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(program.module(), quantiser)
    for part in calibration.split(min(most, 32)):
        if len(part) <= most:
            prepared(part)
    quantised = convert_pt2e(prepared)
    shapes = ({0: torch.export.Dim("batch", max=most)},) if most > 1 else None
    return torch.export.export(quantised, (rows,), dynamic_shapes=shapes, strict=False), most


def _any_batch(lowered: torch.export.ExportedProgram) -> bool:
    """Whether the size of the batch is still open: layers that are written out step by step, as a GRU is, may settle it."""
    from torch.fx.experimental.symbolic_shapes import is_concrete_int

    (answers,) = (node.args[0] for node in lowered.graph.nodes if node.op == "output")
    sizes = [node.meta["val"].shape[0] for node in answers if isinstance(node, torch.fx.Node) and node.meta["val"].dim()]
    return not any(isinstance(size, int) or is_concrete_int(size) for size in sizes)
