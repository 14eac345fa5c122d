"""The public face is typed: a user's script passes the strict mode of mypy, wrong calls give exactly the errors expected."""

import dataclasses
import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typing_extensions

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"


def errors(file):
    """(line, kind) of every error that mypy --strict finds in a file, the package's own files left out."""
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--ignore-missing-imports",
        "--no-error-summary",
    ]
    words += ["--config-file=", "--no-pretty", "--cache-dir", str(HERE.parents[1] / ".mypy_cache" / "typing"), str(file)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(SOURCE)}, cwd=HERE.parents[1])
    assert not done.stderr.strip(), done.stderr
    found = re.findall(r"^\S+?:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.M)
    return sorted((int(line), kind) for line, kind in found), done.stdout


def expected(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    return sorted(
        (n, kind) for n, line in enumerate(lines, start=1) if "  # E: " in line for kind in line.partition("  # E: ")[2].split()
    )


def test_a_users_script_passes_the_strict_mode():
    found, said = errors(HERE / "right.py")
    assert found == [], said


def test_wrong_calls_give_exactly_the_errors_expected():
    found, said = errors(HERE / "wrong.py")
    assert found == expected(HERE / "wrong.py"), said


def test_the_users_script_runs(tmp_path, monkeypatch):
    sys.path.insert(0, str(HERE))
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    import right

    assert 0.0 <= right.distil_and_train(tmp_path) <= 1.0
    assert right.pairs_of_arrays().student is not None
    assert "linear(start=0.0, end=2.0" in right.say_what_it_is()
    lines = tmp_path / "a.lines"
    lines.write_text("1.5 a\n2.5 b\n")
    assert right.Lines().recognises(lines) and right.Lines().read(lines, right.How()).classes == ("a", "b")


CALLS = ["distill", "train", "load", "compare", "shrink", "explain", "export", "measure", "describe"]


def reached(kind, found):
    """Every type within a type: arguments of generics, fields of the package's typed dictionaries and dataclasses."""
    if kind in found:
        return found
    found.append(kind)
    ours = isinstance(kind, type) and kind.__module__.startswith("limbeck.")
    inner = list(typing.get_args(kind))
    if ours and (typing_extensions.is_typeddict(kind) or dataclasses.is_dataclass(kind)):
        inner += typing_extensions.get_type_hints(kind).values()
    for each in inner:
        for part in each if isinstance(each, list) else [each]:
            reached(part, found)
    return found


@pytest.mark.parametrize("name", CALLS)
def test_no_public_call_takes_or_gives_any(name):
    import limbeck

    hints = typing.get_type_hints(getattr(limbeck, name), include_extras=True)
    assert typing.Any not in hints.values()
    assert typing.Any not in reached(hints["return"], [])


@pytest.mark.parametrize(("name", "key"), [("compare", "to_baseline"), ("shrink", "latency_ms"), ("explain", "p_corrected")])
def test_the_results_are_looked_through_to_the_bottom(name, key):
    import limbeck

    found = reached(typing.get_type_hints(getattr(limbeck, name))["return"], [])
    assert any(typing_extensions.is_typeddict(kind) and key in kind.__annotations__ for kind in found)
