"""`.onnx`: for ONNX Runtime, in float and int8."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from limbeck.deploy.formats.format import Format, Opened
from limbeck.deploy.int8 import quantise_onnx
from limbeck.deploy.measure import open_session
from limbeck.deploy.onnx_file import export_onnx
from limbeck.errors import UserError

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


class Onnx(Format):
    """One file of weights and operators, which is data: opening it runs no code of its own."""

    name = "onnx"
    endings = (".onnx",)
    runtime = "onnxruntime"
    int8 = True

    def write(
        self, module: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, object], calibration: Tensor | None
    ) -> int | None:
        if calibration is None:
            export_onnx(module, example, path, metadata=metadata)
            return None
        aside = path.with_name(f".{path.name}.float")
        try:
            export_onnx(module, example, aside, metadata=metadata)
            quantise_onnx(aside, path, calibration.numpy())
        finally:
            aside.unlink(missing_ok=True)
        return None

    @staticmethod
    def opened(path: str, threads: int, memory: Callable[[], int]) -> Opened:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        before = memory()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return (lambda x: session.run(None, {name: x})[0]), onnxruntime.__version__, before

    def example(self, path: Path) -> np.ndarray:
        """Zeros as the file's first input wants them; free sizes are 1."""
        first = open_session(path).get_inputs()[0]
        kind = TYPES.get(first.type)
        if kind is None:
            raise UserError(f"{path} takes {first.type}; only float and whole-number inputs can be measured")
        return np.zeros([size if isinstance(size, int) else 1 for size in first.shape], kind)
