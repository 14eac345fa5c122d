"""A run as it happens: phases that train teacher, baseline and student in turn and leave a `Finished`."""

import json
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from torch import Tensor

from limbeck import engine, models, processes
from limbeck.data import Batches, Data, understood
from limbeck.data.streams import Streams
from limbeck.deploy.student import Deployed, used
from limbeck.engine import Fit, Trained
from limbeck.engine.state import EventFacts
from limbeck.errors import UserError
from limbeck.files import write_json
from limbeck.models import lora
from limbeck.models.inherit import Handed
from limbeck.plan import Method
from limbeck.plan.copies import copied
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Tap
from limbeck.runs import averaging, starting, tracking
from limbeck.runs.decided import Decided
from limbeck.runs.deciding import Decisions
from limbeck.runs.events import Epoch, Event, Listener, Message, Phase, StageBegins, Step, silent
from limbeck.runs.folder import add_to_curve, keep_curve, write_settings
from limbeck.runs.inputs import keep_inputs
from limbeck.runs.proving import proved
from limbeck.runs.sources import Sources
from limbeck.runs.supervised import learns_from_labels, supervised
from limbeck.runs.tracking import Tracker
from limbeck.store.estimate import estimate
from limbeck.store.filling import tallied
from limbeck.store.planner import Plan, plan
from limbeck.tasks.figure import finite
from limbeck.tasks.keeping import LONGER, STARTED
from limbeck.tasks.predictions import NotFinite, predict

Validate = Callable[[Cast], Mapping[str, float]]


@dataclass(frozen=True)
class Finished:
    """What a run's training left, for whoever measures, exports and shows it.

    entries: "teacher", "baseline" and "baseline-started" where there are such, and "student", from raw inputs to predictions, on
    the CPU or wherever they were trained. phases: what each training took. notes: sentences that a reader of the results needs.
    handed: what each layer of the student got of its teacher at the start. untrained: the student's network with its initial
    weights, where a task without a head compares with it. tracker: what still waits for the figures. decided: what was found out
    before the trainings.
    """

    sources: Sources
    folder: Path
    entries: Mapping[str, Deployed]
    phases: Mapping[str, Trained]
    notes: list[str]
    handed: list[Handed] = field(default_factory=list)
    untrained: Deployed | None = None
    tracker: Tracker | None = None
    decided: Decided = field(default_factory=Decided)

    def on_cpu(self) -> "Finished":
        """The same with models on the CPU, as they are exported and measured; copies where they were elsewhere, for others
        may still ask a teacher that is shared."""
        if all(tensor.device.type == "cpu" for entry in self.entries.values() for tensor in entry.state_dict().values()):
            return self
        entries = {who: copied(entry, f"the {who}").cpu() for who, entry in self.entries.items()}
        sources = replace(self.sources, cast=self.sources.cast.twin().cpu())
        return replace(self, sources=sources, entries={k: v for k, v in entries.items() if isinstance(v, Deployed)})


