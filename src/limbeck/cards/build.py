"""The card of a run: teacher, baseline and student measured side by side, once, on the test part."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save as serialise
from torch import Tensor

import limbeck
from limbeck.catalogue.describe import taxonomy, text
from limbeck.data import Batches, Data
from limbeck.deploy.exits import measure_exits
from limbeck.deploy.export import compare_onnx, export_onnx
from limbeck.deploy.measure import module_latency, onnx_latency
from limbeck.deploy.packed import same_answers, save_packed
from limbeck.deploy.student import Deployed, save_student
from limbeck.engine import Trained
from limbeck.errors import UserError
from limbeck.files import atomic_write, write_json
from limbeck.metrics.score import distillation_score, relative_drop, relative_gain, size_cut
from limbeck.plan import Method
from limbeck.store.shelves import identity
from limbeck.tasks.predictions import Predictions, predict, summary

if TYPE_CHECKING:
    from limbeck.runs.run import Run


def finish(
    run: "Run", method: Method, data: Data, entries: dict[str, Deployed], phases: Mapping[str, Trained], facts: dict[str, Any]
) -> dict[str, Any]:
    """Measure, export, and write student, card and report into the run's folder; returns the card."""
    from limbeck.cards.model_card import write_model_card
    from limbeck.report.page import write_report

    for entry in entries.values():
        entry.eval().cpu()
    seen = _test(data, entries, run.said)
    example = next(Batches(data["train"], data, size=2, seed=0).ordered())["inputs"]
    card: dict[str, Any] = {
        "limbeck": limbeck.__version__,
        "method": {
            "name": method.name,
            "arguments": dict(method.arguments),
            "paper": method.paper,
            "year": method.year,
            "taxonomy": str(taxonomy(method)),
            "text": text(method),
        },
        "svg": "method.svg",
        "task": {"name": data.task.name, "metric": data.task.metric, "share": data.task.share},
        "data": data.describe(),
        "seed": run.recipe.seed,
        "alpha": run.recipe.alpha,
        "budget": run.recipe.train.model_dump(),
        "models": {who: _entry(who, entries[who], seen, data, example, phases, run) for who in entries},
    }
    card |= _relations(card["models"], run.recipe.alpha)
    _warn_chance(run, seen, data)
    packed = save_packed(run.folder, entries["student"])
    about = _student_facts(run, method, data, facts)
    save_student(run.folder, entries["student"], about | ({"packed": packed} if packed else {}))
    if packed:
        card["models"]["student"] |= {"bytes": packed["bytes"], "packed": _packed(run, packed, data)}
    if method.exits and run.cast is not None:
        card["exits"] = measure_exits(run.cast, method.exits, data, example)
    card["export"] = _export(run, entries["student"], data, example) if run.recipe.onnx else {}
    card["notes"], card["command"] = run.notes, run.command
    _write_predictions(run, data, seen)
    write_json(run.folder / "card.json", card)
    if run.recipe.tensorboard:
        write_tensorboard(run)
    write_report(run.folder)
    write_model_card(run.folder)
    return card


def _test(data: Data, entries: Mapping[str, Deployed], said: dict[Any, Predictions]) -> dict[str, Predictions]:
    """Everybody's answers to the judged part; what a teacher with these weights has said in an earlier run is in `said`."""
    batches = Batches(data.judged, data, size=data.task.at_once(data.shape), seed=0)
    seen = {who: predict(entry, batches.ordered(), data.task) for who, entry in entries.items() if who != "teacher"}
    if "teacher" not in entries:
        return seen
    teacher = entries["teacher"]
    key = identity(teacher.cast, "teacher"), teacher.cast.adapter_of("teacher").channels_last, data.fingerprint
    if key not in said:
        said[key] = predict(teacher, batches.ordered(), data.task)
    return {"teacher": said[key], **seen}


def _entry(
    who: str,
    entry: Deployed,
    seen: Mapping[str, Predictions],
    data: Data,
    example: Any,
    phases: Mapping[str, Trained],
    run: "Run",
) -> dict[str, Any]:
    trained = phases.get(who)
    settings = run.recipe.teacher if who == "teacher" else run.recipe.student
    one = example[:1] if isinstance(example, Tensor) else {k: v[:1] for k, v in example.items()}
    tensors = [*entry.parameters(), *(b for b in entry.buffers() if b.numel() > 1)]
    return {
        "model": settings.model,
        **summary(seen[who], data.classes, teacher=seen.get("teacher"), task=data.task),
        "parameters": entry.parameter_count(example) or sum(t.numel() for t in tensors),
        "bytes": sum(t.numel() * t.element_size() for t in tensors),
        "latency_ms": module_latency(entry, one, threads=1),
        "train_seconds": round(trained.seconds, 2) if trained else None,
        "steps": trained.steps if trained else None,
        "teacher_samples": trained.answered if trained else None,
    }


