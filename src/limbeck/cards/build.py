"""The card of a run: teacher, baseline and student measured side by side, once, on the test part."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from typing_extensions import TypedDict

import limbeck
from limbeck.cards.schema import VERSION, Card, ExportFacts, ModelEntry, PackedFacts, write_card
from limbeck.catalogue.describe import describe
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.data import Batches, Data
from limbeck.deploy.alone import write_script
from limbeck.deploy.encoder_folder import save_encoder
from limbeck.deploy.exits import measure_exits
from limbeck.deploy.measure import Latency, module_latency, onnx_latency
from limbeck.deploy.onnx_file import compare_onnx, export_onnx
from limbeck.deploy.packed import same_predictions, save_packed
from limbeck.deploy.shipment import input_words, raw_facts, spread
from limbeck.deploy.student import Deployed, save_student, used
from limbeck.deploy.student_file import VERSION as STUDENT_VERSION
from limbeck.deploy.student_file import PackedFile, StudentFile
from limbeck.deploy.student_folder import FOLDER, save_folder, save_tokenizer
from limbeck.deploy.writing import write
from limbeck.errors import UserError, reason
from limbeck.metrics.score import distillation_score, relative_drop, relative_gain, size_cut
from limbeck.models.black_box import BlackBox
from limbeck.models.served import Served
from limbeck.plan.kinds import Value
from limbeck.runs import deciding
from limbeck.runs.casting import handed_out, role_files
from limbeck.runs.events import Listener, Message, silent
from limbeck.runs.folder import lines_of
from limbeck.runs.proving import first_of
from limbeck.runs.session import Finished
from limbeck.runs.sources import Sources
from limbeck.store.identity import identity
from limbeck.tasks.figure import Measured, known
from limbeck.tasks.keeping import STARTED, write_predictions
from limbeck.tasks.next_token import NextToken
from limbeck.tasks.predictions import Predictions, distances, predict
from limbeck.tasks.task import Task

Note = Callable[[str], None]
PROBED = 20_000  # training samples from which a probe learns, at most
Found = TypeVar("Found")


def build(finished: Finished, listen: Listener = silent) -> Card:
    """Measure, export, and write student, predictions and card into the run's folder; returns the card."""
    for entry in finished.entries.values():
        entry.eval()
    note = _note(finished, listen)
    same = _same_teacher(finished.entries.get("teacher"), finished.sources.data)
    seen = _test(finished.sources.data, finished.entries, finished.sources.shared.predictions, same, note)
    apart = _apart(finished.sources.data, finished.entries, seen, note)
    _say_untrained(note, finished, seen)
    finished = finished.on_cpu()
    sources, entries = finished.sources, finished.entries
    recipe, method, data = sources.recipe, sources.method, sources.data
    example = next(Batches(data["train"], data, size=2, seed=0).ordered())["inputs"]
    models = {
        who: _entry(who, finished, seen, example, same, note, apart.get(who))
        for who in entries
        if who in seen or who == "student"
    }
    card = _facts(sources, models)
    if finished.handed:
        card["start"] = [{"layer": each.layer, "of": each.of, "how": each.how} for each in finished.handed]
    if finished.decided.rates:
        card["rates"] = dict(finished.decided.rates)
    if finished.decided.pulls:
        card["pull"] = deciding.facts(sources.method, finished.decided)
    _warn_level(note, seen, data)
    _warn_chance(note, seen, data, trained="teacher" in finished.phases)
    packed = save_packed(finished.folder, entries["student"])
    info = student_file(finished.sources)
    if packed:
        info["packed"] = packed
    if handed_out(sources.cast, method, data):
        for sentence in _or_note(note, "there is no folder for transformers", lambda: _folder(finished, info)) or []:
            note(sentence)
    elif data.tokens is not None:
        _or_note(note, "the tokenizer cannot be kept", lambda: save_tokenizer(finished.folder, data))
    save_student(finished.folder, entries["student"], info)
    if packed:
        models["student"] |= {"bytes": packed["bytes"], "packed": _packed(finished, packed, note)}
    if method.exits:
        exits = _or_note(note, "its exits cannot be measured", lambda: measure_exits(sources.cast, method.exits, data, example))
        card |= {"exits": exits} if exits else {}
    if data.task.name == NextToken.name:
        written = _or_note(note, "no texts were written", lambda: write(entries, data))
        card |= {"writing": written} if written else {}
    exported = _or_note(note, "", lambda: _export(finished, example)) if recipe.onnx else None
    card["export"] = {} if exported is None else {"onnx": exported}
    for part in (part for entry in entries.values() for part in entry.modules() if isinstance(part, Served)):
        note(part.words())
    card["notes"], card["command"] = finished.notes, command(finished)
    if "student" in seen:
        write_predictions(finished.folder, data.task, seen, _pictures(data))
    if recipe.tensorboard:
        _or_note(note, "TensorBoard", lambda: write_tensorboard(finished.folder))
    if finished.tracker is not None:
        finished.tracker.finish({who: model["figures"] for who, model in models.items()})
    write_card(finished.folder, card)  # last: a run with a card is done but for its pages
    return card


