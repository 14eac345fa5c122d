"""What goes out as ONNX comes back with the same answers."""

import json

import onnx
import pytest
import torch
from torch import nn

from limbeck.deploy import compare_onnx, export_onnx, onnx_latency
from limbeck.errors import UserError
from limbeck.models import build
from limbeck.models.tree import Tree
from limbeck.plan.roles import Adapter, Normalise

# ReLU networks of up to 20 layers in float32, logits of the order of 1: sums in another order differ by some 1e-6
TOLERANCE = 1e-4


def network(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(0)
    shape = (1, 8, 8) if name in ("cnn", "mlp") else (3, 32, 32)
    if name == "tree":
        module: nn.Module = Tree(10, shape)
        module.fit(torch.rand(300, *shape), torch.rand(300, 10).softmax(1))
        return module, shape
    if name == "normalised":
        return nn.Sequential(Normalise((0.5, 0.4, 0.3), (0.2, 0.2, 0.3)), build("resnet8", classes=10, shape=shape)), shape
    return build(name, classes=10, shape=shape), shape


@pytest.mark.parametrize(
    "name", ["cnn", "mlp", "resnet8", "wrn_16_1", "vgg8", "mobilenetv2", "shufflenetv2", "normalised", "tree"]
)
def test_every_kind_of_student_survives(name, tmp_path, capfd):
    module, shape = network(name)
    path = tmp_path / "student.onnx"
    export_onnx(module, torch.zeros(1, *shape), path, metadata={})
    inputs = torch.rand(9, *shape)
    with torch.no_grad():
        labels = module.eval()(inputs).argmax(1)
    labels[0] = (labels[0] + 1) % 10
    found = compare_onnx(module, path, inputs, labels, batch=4)  # batches of 1 (asked alone), 4, 4 and 1
    assert found["largest_difference"] < TOLERANCE
    assert found["same_predictions"] == 1.0
    assert found["score"] == pytest.approx(8 / 9)
    assert found["bytes"] == path.stat().st_size
    assert capfd.readouterr() == ("", ""), "the exporter must not chat"
    assert [p.name for p in tmp_path.iterdir()] == ["student.onnx"]


def test_a_changed_file_is_noticed(tmp_path):
    module = nn.Linear(4, 3)
    export_onnx(module, torch.zeros(1, 4), tmp_path / "a.onnx", metadata={})
    inputs = torch.randn(50, 4)
    before = compare_onnx(module, tmp_path / "a.onnx", inputs)
    with torch.no_grad():
        module.bias += torch.tensor([0.25, 0.0, 0.0])
    after = compare_onnx(module, tmp_path / "a.onnx", inputs)
    assert before["largest_difference"] < 1e-6
    assert after["largest_difference"] == pytest.approx(0.25, abs=1e-6)
    assert before["score"] is None


def test_metadata_is_kept_and_modes_stay(tmp_path):
    module = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.9))
    module[1].eval()
    export_onnx(module, torch.zeros(2, 4), tmp_path / "a.onnx", metadata={"classes": ["a", "ü"], "made": "by hand"})
    kept = {p.key: p.value for p in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert json.loads(kept["classes"]) == ["a", "ü"]
    assert kept["made"] == "by hand"
    assert (module.training, module[1].training) == (True, False)
    assert compare_onnx(module, tmp_path / "a.onnx", torch.randn(5, 4))["largest_difference"] < 1e-5
    assert onnx_latency(tmp_path / "a.onnx", torch.zeros(2, 4), repeats=5)["batch"] == 2


def test_preprocessing_and_hidden_logits_go_along(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return {"features": x, "logits": self.head(x)}

    adapter = Adapter(prepare=Normalise((1.0, 2.0, 3.0), (2.0, 2.0, 2.0)))
    module = Named()
    export_onnx(module, torch.zeros(1, 3), tmp_path / "a.onnx", metadata={}, adapter=adapter)
    inputs = torch.randn(6, 3)
    assert compare_onnx(module, tmp_path / "a.onnx", inputs, adapter=adapter)["largest_difference"] < 1e-5


class Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(("module", "words"), [(Bessel(), "the operation .*bessel_j0"), (Branches(), "depend on shapes only")])
def test_what_cannot_be_exported_is_one_sentence(module, words, tmp_path):
    with pytest.raises(UserError, match=words) as caught:
        export_onnx(module, torch.randn(2, 3), tmp_path / "a.onnx", metadata={})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.onnx").exists()
