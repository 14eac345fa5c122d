"""Clocks and sizes."""

import gc
import time

import pytest
import torch
from torch import nn

from limbeck.deploy import latency, module_latency, onnx_latency, sizes
from limbeck.errors import UserError


def test_latency_counts_calls_and_orders_quantiles():
    calls = []
    found = latency(lambda: calls.append(1), warm_up=3, repeats=20, seconds=5)
    assert len(calls) == 23
    assert found["repeats"] == 20
    assert 0 < found["low"] <= found["median"] <= found["high"] <= found["p95"]
    assert gc.isenabled()


def test_latency_is_in_milliseconds_and_stops_when_time_is_up():
    found = latency(lambda: time.sleep(0.01), warm_up=0, repeats=10_000, seconds=0.1)
    assert 10 <= found["median"] < 100  # a sleep is never shorter; a busy machine may make it longer
    assert 5 <= found["repeats"] <= 11


def test_slow_calls_are_still_measured_five_times():
    assert latency(lambda: time.sleep(0.002), warm_up=0, repeats=100, seconds=0)["repeats"] == 5


def test_module_latency_restores_threads_and_modes():
    class Noisy(nn.Module):
        seen = ()

        def __init__(self):
            super().__init__()
            self.inner = nn.Dropout()

        def forward(self, x):
            Noisy.seen = (self.training, self.inner.training, torch.is_grad_enabled(), torch.get_num_threads())
            return self.inner(x)

    module, before = Noisy(), torch.get_num_threads()
    module.inner.eval()
    found = module_latency(module, torch.zeros(3, 4), threads=1, repeats=5, warm_up=0)
    assert Noisy.seen == (False, False, False, 1)
    assert (module.training, module.inner.training, torch.get_num_threads()) == (True, False, before)
    assert (found["threads"], found["batch"]) == (1, 3)


def test_sizes_count_shared_tensors_once():
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4))
    net.append(net[0])
    # 16 weights + 8 of the batch norm; 4 bytes each, and its buffers: 8 floats and a 64-bit counter
    assert sizes(net) == {"parameters": 24, "bytes": 24 * 4 + 8 * 4 + 8}
    assert sizes(nn.Linear(2, 2).half())["bytes"] == 12


def test_missing_and_damaged_onnx_files_are_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no ONNX file"):
        onnx_latency(tmp_path / "none.onnx", torch.zeros(1, 2))
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match="cannot open"):
        onnx_latency(tmp_path / "bad.onnx", torch.zeros(1, 2))
