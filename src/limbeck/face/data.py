"""The data of a run, or other data with the same splits."""

from pathlib import Path

from limbeck.data import Data
from limbeck.deploy.student_folder import FOLDER as STUDENT
from limbeck.files.saved import has_tokenizer
from limbeck.runs.recipes import load, make, need_trust
from limbeck.runs.settings import DataSettings


def data_of(
    run: Path | None, name: str | None = None, path: str | None = None, *, trust: bool = False, model: str | None = None
) -> Data:
    """The data named, else the run's own with the same splits; a function that the run names runs only where it is trusted.

    model: for which data are read where there is no run; its folder may have a tokenizer or an image processor.
    """
    if model is not None:
        return make({"teacher": {"model": model}}).data.at(name, path).load()
    if run is None or not (run / "recipe.toml").exists():
        return _numbered_alike(run, DataSettings()).at(name, path).load()
    settings = _numbered_alike(run, make(load(run / "recipe.toml"), str(run)).data).at(name, path)
    need_trust({}, run / "recipe.toml", trust, () if name is None else (name,), settings)
    return settings.load()


def _numbered_alike(run: Path | None, settings: DataSettings) -> DataSettings:
    """The settings with the tokenizer that the run kept: the teacher's folder may be gone."""
    if run is None or not has_tokenizer(run / STUDENT):
        return settings
    return settings.model_copy(update={"tokenizer": str(run / STUDENT)})
