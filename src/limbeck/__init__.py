"""limbeck distils a trained model into one that fits a device, and proves it."""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "catalogue.describe": ("describe",),
    "distil": ("distill", "Result"),
    "errors": ("UserError",),
    "models.load": ("Load",),
    "plan.actions": ("Adopt", "Follow", "Promote", "Reinit", "Snapshot"),
    "plan.method": ("Method", "Part", "Stage", "Term", "Update", "method", "single_stage"),
    "plan.roles": ("Adapter", "Cast", "Normalise"),
    "plan.schedules": ("Progress", "choose", "cosine", "linear", "ramp_up", "sometimes"),
    "plan.taps": ("Field", "Scene", "State", "Tap", "Via", "observe"),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("connectors", "data", "deploy", "engine", "losses", "methods", "metrics", "models", "tasks", "transforms")

__all__ = ["__version__", *_WHERE, *_MODULES]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import limbeck` itself is quick."""
    if name in _WHERE:
        return getattr(importlib.import_module(f"limbeck.{_WHERE[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"limbeck.{name}")
    raise AttributeError(f"module 'limbeck' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
