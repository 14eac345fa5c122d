"""`limbeck explain RUN`: look at what is there, train the students with parts of the labels removed, write JSON and page."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

import limbeck
from limbeck.cards.schema import MethodFacts
from limbeck.data import Data
from limbeck.errors import UserError
from limbeck.explanation.agree import agreement
from limbeck.explanation.corrupt import under_corruption
from limbeck.explanation.gain import take_apart, taught_by, unfit
from limbeck.explanation.inside import look_inside
from limbeck.explanation.page import write_page
from limbeck.explanation.schema import VERSION, Explanation, Gain, write_explanation
from limbeck.explanation.subject import Subject, open_run
from limbeck.explanation.words import verdict
from limbeck.face.run import mended
from limbeck.files.locks import alone_in
from limbeck.plan.roles import Adapter
from limbeck.runs.events import Listener, Message, silent


def explain(
    folder: str | Path,
    *,
    seeds: int = 3,
    trust: bool = False,
    data: Data | None = None,
    given: Mapping[str, nn.Module] | None = None,
    adapters: Mapping[str, Adapter] | None = None,
    listen: Listener = silent,
) -> Explanation:
    """Explain a finished run; writes `explain.json` and `explain.html` into its folder and returns the former.

    Args:
        folder: of a run of a classification that had a teacher. seeds: students of each kind that are trained to take the gain
            apart, five kinds each; 0 trains nothing. They lie in `explain/` and are not trained twice.
        trust: let models that the folder names run their code.
        data, given, adapters: of a run that was made from Python objects, the data, {"teacher": module, "student": module} and
            how they eat a batch, as `limbeck.distill` got them. The gain is then not taken apart: there is no fresh student.

    Raises `UserError` if the run is not finished, cannot be rebuilt, or answers otherwise than it did.
    """
    if seeds < 0:
        raise UserError(f"--seeds must be 0 (train nothing) or more, got {seeds}")
    if not Path(folder).is_dir():
        raise UserError(f"there is no run folder at {folder}; give the folder that `limbeck distill` made")
    with alone_in(Path(folder)):
        mended(Path(folder))
        return _explained(open_run(Path(folder), data, given, adapters, trust), seeds, listen)


def _explained(subject: Subject, seeds: int, listen: Listener) -> Explanation:
    def say(text: str) -> None:
        listen(Message(text))

    say("comparing the answers of the models, class by class")
    alike = agreement(subject.answers(), subject.data.classes)
    say("making the test inputs worse, and asking all models again")
    worse = under_corruption(subject)
    say("comparing the layers of student and teacher")
    inside = look_inside(subject)
    if seeds:
        say(f"training {seeds} students with each of five kinds of labels, to see which part of the soft labels helped")
    found: Explanation = {
        "version": VERSION,
        "limbeck": limbeck.__version__,
        "method": subject.card.get("method", MethodFacts()),
        "data": {"name": subject.data.name, "classes": list(subject.data.classes), "kind": subject.data.kind},
        "agreement": alike,
        "corruptions": worse,
        "inside": inside,
        "gain": _gain(subject, seeds, listen),
        "verdict": [],
    }
    found["verdict"] = verdict(found)
    write_explanation(subject.folder, found)
    write_page(subject.folder)
    return found


def _gain(subject: Subject, seeds: int, listen: Listener) -> Gain:
    why = "--seeds is 0" if not seeds else unfit(subject)
    if why:
        return {"skipped": why}
    first = subject.recipe.seed
    return take_apart(taught_by(subject), range(first, first + seeds), listen)
