"""A quantised student's file: its true number of bits, and the same answers to the bit after reloading."""

import json

import pytest
import torch

from limbeck import models
from limbeck.connectors import quantise
from limbeck.deploy.packed import load_packed
from limbeck.deploy.student import load_student
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.runs.recipes import make

METHODS = [
    ("quantised_distillation", {"bits": 3, "bucket": 32}),
    ("differentiable_quantisation", {"bits": 2}),
    ("gradual", {}),
    ("gradual", {"scale": True}),
]


def done(tmp_path, method, arguments):
    settings = {
        "onnx": False,
        "baseline": False,
        "device": "cpu",
        "data": {"limit": 300},
        "teacher": {"model": "cnn", "arguments": {"width": 8}},
        "student": {"model": "cnn", "arguments": {"width": 4}},
        "method": {"name": method, "arguments": arguments},
        "train": {"epochs": 1},
        "store": {"use": False},
    }
    return run(make(settings), tmp_path)


@pytest.mark.parametrize(("method", "arguments"), METHODS)
def test_the_file_has_its_true_bits_and_answers_to_the_bit(tmp_path, method, arguments):
    card = done(tmp_path, method, arguments)
    student, _ = load_student(tmp_path)
    file = tmp_path / "student.packed"
    assert 8 * file.stat().st_size == quantise.true_bits(student)
    facts = card["models"]["student"]
    assert facts["bytes"] == facts["packed"]["bytes"] == file.stat().st_size and facts["packed"]["same_predictions"] is True
    assert facts["bytes"] < card["models"]["teacher"]["bytes"] / 4
    packed, inputs = load_packed(tmp_path), torch.rand(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(packed(inputs), student(inputs))
    assert not list(quantise.quantisers(packed))  # plain layers: whatever exports those exports this
    assert sum(p.numel() for p in packed.parameters()) == sum(
        p.numel() for p in models.build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": 4}).parameters()
    )


def test_a_ternary_student_by_hand(tmp_path):
    """cnn of width 4 on (1, 8, 8): 36 + 288 + 1152 weights of three convolutions and 160 of the classifier in 2 bits;
    10 biases and 28 x 4 numbers of batch-norm in 4 bytes; 3 counters in 8."""
    card = done(tmp_path, "gradual", {})
    assert card["models"]["student"]["bytes"] == (36 + 288 + 1152 + 160) * 2 // 8 + 4 * (10 + 28 * 4) + 3 * 8


def test_a_damaged_file_is_refused(tmp_path):
    done(tmp_path, "gradual", {})
    file = tmp_path / "student.packed"
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="damaged: its checksum"):
        load_packed(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match="no packed student in .*: student.packed is missing"):
        load_packed(tmp_path)


def test_a_student_in_full_precision_has_no_packed_file(tmp_path):
    card = done(tmp_path, "kd", {})
    assert "packed" not in card["models"]["student"] and not (tmp_path / "student.packed").exists()
    assert "packed" not in json.loads((tmp_path / "student.json").read_text())
    with pytest.raises(UserError, match="its method does not quantise"):
        load_packed(tmp_path)
