"""From a trained model to a file that runs elsewhere: export, reload, compare, time."""

from limbeck.deploy.measure import latency, module_latency, onnx_latency, sizes
from limbeck.deploy.onnx_file import compare_onnx, export_onnx

__all__ = [
    "compare_onnx",
    "export_onnx",
    "latency",
    "module_latency",
    "onnx_latency",
    "sizes",
]
