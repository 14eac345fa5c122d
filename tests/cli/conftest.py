import pytest

from limbeck.__main__ import run


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """No test reads or leaves anything outside its own folders."""
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path_factory.getbasetemp() / "store"))
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path_factory.getbasetemp() / "data"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def limbeck(capsys):
    """Run a command; returns (exit code, what it said, what it complained)."""

    def call(*words):
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def refuse(limbeck):
    """A command that must end with code 2, one line on stderr and no traceback; returns the line."""

    def call(*words):
        code, _, err = limbeck(*words)
        assert code == 2 and err.count("\n") == 1 and err.startswith("limbeck: ") and "Traceback" not in err, (code, err)
        return err

    return call
