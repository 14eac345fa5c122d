"""The whole cast of a finished run once more, as it was left: student, teacher and whatever helped."""

from pathlib import Path

from limbeck.data import Data
from limbeck.errors import UserError
from limbeck.plan import Method
from limbeck.plan.roles import Cast
from limbeck.runs.casting import method_of
from limbeck.runs.phase import load_phase
from limbeck.runs.run import Run
from limbeck.runs.settings import load, make
from limbeck.tasks.bind import bind


def trained_cast(folder: Path) -> tuple[Run, Method, Data, Cast]:
    """A run's settings, method, data and cast with the weights that its training left.

    Raises `UserError` if the folder holds no finished run, or a role was given from Python.
    """
    weights = folder / "weights" / "student.safetensors"
    if not (folder / "recipe.toml").exists() or not weights.exists():
        raise UserError(f"{folder} holds no finished run (recipe.toml and weights/student.safetensors); give the folder of one")
    recipe = make(load(folder / "recipe.toml"), str(folder / "recipe.toml"))
    given = [s.model for s in (recipe.teacher, recipe.student, *recipe.roles.values()) if s.model.startswith("python object")]
    if given:
        raise UserError(f"a role of {folder} was given as a {given[0]}, which cannot be rebuilt by name; name a factory instead")
    run = Run(recipe, folder)
    data = run.load_data()
    method = bind(method_of(recipe.method.model_dump()), data.task)
    cast = run.make_cast(method, data)
    load_phase(method, cast, run.streams(data, method), weights, recipe.seed)
    return run, method, data, cast.eval()
