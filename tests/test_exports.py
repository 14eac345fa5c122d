"""Every public name is there."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import limbeck


@pytest.mark.parametrize("name", limbeck.__all__)
def test_it_is_there(name):
    assert getattr(limbeck, name) is not None
    assert name in dir(limbeck)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'distil'"):
        _ = limbeck.distil


@pytest.mark.parametrize(
    "module", [m.name for m in pkgutil.walk_packages(limbeck.__path__, "limbeck.") if m.name != "limbeck.__main__"]
)
def test_what_a_module_lists_it_has(module):
    found = importlib.import_module(module)
    assert all(hasattr(found, name) for name in getattr(found, "__all__", ()))


def test_importing_limbeck_alone_does_not_load_torch():
    seen = subprocess.run(
        [sys.executable, "-c", "import limbeck, sys; print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert seen.stdout.strip() == "False"
