"""A run's curves for a tracker of experiments, as they grow, by Accelerate's interface: TensorBoard, MLflow, W&B, Trackio.

A tracker that fails never ends a run: what it said is noted once, and the rest is left out.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from limbeck.errors import UserError, reason
from limbeck.runs.events import Epoch, Event, Phase

PROJECT = "limbeck"


class Tracker:
    """One run in a tracker. Values are called WHO/TERM and WHO/validation score; steps of the trainings follow one another.

    Args:
        name: of the tracker. folder: of the run, whose name the tracker's run gets. settings: of the run, in groups.
        note: told once if the tracker fails.

    Raises:
        UserError: the tracker's package is not installed, or it cannot be started.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, object], note: Callable[[str], None]):
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        need(name)
        self.name, self.note, self.before, self.last = name, note, 0, 0
        self.kept: Any = None
        kind = LOGGER_TYPE_TO_CLASS[name]
        where = {"logging_dir": str(folder / name)} if kind.requires_logging_directory else {}
        own: dict[str, Any] = {
            "wandb": {"name": folder.name, "dir": str(folder)},
            "trackio": {"name": folder.name},
            "mlflow": {"run_name": folder.name},
        }
        try:
            self.kept = kind(folder.name if name == "tensorboard" else PROJECT, **where, **own.get(name, {}))
            if hasattr(self.kept, "start"):
                self.kept.start()
            self.kept.store_init_configuration(dict(_plain(settings)))
        except Exception as error:  # another library's, or no server
            raise UserError(f"train.tracker = {name!r} cannot be started ({reason(error)}); leave it out") from error

    def hear(self, event: Event) -> None:
        """Log a line of the learning curve."""
        if isinstance(event, Phase):
            self.before = self.last
        elif isinstance(event, Epoch):
            self.last = self.before + event.step
            values = {f"{event.who}/{name}": value for name, value in event.terms.items()}
            values |= {f"{event.who}/validation {name}": value for name, value in event.validation.items()}
            self._do(lambda: self.kept.log({**values, f"{event.who}/epoch": event.epoch}, step=self.last))

    def finish(self, figures: Mapping[str, Mapping[str, float | None]]) -> None:
        """Log the figures of the card, by model, and end the tracker's run."""
        values = {f"test/{who}/{key}": v for who, each in figures.items() for key, v in each.items() if v is not None}
        self._do(lambda: self.kept.log(values, step=self.last))
        self._do(lambda: self.kept.finish())
        self.kept = None

    def _do(self, act: Callable[[], object]) -> None:
        if self.kept is None:
            return
        try:
            act()
        except Exception as error:  # a server that is gone, a full disk
            self.kept = None
            self.note(f"the tracker {self.name} failed and hears no more ({reason(error)})")


def need(name: str) -> None:
    """Refuse a tracker whose package is not installed."""
    from accelerate import tracking

    if name != "none" and name not in [str(getattr(one, "value", one)) for one in tracking.get_available_trackers()]:
        raise UserError(f"train.tracker = {name!r} needs its package; run: pip install {name}")


def _plain(settings: Mapping[str, object], above: str = "") -> list[tuple[str, object]]:
    """Settings as dotted names with numbers, words or yes and no, which every tracker takes."""
    found: list[tuple[str, object]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += _plain(value, f"{above}{key}.")
        elif value is not None:
            found.append((f"{above}{key}", value if isinstance(value, int | float | str) else str(value)))
    return found