def _or_note(note: Note, what: str, do: Callable[[], Found]) -> Found | None:
    """What `do` gives; None, and a sentence in the notes, where it fails: no run ends without a card."""
    try:
        return do()
    except UserError as error:
        note(f"{what}: {error}" if what else str(error))
    except Exception as error:  # code of the user's, or of an exporter's
        note(f"{what or 'cannot export to ONNX'} ({reason(error)})")
    return None


def _facts(sources: Sources, models: dict[str, ModelEntry]) -> Card:
    """What a card says of settings, method, data and models."""
    recipe, method, data = sources.recipe, sources.method, sources.data
    return {
        "version": VERSION,
        "limbeck": limbeck.__version__,
        "method": {
            "name": method.name,
            "arguments": dict(method.arguments),
            "paper": method.paper,
            "year": method.year,
            "taxonomy": str(taxonomy(method)),
            "text": describe(method),
        },
        "svg": "method.svg",
        "task": data.task.facts(),
        "data": data.describe(),
        "seed": recipe.seed,
        "alpha": recipe.alpha,
        "budget": recipe.train.model_dump(),
        "models": models,
        **_relations(models, recipe.alpha),
    }


def command(finished: Finished) -> str:
    """What does the run again; nothing where its models were given from Python."""
    if finished.sources.given.modules:
        return ""
    words = f"limbeck distill --recipe {shlex.quote(str(finished.folder / 'recipe.toml'))}"
    return words + (" --trust" if finished.sources.recipe.programs else "")


def _note(finished: Finished, listen: Listener) -> Note:
    def note(text: str) -> None:
        if text not in finished.notes:  # what was seen before training is said once
            finished.notes.append(text)
            listen(Message(text))

    return note


def _test(
    data: Data, entries: Mapping[str, Deployed], said: dict[tuple[object, ...], Predictions], key: tuple[object, ...], note: Note
) -> dict[str, Predictions]:
    """Everybody's answers to the judged part; what a teacher with these weights said in an earlier run is in `said`, by `key`.

    Whoever fails there is left out, and said.
    """
    batches = Batches(data.judged, data, size=data.task.at_once(data.shape), seed=0)
    seen: dict[str, Predictions] = {}
    for who, entry in entries.items():
        ask = partial(predict, entry, batches.ordered(), data.task)
        found = (said.get(key) or data.task.remembered(data.judged.index)) if who == "teacher" else None
        if found is None:
            found = _or_note(note, f"the {who} is not measured", ask)
        if found is not None:
            seen[who] = probed(found, entry, data)
            said |= {key: found} if who == "teacher" else {}
    return seen


def _apart(data: Data, entries: Mapping[str, Deployed], seen: Mapping[str, Predictions], note: Note) -> dict[str, Tensor]:
    """What the task says of everybody's answers beside the teacher's; the teacher is asked once more for it."""
    others = {who: entry for who, entry in entries.items() if who in seen and who != "teacher"}
    if "teacher" not in seen or type(data.task).apart is Task.apart:
        return {}
    batches = Batches(data.judged, data, size=data.task.at_once(data.shape), seed=0).ordered()
    found = _or_note(note, "", lambda: distances(others, entries["teacher"], batches, data.task))
    return found or {}


def probed(found: Predictions, entry: Deployed, data: Data) -> Predictions:
    """The answers with those to the training samples with labels, from which a probe learns, where the task has one."""
    if not data.task.headless or len(data.classes) < 2 or found.known is not None:
        return found
    part = data["train[labelled]"]
    part = part.select(spread(len(part), PROBED))
    known = predict(entry, Batches(part, data, size=data.task.at_once(data.shape), seed=0).ordered(), data.task)
    return replace(found, known=known)


def _say_untrained(note: Note, finished: Finished, seen: Mapping[str, Predictions]) -> None:
    """The figures of the student's network with its initial weights, beside a baseline that labels trained."""
    entry, data = finished.untrained, finished.sources.data
    if entry is None:
        return
    batches = Batches(data.judged, data, size=data.task.at_once(data.shape), seed=0)
    found = _or_note(note, "random weights are not measured", lambda: predict(entry.eval(), batches.ordered(), data.task))
    if found is None:
        return
    measured = data.task.measure(probed(found, entry, data), data.classes, seen.get("teacher"))
    shown = [f"{f.title} {f.facts().text(measured.figures[f.key])}" for f in data.task.figures if known(measured.figures[f.key])]
    note(f"the student's network with random weights: {', '.join(shown)}")


