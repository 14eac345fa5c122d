"""The catalogue's file of facts: what the declarations say, never out of date, and quick to read."""

import json
import subprocess
import sys

from limbeck.catalogue import facts as catalogue
from limbeck.methods import CATALOGUE


def test_the_file_says_what_the_declarations_say():
    kept = json.loads(catalogue.FILE.read_text(encoding="utf-8"))
    assert kept["sources"] == catalogue.sources(), "run: make docs"
    assert kept["methods"] == json.loads(json.dumps(catalogue.computed())) and len(kept["methods"]) == len(CATALOGUE)


def test_a_file_of_other_sources_is_not_believed(tmp_path, monkeypatch):
    stale = tmp_path / "catalogue.json"
    stale.write_text(json.dumps({"sources": "of yesterday", "methods": []}))
    for path in (stale, tmp_path / "none.json"):
        monkeypatch.setattr(catalogue, "FILE", path)
        assert {entry["name"] for entry in catalogue.facts()} == set(CATALOGUE)


def test_listing_the_methods_needs_no_torch():
    code = "import sys; from limbeck.__main__ import run; assert run(['methods']) == 0; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in CATALOGUE)
