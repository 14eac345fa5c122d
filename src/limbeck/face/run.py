"""A whole run: its training, then its card, page and model card."""

import contextlib
from collections.abc import Generator
from pathlib import Path

from limbeck import methods
from limbeck.cards.build import build
from limbeck.cards.model_card import FILE as MODEL_CARD
from limbeck.cards.model_card import write_model_card
from limbeck.cards.schema import FILE as CARD
from limbeck.cards.schema import Card, finished
from limbeck.data import Data
from limbeck.deploy.student_file import FILE as STUDENT
from limbeck.deploy.student_file import read_student_file
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.files import write_json
from limbeck.files.locks import alone_in
from limbeck.report.page import PAGE, write_report
from limbeck.runs.events import Listener, silent
from limbeck.runs.folder import DRAWING, ENVIRONMENT, environment, write_drawing
from limbeck.runs.session import Finished, Session
from limbeck.runs.settings import Recipe
from limbeck.runs.sharing import Apart
from limbeck.runs.sizing import sized
from limbeck.runs.sources import open_sources
from limbeck.tasks.bind import bind
from limbeck.tasks.registry import task_of


def conclude(left: Finished, listen: Listener = silent) -> Card:
    """Measure, export and show what a run's training left; returns the card."""
    card = build(left, listen)
    write_report(left.folder)
    write_model_card(left.folder)
    return card


def running(
    recipe: Recipe,
    folder: Path,
    listen: Listener = silent,
    shared: Apart | None = None,
    data: Data | None = None,
    among: Path | None = None,
) -> Generator[None, None, Card]:
    """A whole run by its recipe, or what is left of it, stopping after every training step so that several can take turns.

    among: the folder of the comparison that it belongs to. Returns the card; {} in a process that only helps to train.
    """
    recipe, data = sized(recipe, listen, folder, data)
    left = yield from Session(open_sources(recipe, data=data, shared=shared, listen=listen), folder, listen, among).steps()
    return {} if left is None else conclude(left, listen)


def run(recipe: Recipe, folder: Path, listen: Listener = silent, data: Data | None = None) -> Card:
    """A whole run by its recipe, or what is left of it; returns the card. A finished run's is read, not made again."""
    return done(folder) or last(running(recipe, folder, listen, data=data))


def done(folder: Path) -> Card | None:
    """The card of a finished run, after `mended`; None while it is not finished."""
    card = finished(folder)
    if card is not None:
        mended(folder)
    return card


def mended(folder: Path) -> None:
    """Write what a kill kept a finished run from writing: drawing, environment, page, model card. A folder without a card stays.

    Raises `UserError` if the folder is in use or cannot be written to.
    """
    pieces = (ENVIRONMENT, DRAWING, PAGE, MODEL_CARD)
    if not (folder / CARD).exists() or all((folder / name).exists() for name in pieces):
        return
    with alone_in(folder):
        if not (folder / ENVIRONMENT).exists():
            write_json(folder / ENVIRONMENT, environment() | {"written": "by a later command"})
        if not (folder / DRAWING).exists() and (folder / STUDENT).exists():
            facts = read_student_file(folder)
            task = task_of(facts["task"]["name"], facts["task"]["settings"])
            with contextlib.suppress(UserError):  # a method that is not in the catalogue has no name to be drawn by
                write_drawing(folder, bind(methods.make(facts["method"]["name"], facts["method"]["arguments"]), task))
        write_report(folder)
        if (folder / STUDENT).exists():
            write_model_card(folder)


def glanced(folder: Path) -> None:
    """`mended`, for a command that only reads: where the folder is in use or read-only, it stays as it is."""
    with contextlib.suppress(UserError):
        mended(folder)