def _same_teacher(teacher: Deployed | None, data: Data) -> tuple[object, ...]:
    """What decides a teacher's answers to the judged part, and how long they take; () without a teacher."""
    if teacher is None:
        return ()
    return identity(teacher.cast, "teacher"), teacher.cast.adapter_of("teacher").channels_last, data.fingerprint


def _latency(who: str, finished: Finished, example: Value, same: tuple[object, ...]) -> Latency:
    """The time of one answer; of a teacher that an earlier run has measured, that run's."""
    entry, known = finished.entries[who], finished.sources.shared.latencies
    if who == "teacher" and same in known:
        return known[same]
    found = module_latency(entry, first_of(example), threads=1)
    if who == "teacher":
        known[same] = found
    return found


def _entry(
    who: str,
    finished: Finished,
    seen: Mapping[str, Predictions],
    example: Value,
    same: tuple[object, ...],
    note: Note,
    apart: Tensor | None,
) -> ModelEntry:
    entry, trained, data = finished.entries[who], finished.phases.get(who), finished.sources.data
    recipe = finished.sources.recipe
    alone = f"the latency of the {who} cannot be measured: one sample alone fails"
    looked_up = entry.fed != "inputs" or any(isinstance(part, Served) for part in entry.modules())  # no time of this machine's
    parameters, size = _sizes(entry, example)
    lacking = Measured(len(data.judged), None, None, {}, None, None)
    measured = data.task.measure(seen[who], data.classes, seen.get("teacher"), apart) if who in seen else lacking
    return {
        "model": (recipe.teacher if who == "teacher" else recipe.student).called,
        "samples": measured.samples,
        "score": measured.score,
        "interval": None if measured.interval is None else list(measured.interval),
        "figures": measured.figures,
        "worst": None if measured.worst is None else {"name": measured.worst.name, "value": measured.worst.value},
        "per_class": measured.per_class,
        "intervals": {key: list(bounds) for key, bounds in measured.intervals.items()},
        "parameters": parameters,
        "bytes": size,
        "latency_ms": None if looked_up else _or_note(note, alone, lambda: _latency(who, finished, example, same)),
        "train_seconds": round(trained.seconds, 2) if trained else None,
        "steps": trained.steps if trained else None,
        "teacher_samples": trained.answered if trained else None,
    }


def _sizes(entry: Deployed, example: Value) -> tuple[int | None, int | None]:
    """Parameters and bytes of what answers; None where it is a black box that nobody has measured."""
    outside = [part for part in entry.modules() if isinstance(part, BlackBox)]
    if any(not part.bytes_outside for part in outside):
        return None, None
    tensors = [*entry.parameters(), *(b for b in entry.buffers() if b.numel() > 1)]
    own = entry.parameter_count(example) or sum(t.numel() for t in tensors)
    size = sum(t.numel() * t.element_size() for t in tensors)
    return own + sum(p.parameters_outside for p in outside), size + sum(p.bytes_outside for p in outside)


class _Relations(TypedDict):
    drop_percent: float | None
    gain_percent: float | None
    lesson_percent: float | None
    size_cut_percent: float | None
    distillation_score: float | None


def _relations(models: Mapping[str, ModelEntry], alpha: float) -> _Relations:
    """Survey A's relative figures; None where a model to compare with is missing, or a score is not above 0."""
    scores = {who: model["score"] for who, model in models.items()}
    student, teacher, baseline = (scores.get(who) for who in ("student", "teacher", "baseline"))
    found = _Relations(drop_percent=None, gain_percent=None, lesson_percent=None, size_cut_percent=None, distillation_score=None)
    if "teacher" in models:
        own, whole = (models[who]["parameters"] for who in ("student", "teacher"))
        found["size_cut_percent"] = size_cut(own, whole) if own is not None and whole else None
        if known(student) and known(teacher) and student >= 0 and teacher > 0:
            found["drop_percent"] = relative_drop(student, teacher)
            found["distillation_score"] = (
                distillation_score(own, whole, student, teacher, alpha) if own is not None and whole else None
            )
    trained = models["baseline"]["steps"] is not None if "baseline" in models else False
    if trained and known(student) and known(baseline) and student >= 0 and baseline > 0:
        found["gain_percent"] = relative_gain(student, baseline)
    started = scores.get(STARTED)
    if known(student) and known(started) and student >= 0 and started > 0:
        found["lesson_percent"] = relative_gain(student, started)
    return found


def _warn_level(note: Note, seen: Mapping[str, Predictions], data: Data) -> None:
    """Say of a language model's teacher that it is not clearly better than the baseline: then little can be learned from it."""
    if data.task.name != NextToken.name or not {"teacher", "baseline"} <= set(seen):
        return
    teacher, baseline = (data.task.score(seen[who]) for who in ("teacher", "baseline"))
    chance = data.task.paired(seen["teacher"], seen["baseline"])
    if teacher <= baseline or (chance is not None and chance > 0.05):
        note(
            "the teacher is not clearly better than the baseline on this text, so little can be learned from it; take another one"
        )


