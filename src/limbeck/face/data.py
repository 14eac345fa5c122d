"""The data of a run, or other data with the same splits."""

from pathlib import Path

from limbeck.data import Data
from limbeck.runs.settings import DataSettings, load, make


def data_of(run: Path | None, name: str | None = None, path: str | None = None) -> Data:
    """The data named, else the run's own with the same splits."""
    known = run is not None and (run / "recipe.toml").exists()
    return (make(load(run / "recipe.toml"), str(run)).data if run is not None and known else DataSettings()).at(name, path).load()