@dataclass
class Session:
    """The trainings of one run, in its folder; each is continued where an earlier go was stopped."""

    sources: Sources
    folder: Path
    listen: Listener = silent
    among: Path | None = None  # the folder of the comparison or search that the run belongs to
    notes: list[str] = field(default_factory=list)
    phases: dict[str, Trained] = field(default_factory=dict)
    handed: list[Handed] = field(default_factory=list)
    tracker: Tracker | None = None
    decisions: Decisions = field(init=False)

    def steps(self) -> Generator[None, None, Finished | None]:
        """The run, stopping after every training step, so that several can take turns; None in a process that only helps."""
        sources, method = self.sources, self.sources.method
        self.notes.append(understood(sources.data))  # said when the sources were opened
        self.note(sources.notes)
        judged = sources.judges("teacher")  # one that the method makes comes later
        self._begin()
        twinned = self._has_twin()
        self.tracker = self._tracked()
        for role in sources.untrained():
            yield from self._phase(role, supervised(sources.data.task, sources.cast, role, sources.labels), sources.cast)
        untrained = Deployed(sources.twin_of_student(), Tap("student")) if twinned and sources.data.task.headless else None
        baseline = untrained
        if twinned and self._learns():
            baseline = yield from self._baseline("baseline")
        started = (yield from self._baseline(STARTED)) if twinned and sources.starts and self._learns() else None
        yield from self._student()
        longer = (yield from self._baseline(LONGER)) if twinned and sources.recipe.equal_time and self._learns() else None
        if not processes.first():
            return None
        entries = {"teacher": Deployed(sources.cast, Tap("teacher")) if judged else None}
        entries |= {"baseline": baseline, STARTED: started, LONGER: longer, "student": Deployed(sources.cast, method.deployed)}
        known = {who: entry for who, entry in entries.items() if entry is not None}
        beside = None if baseline is untrained else untrained
        trained = replace(sources, method=self.decisions.as_trained())
        return Finished(
            trained, self.folder, known, self.phases, self.notes, self.handed, beside, self.tracker, self.decisions.decided
        )

    def learning(self) -> Generator[None, None, Trained]:
        """Train the student alone, measured on validation only, for a search; `steps` finishes the run afterwards."""
        self._begin()
        return (yield from self._student())

    def note(self, notes: Iterable[str]) -> None:
        """Sentences that are said now and stay with the results, each once."""
        for note in notes:
            if note not in self.notes:
                self.notes.append(note)
                self.say(note)

    def say(self, text: object) -> None:
        self.listen(Message(str(text)))

    # ---------------------------------------------------------------- phases

    def _begin(self) -> None:
        """Everything that can be refused is refused before the folder is made."""
        sources = self.sources
        tracking.need(sources.recipe.train.tracker)
        self.note(proved(sources))
        for role in sources.untrained():
            self.rehearse(role, supervised(sources.data.task, sources.cast, role, sources.labels))
        if sources.recipe.baseline and learns_from_labels(sources.data):
            self.rehearse("student", supervised(sources.data.task, sources.cast, labels=sources.labels))
        self.rehearse("student", sources.method)
        processes.agreed(lambda: keep_inputs(self.folder, sources, self.among), cpu=sources.recipe.on == "cpu")
        self.decisions = Decisions(sources, self.folder, self.note)
        write_settings(self.folder, sources.recipe, sources.method)

    def rehearse(self, who: str, method: Method) -> None:
        """Every check of a training; where images in channels-last memory are to blame, none has them."""
        sources, streams = self.sources, self.sources.streams(method)
        check = partial(
            engine.rehearse, sources.lean(method), sources.cast, streams, sources.fit(streams, who), device=sources.recipe.on
        )
        try:
            check()
        except UserError:
            if not sources.make_contiguous():
                raise
            check()

    def _has_twin(self) -> bool:
        """Whether there is a supervised baseline: it is asked for, and the student can be copied or made again."""
        if not self.sources.recipe.baseline or "student" not in self.sources.given.modules:
            return self.sources.recipe.baseline
        try:
            self.sources.twin_of_student()
        except UserError as error:
            self.note([f"no supervised baseline: {error}"])
            return False
        return True

    def _tracked(self) -> Tracker | None:
        """The tracker that hears of this run, in the process that writes."""
        name = self.sources.recipe.train.tracker
        if name == "none" or not processes.first():
            return None
        return Tracker(name, self.folder, self.sources.recipe.model_dump(mode="json"), lambda text: self.note([text]))

    def _learns(self) -> bool:
        """Whether labels can train a baseline; where there are none, that is said."""
        found = learns_from_labels(self.sources.data)
        if not found:
            self.note(["no labels, so the baseline is the student's network with its initial weights, trained by nothing"])
        return found

    def _baseline(self, who: str) -> Generator[None, None, Deployed]:
        """The student's own architecture and initial weights, trained on the labels alone; STARTED: from its teacher's layers,
        LONGER: from where the student starts, for as long."""
        cast = self.sources.twin_of_student()
        if who == STARTED or (who == LONGER and self.sources.starts):
            starting.start(self.sources, cast["student"])
        plain = supervised(self.sources.data.task, cast, labels=self.sources.labels)
        yield from self._phase(who, plain, cast)
        return Deployed(cast, plain.deployed)

    def _fit(self, streams: Streams, who: str) -> Fit:
        """The budget of a training; of LONGER as many of a baseline's steps as fit into the time that the student took."""
        found = self.sources.fit(streams, who)
        if who != LONGER:
            return found
        first, student = self.phases[STARTED if self.sources.starts else "baseline"], self.phases["student"]
        steps = max(1, round(first.steps * student.seconds / max(first.seconds, 1e-9)))
        self.note([f"{who}: {steps:,} steps, in the time in which the student took {student.steps:,} and its teacher answered"])
        return replace(found, steps=steps)

    def _student(self) -> Generator[None, None, Trained]:
        """Train the student by the method, from where it is to start; a checkpoint takes its place where there is one."""
        method = self.decisions.weighed()
        if self.sources.starts:
            self.handed = starting.start(self.sources, self.sources.cast["student"])
        return (yield from self._phase("student", method, self.sources.cast))

    def _phase(self, who: str, method: Method, cast: Cast) -> Generator[None, None, Trained]:
        """Train one method, unless an earlier go at this run has: then load what it left."""
        weights, facts = (self.folder / "weights" / f"{who}.{ending}" for ending in ("safetensors", "json"))
        if processes.agreed(facts.exists, cpu=self.sources.recipe.on == "cpu"):
            self.phases[who] = _trained(facts)
            self._note_chosen(who, self.phases[who])
            self.sources.filled(method, cast, weights)
            self._sweep(who)
            self.say(f"{who}: already trained")
            self.note(lora.settled(cast, self.folder, who))
            return self.phases[who]
        self.phases[who] = trained = yield from self._train(who, method, cast)
        self._note_chosen(who, trained)
        if processes.first():
            models.save_weights(cast, weights)
            write_json(facts, asdict(trained))
        self.note(lora.settled(cast, self.folder, who))
        self._sweep(who)
        return trained

    def _note_chosen(self, who: str, trained: Trained) -> None:
        if trained.chosen is not None:
            epoch = next(record["epoch"] for record in trained.history if record["step"] == trained.chosen)
            patient = self.sources.recipe.train.patience is not None
            last = f"; training ended after epoch {trained.history[-1]['epoch']:g} (train.patience)" if patient else ""
            self.note([f"{who}: the weights are those of epoch {epoch:.3g}, the best on validation (train.best){last}"])

    def _sweep(self, who: str) -> None:
        """Remove the checkpoints and the tally of a training that is done."""
        for old in (self._tally(who), *(self.folder / "checkpoints" / who).glob("*")) if processes.first() else ():
            old.unlink(missing_ok=True)

    def _train(self, who: str, method: Method, cast: Cast) -> Generator[None, None, Trained]:
        sources, decay = self.sources, self.sources.recipe.train.average
        if decay is not None:
            method = averaging.averaged(method, decay)
            self.note([f"weights are a moving average over the steps of the last stage, decay {decay:g} (train.average)"])
        streams = sources.streams(method)
        fit = self._fit(streams, who)
        self._tell(Phase(who, sum(fit.stage_steps(method.stages))))
        keep_curve(self.folder, who, [])  # of an unfinished go; the engine tells what its checkpoint knows
        engine.place(cast, streams, fit, device=sources.recipe.on)
        tally = self._tally(who) if processes.first() else None
        planned = self._plan(method, cast, streams, tally)
        planned = replace(planned, method=sources.lean(planned.method))
        if who == "student" and not sources.shared.in_turns and not processes.several():
            for stage in estimate(sources.lean(method), cast, streams, planned, fit):
                self.say(stage)
        yield  # the others plan too, so that one forward of a teacher can fill the store for all
        fit, spent = yield from self.decisions.rated(who, method, cast, planned, fit)
        cast.stand_ins = dict(planned.stand_ins)
        trained = yield from engine.training(
            planned.method,
            cast,
            planned.draw,
            fit,
            seed=sources.recipe.seed,
            folder=self.folder / "checkpoints" / who,
            listen=lambda kind, facts: self._hear(who, kind, facts),
            validate=validator(method, sources.data, who, self.note),
            device=sources.recipe.on,
            answers=sources.shared.answers,
        )
        cast.stand_ins.clear()
        averaging.settled(cast)
        earlier = tallied(tally) - trained.filled if tally is not None else 0  # of goes that were stopped before a checkpoint
        asked = trained.answered + max(0, earlier) + round(spent[1])
        return replace(trained, answered=asked, seconds=trained.seconds + spent[0])

    def _tally(self, who: str) -> Path:
        """Where an unfinished training counts the samples that it asked to fill the store."""
        return self.folder / "checkpoints" / f"{who}.asked"

    def _plan(self, method: Method, cast: Cast, streams: Streams, tally: Path | None) -> Plan:
        """What frozen roles answer is read from the store where it fits; said in words."""
        settings, shared = self.sources.recipe.store, self.sources.shared
        planned = plan(
            method,
            cast,
            streams,
            settings.open(),
            form=settings.form,
            top_k=settings.top_k,
            draws=settings.draws,
            folds=not shared.in_turns,
            shared=shared.fillings,
            say=self.say,
            tally=tally,
        )
        for decision in planned.decisions:
            self.say(decision)
        return planned

    def _hear(self, who: str, kind: str, facts: EventFacts) -> None:
        """The engine's events, with the name of who is trained; the curve is kept as it grows."""
        if kind == "resumed":
            keep_curve(self.folder, who, facts["history"])
        elif kind == "epoch":
            add_to_curve(self.folder, who, facts)
        event = _event(who, kind, facts)
        if event is not None:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        self.listen(event)
        if self.tracker is not None:
            self.tracker.hear(event)


