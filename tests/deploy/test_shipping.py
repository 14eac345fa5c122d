"""A student goes out in every format and comes back from every runtime with its answers."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from students import write_student
from torch import nn

import limbeck
from limbeck.__main__ import run
from limbeck.data import load
from limbeck.deploy import formats
from limbeck.deploy.formats import asking
from limbeck.deploy.int8 import quantise_onnx
from limbeck.deploy.onnx_file import export_onnx
from limbeck.deploy.shipment import some, spread
from limbeck.errors import UserError

MOBILE = importlib.util.find_spec("executorch") is not None
NO_MOBILE = 'ExecuTorch is not installed; pip install "limbeck[mobile]"'


def rows_of(capsys):
    return {row["file"]: row for row in json.loads(capsys.readouterr().out)["exports"]}


def test_onnx_and_torch_in_float_and_int8(student_folder, tmp_path, capsys):
    folder = shutil.copytree(student_folder, tmp_path / "run")
    assert run(["export", str(folder), "--format", "onnx,torch", "--int8", "--json"]) == 0
    rows = rows_of(capsys)
    assert set(rows) == {"student.onnx", "student.pt2", "student.int8.onnx"}
    for name in ("student.onnx", "student.pt2"):
        assert rows[name]["largest_difference"] < 1e-4 and rows[name]["same_predictions"] == 1.0  # float32: sums in another order
    int8 = rows["student.int8.onnx"]
    # it rounds, so it must differ; a three-layer network keeps nearly all answers
    assert int8["largest_difference"] > 1e-3 and int8["same_predictions"] > 0.95
    assert rows["student.onnx"]["test"]["student"] > 0.5  # it was trained: the comparison is not between constants
    assert rows["student.onnx"]["test"]["score"] == rows["student.onnx"]["test"]["student"]
    kept = json.loads((folder / "exports.json").read_text())["rows"]
    assert {name: digest for row in kept for name, digest in row["sha256"].items()} == {
        n: formats.sha256(folder / n) for n in rows
    }
    ops = {node.op_type for node in onnx.load(folder / "student.int8.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= ops
    facts = {p.key: p.value for p in onnx.load(folder / "student.int8.onnx").metadata_props}
    assert json.loads(facts["classes"]) == [str(k) for k in range(10)] and facts["precision"] == "int8"
    assert json.loads(facts["normalisation"])["where"] == "inside the file" and facts["scale"] == "pixel / 255"
    ours = str(Path(limbeck.__file__).parent).encode()
    assert not [name for name in rows if ours in (folder / name).read_bytes()], "files must not tell where they were made"
    assert "| student.int8.onnx | int8 |" in (folder / "MODEL_CARD.md").read_text()


@pytest.mark.skipif(not MOBILE, reason=NO_MOBILE)
def test_executorch_in_float_and_int8_and_measured(student_folder, tmp_path, capsys):
    folder = shutil.copytree(student_folder, tmp_path / "run")
    assert run(["export", str(folder), "--format", "executorch", "--int8", "--json"]) == 0
    rows = rows_of(capsys)
    assert rows["student.pte"]["largest_difference"] < 1e-4 and rows["student.pte"]["largest_batch"] == 32
    assert rows["student.int8.pte"]["largest_difference"] > 1e-3 and rows["student.int8.pte"]["same_predictions"] > 0.95
    assert run(["measure", str(folder / "student.pte"), "--batch", "1,64", "--repeats", "5", "--trust", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["measured"]
    assert set(row["latency_ms"]) == {"1"}, "a batch of 64 is more than its memory was planned for"
    damaged = bytearray((folder / "student.pte").read_bytes())
    damaged[64:4000] = bytes(3936)
    (folder / "student.pte").write_bytes(damaged)
    assert run(["measure", str(folder / "student.pte"), "--trust", "--json"]) == 2
    assert "checksum differs" in capsys.readouterr().err
    manifest = json.loads((folder / "exports.json").read_text())
    manifest["rows"][0]["sha256"]["student.pte"] = formats.sha256(folder / "student.pte")
    (folder / "exports.json").write_text(json.dumps(manifest))
    assert (
        run(["measure", str(folder / "student.pte"), "--trust", "--json"]) == 0
    )  # the process that opens it may die, not this one
    assert json.loads(capsys.readouterr().out)["measured"][0]["error"]


def test_a_tree_goes_out_as_rules_that_anyone_can_walk(tmp_path, capsys):
    def fit(module, inputs, labels):
        module.fit(inputs, nn.functional.one_hot(labels, 10).float())

    student = write_student(tmp_path, "tree", {"depth": 6}, fit)
    assert run(["export", str(tmp_path), "--format", "rules,onnx", "--json"]) == 0
    rows = rows_of(capsys)
    assert rows["student.rules.json"]["same_predictions"] == rows["student.onnx"]["same_predictions"] == 1.0
    assert rows["student.rules.json"]["largest_difference"] < 1e-5 and rows["student.onnx"]["test"]["score"] > 0.5
    rules, digits = json.loads((tmp_path / "student.rules.json").read_text()), load("digits")
    inputs = some(digits["test"], digits, 50)
    said = asking.module_answers(student, inputs)
    scaled = (inputs.flatten(1).numpy() - np.float32(rules["mean"][0])) / np.float32(rules["std"][0])
    for sample, expected in zip(scaled, said, strict=True):
        node = 0
        for _ in range(rules["depth"]):
            node = rules["branches"][node][int(sample[rules["feature"][node]] > rules["threshold"][node])]
        assert np.allclose(rules["log_probability"][node], expected, atol=1e-5)


def test_int8_of_one_layer_errs_no_more_than_its_steps_allow(tmp_path):
    torch.manual_seed(0)
    layer, inputs = nn.Linear(16, 5, bias=False), torch.rand(200, 16) * 2 - 1
    inputs[0, 0], inputs[0, 1] = -1.0, 1.0
    export_onnx(layer, inputs[:2], tmp_path / "a.onnx", metadata={"kept": "yes"})
    quantise_onnx(tmp_path / "a.onnx", tmp_path / "b.onnx", inputs.numpy())
    found = asking.file_answers([formats.Written(formats.find("onnx"), True, tmp_path / "b.onnx", None)], inputs)[0]
    exact = (inputs @ layer.weight.detach().T).numpy()
    # by hand: x in [-1, 1] in steps of 2 / 255 (asymmetric int8) or 2 / 254, w of row k in steps of max|w_k| / 127;
    # each is off by half a step, and the answer is itself rounded to a step of its own range
    step_x, weights = 2 / 254, layer.weight.detach().abs().numpy()
    step_w = weights.max(1) / 127
    bound = weights.sum(1) * step_x / 2 + 16 * step_w / 2 * (1 + step_x / 2) + (exact.max() - exact.min()) / 254
    assert (np.abs(found - exact) <= bound).all()
    assert np.abs(found - exact).max() > 1e-3, "nothing was rounded"
    assert {p.key for p in onnx.load(tmp_path / "b.onnx").metadata_props} == {"kept"}


def test_samples_are_spread_over_the_part():
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert spread(100, 4).tolist() == [0, 33, 66, 99]


class Branches(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10] if x.sum() > 0 else x.flatten(1)[:, -10:]


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class Rows(nn.Module):
    """A GRU that reads an image row by row: its lowering settles the batch that was traced."""

    def __init__(self):
        super().__init__()
        self.gru, self.linear = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.linear(self.gru(x.squeeze(1))[0][:, -1])


@pytest.mark.skipif(not MOBILE, reason=NO_MOBILE)
def test_a_layer_that_settles_the_batch_answers_one_at_a_time_in_executorch(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, inputs = Rows().eval(), torch.randn(5, 1, 3, 4)
    written = formats.write(formats.find("executorch"), module, inputs[:2], tmp_path / "g.pte", metadata={})
    assert written.most == 1
    (said,) = asking.file_answers([written], inputs)
    assert not isinstance(said, str), said
    assert asking.largest_difference(asking.module_answers(module, inputs), said) < 1e-5


@pytest.mark.parametrize("name", ["onnx", "torch", "executorch"])
@pytest.mark.parametrize(("module", "words"), [(Branches(), "depend on shapes only"), (Bessel(), "the operation .*bessel_j0")])
def test_what_cannot_be_exported_says_which_operation(name, module, words, tmp_path):
    if name == "executorch" and not MOBILE:
        pytest.skip(NO_MOBILE)
    if name == "torch" and isinstance(module, Bessel):
        pytest.skip("torch.export has every operation of torch")
    with pytest.raises(UserError, match=words) as caught:
        formats.write(formats.find(name), module, torch.randn(2, 20), tmp_path / f"a{formats.find(name).endings[0]}", metadata={})
    assert "\n" not in str(caught.value) and list(tmp_path.iterdir()) == []


def test_a_failure_is_a_row_and_the_others_are_written(student_folder, tmp_path, capsys):
    folder = shutil.copytree(student_folder, tmp_path / "run")
    assert run(["export", str(folder), "--format", "rules,torch", "--json"]) == 2
    out, err = capsys.readouterr()
    first, second = json.loads(out)["exports"]
    assert "one decision tree" in first["error"] and first["error"] in err
    assert second["same_predictions"] == 1.0 and (folder / "student.pt2").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "onnnx"], "did you mean 'onnx'"),
        (["--format", ","], "--format is empty"),
        (["--format", "onnx,torch", "--out", "a.onnx"], "--out names one file"),
        (["--format", "torch", "--out", "a.onnx"], "student.pt2"),
        (["--out", "a.bin"], "is not an exported model"),
        (["--repair"], "add --int8"),
    ],
)
def test_wrong_options_are_one_sentence(student_folder, words, said, capsys):
    assert run(["export", str(student_folder), *words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
