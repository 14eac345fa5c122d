"""A slice of `python -m bench.fuzz`: damaged files, settings and command lines end well or in one line, without a traceback.

The cases are those of the campaign by their numbers, but for long ones (trainings, exports, comparisons), in this process.
"""

import time

import pytest

from bench.fuzz import __main__ as fuzz
from bench.fuzz import seeds
from limbeck.__main__ import run as command

CHEAP = ("plan", "evaluate", "report", "measure", "store", "methods", "models", "survey", "--help", "distil", "")
BLOCK, BLOCKS = 25, 8


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """What is damaged: small data of every kind, and a run."""
    place = tmp_path_factory.mktemp("fuzz")
    made, run = seeds.make(place), place / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_STORE", str(place / "store"))
        assert command(["distill", *seeds.TINY, "--set", "data.limit=120", "--quiet", "--out", str(run)]) == 0
        patch.setattr(fuzz, "MADE", made | {"run": run, "compared": run})
        yield


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.usefixtures("damaged")
def test_damage_ends_well_or_in_one_line(block, limbeck, tmp_path, monkeypatch):
    faults, tried = [], 0
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        home = tmp_path / str(number)
        home.mkdir()
        kind, how, words = fuzz.case(number, home)
        if (words or [""])[0] not in CHEAP or how.startswith("compared"):
            continue
        monkeypatch.chdir(home)
        start = time.monotonic()
        code, _, complaint = limbeck(*words)
        ended = fuzz.Outcome(number, kind, how, words, code, time.monotonic() - start, complaint)
        faults += [f"{number} {how}: {ended.fault}"] if ended.fault else []
        tried += 1
    assert not faults and tried > BLOCK / 3, (faults, tried)


@pytest.mark.parametrize(
    ("code", "complaint", "fault"),
    [
        (0, "", ""),
        (2, "limbeck: no\n", ""),
        (2, f"limbeck: {'x' * 300}\n", ""),
        (2, f"limbeck: {'x' * 301}\n", "too long"),
        (2, "limbeck: no\nlimbeck: nor this\n", "not one line"),
        (2, "", "not one line"),
        (1, "Traceback (most recent call last):\nValueError: x\n", "traceback: ValueError: x"),
        (2, "limbeck: an unexpected error (x); traceback in y\n", "traceback: limbeck: an unexpected error (x); traceback in y"),
        (139, "", "traceback: 139"),
        (None, "", "does not end"),
    ],
)
def test_how_a_command_may_end(code, complaint, fault):
    assert fuzz.Outcome(0, "", "", [], code, 0.0, complaint).fault == fault
