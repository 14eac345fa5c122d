"""OpenVINO: a pair of files, written, reloaded in its own runtime, timed, and refused where it is not whole."""

import json

import numpy as np
import pytest
import torch

from limbeck.deploy import formats
from limbeck.deploy.device import ask
from limbeck.deploy.formats import asking, find
from limbeck.errors import UserError
from limbeck.face.export import export
from limbeck.face.measure import measure

pytest.importorskip("openvino", reason='pip install "limbeck[openvino]"')


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 64, 3))
    return torch.nn.Sequential(*layers).eval()


def test_float_and_int8_answer_as_the_module_does(net, tmp_path):
    x = torch.rand(40, 1, 8, 8)
    plain = formats.write(find("openvino"), net, x[:2], tmp_path / "a.xml", metadata={"classes": ["x", "y", "z"]})
    small = formats.write(find("openvino"), net, x[:2], tmp_path / "b.xml", metadata={}, calibration=x)
    assert [file.name for file in (*plain.files, *small.files)] == ["a.xml", "a.bin", "b.xml", "b.bin"]
    ours = asking.module_answers(net, x)
    first, second = asking.file_answers([plain, small], x)
    assert asking.largest_difference(ours, first) < 1e-5  # float32, sums in another order
    assert 1e-4 < asking.largest_difference(ours, second) < 0.1, "int8 is really int8, and near"
    assert (tmp_path / "b.bin").stat().st_size < 0.4 * (tmp_path / "a.bin").stat().st_size, "its weights take 8 bits"
    assert '"classes": ["x", "y", "z"]' in (tmp_path / "a.xml").read_text().replace("&quot;", '"'), "the facts travel inside"
    assert not [p for p in tmp_path.iterdir() if p.suffix not in (".xml", ".bin")]


def test_any_batch_and_what_one_input_looks_like(net, tmp_path):
    formats.write(find("openvino"), net, torch.rand(2, 1, 8, 8), tmp_path / "a.xml", metadata={})
    example = find("openvino").example(tmp_path / "a.xml")
    assert example.shape == (1, 1, 8, 8) and example.dtype == np.float32
    (seen,) = ask([find("openvino").job(tmp_path / "a.xml", example, batches=(1, 5), repeats=3, seconds=0.1)])
    assert not seen.error and set(seen.figures["latency_ms"]) == {"1", "5"} and seen.figures["runtime_bytes"] > 0


def test_both_files_are_hashed_and_both_must_be_there(student_folder, tmp_path):
    import shutil

    folder = shutil.copytree(student_folder, tmp_path / "run")
    (row,) = export(folder, "openvino").rows
    assert set(row["sha256"]) == {"student.xml", "student.bin"} and row["same_predictions"] == 1.0
    assert row["bytes"] == sum((folder / name).stat().st_size for name in row["sha256"])
    (timed,) = measure(folder, batches=(1,), seconds=0.1)
    assert timed["latency_ms"]["1"]["median"] > 0 and timed["bytes"] == row["bytes"]
    assert "student.xml" in json.dumps(json.loads((folder / "exports.json").read_text()))
    with (folder / "student.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="student.bin has changed since its export"):
        measure(folder)
    (folder / "student.bin").unlink()
    with pytest.raises(UserError, match="no file at .*student.bin; export the model first"):
        measure(folder)


def test_what_openvino_cannot_take_is_one_sentence(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, x):
            return x if bool(x.sum() > 0) else -x

    with pytest.raises(UserError, match="cannot export to ONNX|OpenVINO cannot take") as caught:
        formats.write(find("openvino"), Odd(), torch.randn(2, 20), tmp_path / "a.xml", metadata={})
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())
