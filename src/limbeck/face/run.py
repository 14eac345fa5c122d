"""A whole run: its training, then its card, page and model card."""

from collections.abc import Generator
from pathlib import Path

from limbeck.cards.build import build
from limbeck.cards.model_card import write_model_card
from limbeck.cards.schema import Card, finished
from limbeck.data import Data
from limbeck.engine.turns import last
from limbeck.report.page import write_report
from limbeck.runs.events import Listener, silent
from limbeck.runs.session import Finished, Session
from limbeck.runs.settings import Recipe
from limbeck.runs.sharing import Apart
from limbeck.runs.sources import open_sources


def conclude(left: Finished, listen: Listener = silent) -> Card:
    """Measure, export and show what a run's training left; returns the card."""
    card = build(left, listen)
    write_report(left.folder)
    write_model_card(left.folder)
    return card


def running(
    recipe: Recipe, folder: Path, listen: Listener = silent, shared: Apart | None = None, data: Data | None = None
) -> Generator[None, None, Card]:
    """A whole run by its recipe, or what is left of it, stopping after every training step so that several can take turns.

    Returns the card; {} in a process that only helps to train.
    """
    left = yield from Session(open_sources(recipe, data=data, shared=shared, listen=listen), folder, listen).steps()
    return {} if left is None else conclude(left, listen)


def run(recipe: Recipe, folder: Path, listen: Listener = silent, data: Data | None = None) -> Card:
    """A whole run by its recipe, or what is left of it; returns the card. A finished run's is read, not made again."""
    return finished(folder) or last(running(recipe, folder, listen, data=data))