def _relations(models: Mapping[str, Any], alpha: float) -> dict[str, Any]:
    """Survey A's relative figures; None where a model to compare with is missing, or answers nothing right."""
    student, teacher, baseline = models["student"], models.get("teacher"), models.get("baseline")
    found: dict[str, Any] = {"drop_percent": None, "gain_percent": None, "size_cut_percent": None, "distillation_score": None}
    if baseline is not None and baseline["accuracy"] > 0:
        found["gain_percent"] = relative_gain(student["accuracy"], baseline["accuracy"])
    if teacher is not None and teacher["accuracy"] > 0:
        found["drop_percent"] = relative_drop(student["accuracy"], teacher["accuracy"])
        found["size_cut_percent"] = size_cut(student["parameters"], teacher["parameters"])
        found["distillation_score"] = distillation_score(
            student["parameters"], teacher["parameters"], student["accuracy"], teacher["accuracy"], alpha
        )
    return found


def _warn_chance(run: "Run", seen: Mapping[str, Predictions], data: Data) -> None:
    if "teacher" not in seen:
        return
    if data.task.near_chance(seen["teacher"], len(data.classes)):
        run.say_all(
            [
                "the teacher answers at chance level: usually its preprocessing (mean, std) or its label order "
                "differs from this data"
            ]
        )


def input_words(data: Data) -> str:
    """How a model of this data is fed, in words."""
    image = "images as float32 on 0..1, channels first; normalisation is inside"
    return image if data.kind == "image" else "as in the data"


def _student_facts(run: "Run", method: Method, data: Data, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "limbeck": limbeck.__version__,
        "method": {"name": method.name, "arguments": dict(method.arguments)},
        "roles": {
            n: f | ({"model": f"python object of class {type(run.given[n]).__qualname__}"} if n in run.given else {})
            for n, f in facts.items()
        },
        "classes": list(data.classes),
        "shape": list(data.shape),
        "kind": data.kind,
        "task": data.task.name,
        "inputs": input_words(data),
        "data": data.name,
        **({"words": list(data.words)} if data.words else {}),
    }


def _packed(run: "Run", facts: Mapping[str, Any], data: Data) -> dict[str, Any]:
    """The file in few bits, and whether it answers as the student does (None where that cannot be rebuilt by name)."""
    few = next(Batches(data.judged, data, size=256, seed=0).ordered())["inputs"]
    same: bool | None = None
    try:
        same = same_answers(run.folder, few)
    except UserError as error:
        run.say_all([str(error)])
    return {"file": facts["file"], "bytes": facts["bytes"], "same_answers": same}


def _export(run: "Run", student: Deployed, data: Data, example: Any) -> dict[str, Any]:
    path = run.folder / "student.onnx"
    try:
        export_onnx(
            student, example, path, metadata={"classes": list(data.classes), "shape": list(data.shape), "command": run.command}
        )
        part = data.judged
        size = data.task.at_once(data.shape)
        few = next(Batches(part, data, size=2 * size, seed=0).ordered())
        compared = compare_onnx(student, path, few["inputs"], few["labels"], batch=size, task=data.task)
        return {"onnx": {**compared, "file": path.name, "latency_ms": onnx_latency(path, example[:1], threads=1)}}
    except UserError as error:
        run.say_all([str(error)])
        return {}


def _write_predictions(run: "Run", data: Data, seen: Mapping[str, Predictions]) -> None:
    inputs = data.judged.inputs
    pictures = isinstance(inputs, Tensor) and inputs.dtype == torch.uint8 and inputs.dim() == 4
    tensors = data.task.record(seen, inputs if pictures else None)  # type: ignore[arg-type]
    with atomic_write(run.folder / "predictions.safetensors") as file:
        file.write(serialise(tensors))


def write_tensorboard(run: "Run") -> None:
    """The curves once more, for TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UserError('TensorBoard is not installed; run: pip install "limbeck[tensorboard]"') from None
    import json

    from limbeck.runs.folder import lines_of

    with SummaryWriter(str(run.folder / "tensorboard")) as writer:
        for line in lines_of(run.folder / "metrics.jsonl"):
            record = json.loads(line)
            for name, value in record["terms"].items():
                writer.add_scalar(f"{record['who']}/{record['stage']}/{name}", value, record["step"])
            for name, value in record.get("validation", {}).items():
                writer.add_scalar(f"{record['who']}/validation {name}", value, record["step"])
