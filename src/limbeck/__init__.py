"""limbeck distils a trained model into one that fits a device, and proves it."""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:  # the face, in full for type checkers and editors
    from limbeck import connectors, data, deploy, engine, losses, methods, metrics, models, tasks, transforms
    from limbeck.catalogue.describe import describe
    from limbeck.comparison import compare
    from limbeck.comparison.schema import Board
    from limbeck.data import Data
    from limbeck.deploy.measured import Measurement
    from limbeck.errors import UserError
    from limbeck.explanation import explain
    from limbeck.explanation.schema import Explanation
    from limbeck.face.distill import Result, distill, train
    from limbeck.face.export import Exports, export
    from limbeck.face.load import Student, load
    from limbeck.face.measure import measure
    from limbeck.face.predict import predict
    from limbeck.models.load import Load
    from limbeck.models.pieces import pieces
    from limbeck.plan.actions import Adopt, Follow, Promote, Reinit, Snapshot
    from limbeck.plan.declare import method
    from limbeck.plan.method import Method, Part, Stage, Term, Update, single_stage
    from limbeck.plan.observe import Scene, observe
    from limbeck.plan.roles import Adapter, Cast, Normalise
    from limbeck.plan.schedules import Progress, choose, cosine, linear, ramp_up, sometimes
    from limbeck.plan.taps import Field, Now, State, Tap, Via
    from limbeck.runs.settings import Recipe
    from limbeck.runs.settings import StoreSettings as Store
    from limbeck.runs.settings import TrainSettings as Train
    from limbeck.shrinking import shrink
    from limbeck.shrinking.schema import Shrunk

# name -> where it is, for the first use: `import limbeck` itself is quick
_HOMES = {
    "catalogue.describe": ("describe",),
    "comparison": ("compare",),
    "comparison.schema": ("Board",),
    "data": ("Data",),
    "deploy.measured": ("Measurement",),
    "errors": ("UserError",),
    "explanation": ("explain",),
    "explanation.schema": ("Explanation",),
    "face.distill": ("Result", "distill", "train"),
    "face.export": ("Exports", "export"),
    "face.load": ("Student", "load"),
    "face.measure": ("measure",),
    "face.predict": ("predict",),
    "models.load": ("Load",),
    "models.pieces": ("pieces",),
    "plan.actions": ("Adopt", "Follow", "Promote", "Reinit", "Snapshot"),
    "plan.declare": ("method",),
    "plan.method": ("Method", "Part", "Stage", "Term", "Update", "single_stage"),
    "plan.observe": ("Scene", "observe"),
    "plan.roles": ("Adapter", "Cast", "Normalise"),
    "plan.schedules": ("Progress", "choose", "cosine", "linear", "ramp_up", "sometimes"),
    "plan.taps": ("Field", "Now", "State", "Tap", "Via"),
    "runs.settings": ("Recipe", "Store=StoreSettings", "Train=TrainSettings"),
    "shrinking": ("shrink",),
    "shrinking.schema": ("Shrunk",),
}
_WHERE = {name.partition("=")[0]: (home, name.rpartition("=")[2]) for home, names in _HOMES.items() for name in names}
_MODULES = ("connectors", "data", "deploy", "engine", "losses", "methods", "metrics", "models", "tasks", "transforms")

__all__ = [
    "Adapter", "Adopt", "Board", "Cast", "Data", "Explanation", "Exports", "Field", "Follow", "Load", "Measurement", "Method",
    "Normalise", "Now", "Part", "Progress", "Promote", "Recipe", "Reinit", "Result", "Scene", "Shrunk", "Snapshot", "Stage",
    "State", "Store", "Student", "Tap", "Term", "Train", "Update", "UserError", "Via", "__version__", "choose", "compare",
    "connectors", "cosine", "data", "deploy", "describe", "distill", "engine", "explain", "export", "linear", "load", "losses",
    "measure", "method", "methods", "metrics", "models", "observe", "pieces", "predict", "ramp_up", "shrink", "single_stage",
    "sometimes", "tasks", "train", "transforms",
]  # fmt: skip


if not TYPE_CHECKING:

    def __getattr__(name):
        if name in _WHERE:
            home, own = _WHERE[name]
            found = getattr(importlib.import_module(f"limbeck.{home}"), own)
            globals()[name] = found
            return found
        if name in _MODULES:
            return importlib.import_module(f"limbeck.{name}")
        raise AttributeError(f"module 'limbeck' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
