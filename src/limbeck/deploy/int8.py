"""int8 by calibration for ONNX Runtime: weights per channel, activations per tensor, as QDQ nodes."""

import os
import tempfile
from pathlib import Path

import numpy as np

from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.files.still import still


def quantise_onnx(source: str | os.PathLike[str], target: str | os.PathLike[str], calibration: np.ndarray) -> None:
    """Write an int8 copy of an ONNX file, its ranges taken from what `calibration` (n, ...) makes of it.

    Raises `UserError` if ONNX Runtime cannot quantise it.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self.rest = iter([{name: calibration[at : at + 32]} for at in range(0, len(calibration), 32)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.rest, None)

    plain = onnx.load(source)
    with tempfile.TemporaryDirectory() as folder, still():
        prepared, made = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        try:
            quant_pre_process(os.fspath(source), os.fspath(prepared), skip_symbolic_shape=True)
            kinds = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
            reader = Reader(plain.graph.input[0].name)
            quantize_static(os.fspath(prepared), os.fspath(made), reader, quant_format=QuantFormat.QDQ, per_channel=True, **kinds)
        except Exception as error:  # ONNX Runtime's tools raise many kinds
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise UserError(f"ONNX Runtime cannot quantise {Path(source).name}: {first}; keep the float file") from error
        model = onnx.load(made)
    del model.metadata_props[:]
    model.metadata_props.extend(plain.metadata_props)
    with atomic_write(target) as file:
        file.write(model.SerializeToString())
