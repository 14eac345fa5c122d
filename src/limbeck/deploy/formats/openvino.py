"""`.xml` and `.bin`: OpenVINO's intermediate representation, for Intel's processors, in float and int8."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from limbeck.deploy.formats.format import Format, Opened
from limbeck.deploy.int8 import quantise_onnx
from limbeck.deploy.onnx_file import export_onnx
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.files.still import still


class OpenVino(Format):
    """Operators in `.xml`, weights in `.bin` beside it; both are data. int8 comes from ONNX Runtime's calibration: OpenVINO keeps
    its scales and computes in int8 where the processor can."""

    name = "openvino"
    endings = (".xml", ".bin")
    runtime = "openvino"
    extra = "openvino"
    int8 = True

    def write(
        self, module: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, object], calibration: Tensor | None
    ) -> int | None:
        try:
            with still():
                import openvino
        except ImportError as error:
            raise UserError(f'OpenVINO is not installed ({error}); run: pip install "limbeck[openvino]"') from None
        with tempfile.TemporaryDirectory() as folder:
            plain, ready, made = Path(folder) / "plain.onnx", Path(folder) / "ready.onnx", Path(folder) / path.name
            export_onnx(module, example, plain, metadata={})
            if calibration is not None:
                quantise_onnx(plain, ready, calibration.numpy())
            try:
                with still():
                    model = openvino.convert_model(plain if calibration is None else ready)
                    model.set_rt_info(json.dumps(dict(metadata), default=str), "limbeck")
                    openvino.save_model(model, made, compress_to_fp16=False)
            except Exception as error:  # OpenVINO's errors share no base but Exception
                first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
                raise UserError(f"OpenVINO cannot take this model: {first[:200]}; export it to onnx") from error
            for file in reversed(self.files(path)):  # the one that is named comes last
                with atomic_write(file) as out:
                    out.write(made.with_suffix(file.suffix).read_bytes())
        return None

    @staticmethod
    def opened(path: str, threads: int, memory: Callable[[], int]) -> Opened:
        import openvino

        core = openvino.Core()
        before = memory()
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(core.read_model(path), "CPU", settings)
        request = compiled.create_infer_request()
        version = str(openvino.__version__).split("-")[0]
        return (lambda x: request.infer({0: x})[compiled.output(0)].copy()), version, before

    def example(self, path: Path) -> np.ndarray | None:
        """Zeros as the file's first input wants them; free sizes are 1."""
        try:
            import openvino
        except ImportError:
            return None
        first = openvino.Core().read_model(path).input(0)
        sizes = [1 if size.is_dynamic else size.get_length() for size in first.partial_shape]
        return np.zeros(sizes, first.element_type.to_dtype())