def _trained(path: Path) -> Trained:
    try:
        return Trained(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"cannot read {path}: {str(error)[:80]}; remove it, and this training is done again") from None


def _event(who: str, kind: str, facts: EventFacts) -> Event | None:
    if kind == "say":
        return Message(facts["text"])
    if kind == "stage":
        return StageBegins(who, facts["stage"], facts["step"], facts["steps"])
    if kind == "step":
        return Step(who, facts["stage"], facts["step"], facts["steps"], facts["terms"])
    if kind == "epoch":
        return Epoch(who, facts["stage"], facts["step"], facts["epoch"], facts["terms"], facts.get("validation", {}))
    return None


def validation_score(trained: Trained, data: Data) -> float:
    """The score on validation of the weights that a training left.

    Raises `UserError` if the data has no such part, or the score is undefined there.
    """
    if "validation" not in data.partitions:
        raise UserError(f"{data.name} has no validation part to choose on; set data.validation above 0")
    taken = [record for record in trained.history if trained.chosen in (None, record["step"])]
    score = taken[-1].get("validation", {}).get("score") if taken else None
    if score is None:
        title = data.task.figures[0].title
        why = "its labels are all alike, or predictions are not finite"
        raise UserError(f"{title} is undefined on the validation part of {data.name}: {why}; make that part larger")
    return score


def validator(method: Method, data: Data, who: str, note: Callable[[list[str]], None]) -> Validate | None:
    """What measures the deployed answer on validation, and notes where there is no score; None without such a part."""
    if "validation" not in data.partitions:
        return None
    made = Batches(data["validation"], data, size=data.task.at_once(data.shape), seed=0)
    kept = list(made.ordered()) if isinstance(data["validation"].inputs, Tensor) else None  # files are read again each time

    def validate(cast: Cast) -> Mapping[str, float]:
        if not all(name in cast for name in used(method.deployed)):
            return {}
        try:
            seen = predict(Deployed(cast, method.deployed).to(cast.device).eval(), kept or made.ordered(), data.task)
        except NotFinite as error:
            note([f"no score of the {who} on validation: {error}"])
            return {}
        score = finite(data.task.score(seen))
        return {} if score is None else {"score": score}

    return validate