def _warn_chance(note: Note, seen: Mapping[str, Predictions], data: Data, *, trained: bool) -> None:
    """Say that a teacher knows nothing, and what is usually the cause. trained: whether this run trained it."""
    if "teacher" not in seen or not data.task.near_chance(seen["teacher"], len(data.classes)):
        return
    why = "it was trained here, so give it more epochs (teacher.epochs) or another rate (teacher.lr)"
    note(f"the teacher is at chance level: {why if trained else f'usually {data.task.amiss}'}")


def student_file(sources: Sources) -> StudentFile:
    """What student.json says of a run's student."""
    method, data, given = sources.method, sources.data, sources.given.modules
    roles = role_files(sources.cast, method, sources.recipe, used(method.deployed), data)
    for name in set(roles) & set(given):
        roles[name]["model"] = f"python object of class {type(given[name]).__qualname__}"
    info: StudentFile = {
        "version": STUDENT_VERSION,
        "limbeck": limbeck.__version__,
        "method": {"name": method.name, "arguments": dict(method.arguments)},
        "roles": roles,
        "classes": list(data.classes),
        "shape": list(data.shape),
        "kind": data.kind,
        "task": {"name": data.task.name, "settings": data.task.settings()},
        "inputs": input_words(data),
        "outputs": data.task.gives(data.classes),
        "data": data.name,
    }
    if data.words:
        info["words"] = list(data.words)
    if sources.recipe.data.tile is not None:
        info["tile"] = sources.recipe.data.tile
    if data.columns:
        info["columns"] = [column.facts() for column in data.columns]
    if data.tokens is not None:
        info["tokens"] = data.tokens.facts
    if data.sound is not None:
        info["sound"] = list(data.sound)
    return info


def _folder(finished: Finished, info: StudentFile) -> list[str]:
    """Save the student as a folder of transformers, too; sentences that say what was written and how it was checked."""
    sources = finished.sources
    role = handed_out(sources.cast, sources.method, sources.data)
    few = next(
        Batches(sources.data.judged, sources.data, size=min(64, sources.data.task.at_once(sources.data.shape)), seed=0).ordered()
    )["inputs"]
    if sources.data.task.headless:
        found = save_encoder(finished.folder, finished.entries["student"], role, sources.data, few)
        info["roles"][role]["folder"] = FOLDER
        return found
    found = save_folder(finished.folder, finished.entries["student"], role, sources.data, few, onnx=sources.recipe.onnx)
    info["roles"][role]["folder"] = FOLDER
    return found


def _packed(finished: Finished, facts: PackedFile, note: Note) -> PackedFacts:
    """The file in few bits, and whether it answers as the student does (None where that cannot be rebuilt by name)."""
    data = finished.sources.data
    few = next(Batches(data.judged, data, size=256, seed=0).ordered())["inputs"]
    same = _or_note(note, "", lambda: same_predictions(finished.folder, few))
    return {"file": facts["file"], "bytes": facts["bytes"], "same_predictions": same}


def _export(finished: Finished, example: Value) -> ExportFacts:
    student, data, path = finished.entries["student"], finished.sources.data, finished.folder / "student.onnx"
    facts = raw_facts(student_file(finished.sources)) | {"command": command(finished)}
    export_onnx(student, example, path, metadata=facts)
    write_script(finished.folder, data.task.name)
    size = data.task.at_once(data.shape)
    few = next(Batches(data.judged, data, size=2 * size, seed=0).ordered())
    compared = compare_onnx(student, path, few["inputs"], few["labels"], batch=size, task=data.task)
    if not known(compared["largest_difference"]):
        raise UserError(f"{path.name} was written, but the student's outputs or its own are not finite: they cannot be compared")
    return {**compared, "latency_ms": onnx_latency(path, example[:1], threads=1)}


def _pictures(data: Data) -> Tensor | None:
    """The judged part's inputs where they are pictures."""
    inputs = data.judged.inputs
    return inputs if isinstance(inputs, Tensor) and inputs.dtype == torch.uint8 and inputs.dim() == 4 else None


def write_tensorboard(folder: Path) -> None:
    """The curves once more, for TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError('TensorBoard is not installed; run: pip install "limbeck[tensorboard]"') from None
    with SummaryWriter(str(folder / "tensorboard")) as writer:
        for line in lines_of(folder / "metrics.jsonl"):
            record = json.loads(line)
            for name, value in record["terms"].items():
                writer.add_scalar(f"{record['who']}/{record['stage']}/{name}", value, record["step"])
            for name, value in record.get("validation", {}).items():
                writer.add_scalar(f"{record['who']}/validation {name}", value, record["step"])
