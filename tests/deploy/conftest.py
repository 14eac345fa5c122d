"""A student that was trained for a moment, shared by the tests of this folder."""

import sys

import pytest
from students import learn, write_student


@pytest.fixture(autouse=True)
def no_store(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path_factory.getbasetemp() / "store"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory):
    """Read only: tests that write copy it."""
    folder = tmp_path_factory.mktemp("student")
    write_student(folder, "cnn", {"width": 4}, learn)
    return folder


@pytest.fixture
def python():
    return sys.executable
