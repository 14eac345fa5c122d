"""A damaged or foreign file never runs code, and never brings down who opens it."""

import contextlib
import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from limbeck.deploy import formats
from limbeck.deploy.formats import asking
from limbeck.deploy.formats.torch import check_pt2, write_pt2
from limbeck.errors import UserError


class Owned:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.pt2"
    write_pt2(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), torch.zeros(1, 6), path, metadata={"a": 1})
    return path


def changed(good: Path, change) -> Path:
    """A copy in which `change(name, content)` has replaced contents, or added (name, content) pairs."""
    bad = good.with_name("bad.pt2")
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            for inner, content in change(name, old.read(name)):
                new.writestr(inner, content)
    return bad


def with_model(good, edit):
    def change(name, content):
        if not name.endswith("models/model.json"):
            return [(name, content)]
        model = json.loads(content)
        edit(model)
        return [(name, json.dumps(model))]

    return changed(good, change)


def test_an_own_file_opens_and_carries_its_facts(good):
    check_pt2(good)
    extra = {"limbeck.json": ""}
    program = torch.export.load(good, extra_files=extra)
    assert json.loads(extra["limbeck.json"]) == {"a": 1}
    assert program.module()(torch.zeros(5, 6)).shape == (5, 3)


def test_pickled_example_inputs_are_refused_and_torch_would_have_run_them(good, tmp_path):
    marker = tmp_path / "owned"
    content = pickle.dumps(Owned(marker))
    bad = changed(good, lambda name, old: [(name, content if name.endswith("sample_inputs/model.pt") else old)])
    with pytest.raises(UserError, match="example inputs"):
        formats.careful(bad)
    assert not marker.exists()


def test_a_pickled_tensor_is_refused(good, tmp_path):
    def change(name, content):
        if name.endswith("model_weights_config.json"):
            config = json.loads(content)
            next(iter(config["config"].values()))["use_pickle"] = True
            return [(name, json.dumps(config))]
        return [(name, content)]

    with pytest.raises(UserError, match="pickled tensor"):
        formats.careful(changed(good, change))


def first_call(model):
    return model["graph_module"]["graph"]["nodes"][0]


@pytest.mark.parametrize(
    "target", ["torch.os.system", "torch.ops.load_library", "_operator.methodcaller", "torch.ops.aten.__class__.x.y", "#evil:x"]
)
def test_an_operator_that_is_none_is_refused(good, target):
    with pytest.raises(UserError, match="it calls"):
        formats.careful(with_model(good, lambda model: first_call(model).update(target=target)))


@pytest.mark.parametrize(
    "text", ["__import__('os').system('x')", "exit()", "Symbol('s0').__class__", "open('/etc/passwd')", "s0.x", "[].append"]
)
def test_an_expression_that_is_no_arithmetic_is_refused(good, text):
    def edit(model):
        model["graph_module"]["graph"]["sym_int_values"] = {"s": {"as_expr": {"expr_str": text, "hint": None}}}

    with pytest.raises(UserError, match="expression"):
        formats.careful(with_model(good, edit))


@pytest.mark.parametrize(
    "name", ["data/weights/model.pt", "data/aotinductor/model/a.so", "models/other.json", "data/weights/../../x"]
)
def test_any_other_part_is_refused(good, name):
    bad = changed(good, lambda old, content: [(old, content)] + ([(f"good/{name}", b"x")] if old.endswith("byteorder") else []))
    with pytest.raises(UserError, match="it holds|no archive"):
        formats.careful(bad)


def test_a_part_named_twice_is_refused(good):
    with pytest.warns(UserWarning, match="Duplicate name"):
        bad = changed(good, lambda name, content: [(name, content)] * (2 if name.endswith("model.json") else 1))
    with pytest.raises(UserError, match="twice"):
        formats.careful(bad)


@pytest.mark.parametrize("suffix", [".pt2", ".pte", ".onnx", ".pkl"])
def test_rubbish_and_halves_are_one_sentence(good, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(good.read_bytes()[:2000] if suffix == ".pt2" else pickle.dumps(Owned(tmp_path / "owned")))
    if suffix == ".onnx":
        (found,) = asking.file_answers([formats.Written(formats.find("onnx"), False, path, None)], torch.zeros(2, 6))
        assert isinstance(found, str) and found
    else:
        with pytest.raises(UserError, match="whole .pt2|not an ExecuTorch|not an exported model") as caught:
            formats.careful(path)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_a_pte_from_elsewhere_is_not_opened(tmp_path):
    (tmp_path / "a.pte").write_bytes(b"\x00\x00\x00\x00ET12" + bytes(200))
    digest = hashlib.sha256((tmp_path / "a.pte").read_bytes()).hexdigest()
    for known in ({}, {"a.pte": digest}):  # what its own folder says of it is no proof
        with pytest.raises(UserError, match="machine-near code .* --trust"):
            formats.careful(tmp_path / "a.pte", known)
    assert formats.careful(tmp_path / "a.pte", {"a.pte": digest}, trust=True).name == "executorch"
    with pytest.raises(UserError, match="checksum"):
        formats.careful(tmp_path / "a.pte", {"a.pte": "0" * 64})


def test_torch_alone_would_run_it(good, tmp_path):
    """Why the look inside is needed; when torch no longer does this, the test says so."""
    marker, buffer = tmp_path / "owned", io.BytesIO()
    pickle.dump(Owned(marker), buffer)
    bad = changed(good, lambda name, old: [(name, buffer.getvalue() if name.endswith("sample_inputs/model.pt") else old)])
    with contextlib.suppress(Exception):  # whatever it says after running it
        torch.export.load(bad)
    assert marker.exists()
