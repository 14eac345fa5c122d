"""From a trained model to a file that runs elsewhere: export, reload, compare, time."""

from limbeck.deploy.export import compare_onnx, export_onnx
from limbeck.deploy.measure import latency, module_latency, onnx_latency, sizes

__all__ = [
    "compare_onnx",
    "export_onnx",
    "latency",
    "module_latency",
    "onnx_latency",
    "sizes",
]
