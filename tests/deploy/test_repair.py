"""Training on as int8: the rounding is that of the file, it can be undone, and the better file is kept."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from limbeck.__main__ import run
from limbeck.connectors.int8 import AsInt8, PerChannel, Range, as_float
from limbeck.deploy import formats
from limbeck.deploy.formats import asking
from limbeck.deploy.student import load_student, save_student
from limbeck.plan.roles import Cast
from limbeck.runs.repair import trained_on


def test_weights_are_whole_multiples_of_each_channel_s_step():
    weight = torch.tensor([[1.27, -0.014, 0.0], [-254.0, 3.1, 100.9]])
    found = PerChannel(weight)(weight)
    assert torch.allclose(found, torch.tensor([[1.27, -0.01, 0.0], [-254.0, 4.0, 100.0]]))  # steps 0.01 and 2, by hand
    kept = PerChannel(weight).stored(weight)
    assert torch.allclose(PerChannel(weight).restored(kept, weight.shape), found) and kept["codes"].numel() == 6


def test_inputs_are_rounded_to_255_steps_of_what_was_seen():
    part = Range().train()
    x = torch.tensor([-1.0, 0.0, 0.013, 1.55])
    part(x)  # range -1 to 1.55: steps of 0.01, as by hand
    assert torch.allclose(part.eval()(x), torch.tensor([-1.0, 0.0, 0.01, 1.55]), atol=1e-6)
    assert torch.allclose(part(torch.tensor([9.0, -9.0])), torch.tensor([1.55, -1.0]), atol=1e-6)
    again = Range().train()
    again(x)
    again(2 * x)
    assert float(again.high) == pytest.approx(0.9 * 1.55 + 0.1 * 3.1)


def test_it_answers_as_the_int8_file_does_and_can_be_undone(tmp_path):
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4)), torch.randn(400, 12)
    exact = net(x).detach()
    formats.write(formats.find("onnx"), net, x[:2], tmp_path / "a.onnx", metadata={}, calibration=x)
    keys = set(net.state_dict())
    cast = Cast({"student": net})
    AsInt8("student")(cast, 0)
    AsInt8("student")(cast, 0)  # twice is once
    net.train()(x)
    net.eval()
    (file,) = asking.file_answers([formats.Written(formats.find("onnx"), True, tmp_path / "a.onnx", None)], x)
    ours = net(x).detach()
    off = (ours - exact).abs().max()
    # the file rounds its last answer once more; apart from that the two round alike
    assert float(np.abs(file - ours.numpy()).mean()) < 0.5 * float((torch.from_numpy(file) - exact).abs().mean()) + 0.01
    assert off > 1e-3
    loss = net(x).square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    as_float(net)
    assert set(net.state_dict()) == keys and torch.equal(net(x), exact)


def test_the_road_from_a_run_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    widths = ["--set", "teacher.width=8", "--set", "student.width=4", "--epochs", "3", "--no-baseline", "--set", "onnx=false"]
    assert run(["distill", *widths, "--quiet", "--out", "run"]) == 0
    before = (tmp_path / "run/student.safetensors").read_bytes()
    capsys.readouterr()
    assert run(["export", "run", "--int8", "--most-lost", "-1", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["exports"] and "add --repair" in said.err, "advice does not get between the lines of JSON"
    assert run(["export", "run", "--int8", "--repair", "--most-lost", "-1", "--json"]) == 0  # whatever it loses is too much
    first, second = json.loads(capsys.readouterr().out)["exports"]
    assert "note" not in first and "steps of fine-tuning with simulated int8 and the teacher" in second["note"]
    words = second["note"].split(": ")[1].split()
    assert second["validation"]["score"] == pytest.approx(max(float(words[0]), float(words[3])) / 100, abs=1e-4)
    assert second["sha256"]["student.int8.onnx"] == formats.sha256(tmp_path / "run/student.int8.onnx"), (
        "the manifest is that of the file"
    )
    assert (tmp_path / "run/repaired/student.safetensors").exists()
    assert (tmp_path / "run/student.safetensors").read_bytes() == before, "the float student stays what it was"
    assert "as int8" not in (tmp_path / "run/student.json").read_text()


def test_a_student_trained_in_another_memory_layout_is_kept_in_the_usual_one(tmp_path, monkeypatch):
    """Channels-last weights, which ExecuTorch does not lower, are not left behind by the training on."""
    monkeypatch.chdir(tmp_path)
    widths = ["--set", "teacher.width=4", "--set", "student.width=2", "--epochs", "1", "--no-baseline", "--set", "onnx=false"]
    layout = ["--set", "train.layout=channels_last", "--set", "data.limit=200"]
    assert run(["distill", *widths, *layout, "--quiet", "--out", "run"]) == 0
    student, info, steps = trained_on(tmp_path / "run")
    assert steps > 0 and not all(p.is_contiguous() for p in student.parameters()), "trained in the other layout"
    save_student(tmp_path / "again", student, info)
    assert all(p.is_contiguous() for p in load_student(tmp_path / "again")[0].parameters())
