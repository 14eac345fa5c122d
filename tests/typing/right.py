"""What a user writes, for the strict mode of a type checker: distil, train, load, a method, a task and a reader of one's own."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

import limbeck
from limbeck import Method, Tap, Term, data, losses, methods, models, tasks
from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader
from limbeck.plan import linear, method, single_stage
from limbeck.runs.events import Epoch, Event
from limbeck.tasks.figure import Figure, Judged
from limbeck.tasks.keeping import Kept
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Section


def on_event(event: Event) -> None:
    if isinstance(event, Epoch):
        print(event.who, event.epoch, event.validation)


def distil_and_train(folder: Path) -> float:
    digits = data.load("digits", limit=200)
    teacher: nn.Module = models.build("cnn", classes=10, shape=digits.shape, arguments={"width": 16})
    student: nn.Module = models.build("cnn", classes=10, shape=digits.shape, arguments={"width": 4})
    limbeck.train(teacher, digits, epochs=2, out=folder / "teacher")
    result = limbeck.distill(
        teacher,
        student,
        digits,
        method=methods.kd(temperature=2.0),
        epochs=2,
        lr=0.05,
        batch=32,
        views=3,
        augment="crop:1",
        train=limbeck.Train(optimizer="adamw", clip=1.0),
        store=limbeck.Store(use=False),
        device="cpu",
        listen=on_event,
        out=folder / "run",
    )
    score: float | None = result.card["models"]["student"]["score"]
    assert result.card["models"]["student"]["parameters"] is not None
    return score or 0.0


def use(folder: Path) -> list[str]:
    again: limbeck.Student = limbeck.load(folder)
    predicted: Tensor = again(torch.rand(2, *again.shape)).argmax(1)
    return [again.classes[int(k)] for k in predicted] + [again.task.name]


def pairs_of_arrays() -> limbeck.Result:
    samples = (torch.rand(20, 4), torch.arange(20) % 2)
    net = nn.Sequential(nn.Linear(4, 2))
    return limbeck.distill(None, net, samples, validation=0.2, method=methods.alone(), baseline=False, onnx=False)


@method(paper="An Author 2030, A Title, arXiv 3001.00000", year=2030)
def late_hint(hint: str = "layer2", weight: float = 1.0) -> Method:
    """Features, later."""
    by = partial(losses.soft_target, temperature=4.0)
    soft = Term("soft", by, weight=linear(0.0, weight), student=Tap("student"), teacher=Tap("teacher").detach())
    near = Term("near", losses.cosine, student=Tap("student", hint), teacher=Tap("teacher", hint).detach())
    return single_stage(soft, near)


def say_what_it_is() -> str:
    made: Method = late_hint(weight=2.0)
    return limbeck.describe(made)


def right_share(judged: Judged) -> float:
    return float((judged.predictions.answers.argmax(1) == judged.predictions.labels).double().mean())


class Ranked(tasks.Task):
    """Classes of which the best of two counts."""

    name: ClassVar[str] = "ranked"
    figures: ClassVar[tuple[Figure, ...]] = (Figure("first", "first right", right_share, "Share of samples."),)

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        if labels.dim() != 1:
            raise limbeck.UserError(f"{who}: give one class for each")

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.shape[1] != classes:
            raise limbeck.UserError(f"{who} answers {tuple(outputs.shape)} for {classes} classes of {data}")

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return outputs, labels

    def gives(self, classes: Sequence[str]) -> str:
        return f"one score for each of {len(classes)} classes"

    def agreement(self, first: Predictions, second: Predictions) -> float:
        return float((first.answers.argmax(1) == second.answers.argmax(1)).double().mean())

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        return self.score(predictions) < 1.1 / classes

    def interval(self, judged: Judged) -> tuple[float, float] | None:
        return None

    def record(self, seen: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        return {who: found.answers for who, found in seen.items()}

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        return Kept()

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        return ()


class Lines(Reader):
    """A number and a class on each line."""

    name: ClassVar[str] = "lines"
    layout: ClassVar[str] = "lines of NUMBER CLASS"
    order: ClassVar[int] = 5

    def recognises(self, path: Path) -> bool:
        return path.suffix == ".lines"

    def read(self, path: Path, how: How) -> Raw:
        rows = [line.split() for line in path.read_text(encoding="utf-8").split("\n") if line]
        names = tuple(sorted({name for _, name in rows}))
        values = torch.tensor([[float(value)] for value, _ in rows])
        return Raw({"train": (values, torch.tensor([names.index(name) for _, name in rows]))}, names, "table")


def best_of(board: limbeck.Board) -> float:
    row = board["rows"][0]
    gap = row["to_baseline"]["difference"] if "to_baseline" in row else 0.0
    mean: float | None = row["score"]["mean"]
    return gap + (mean or 0.0)


def smallest() -> list[str]:
    shrunk: limbeck.Shrunk = limbeck.shrink({"data": {"name": "digits"}}, max_latency=0.001, trials=2)
    chosen = shrunk["chosen"]["file"] if "chosen" in shrunk else ""
    return [*shrunk["verdict"]["words"], chosen, *(row["candidate"] for row in shrunk["trials"] if row["validation"] is not None)]


def why(folder: Path) -> list[str]:
    found: limbeck.Explanation = limbeck.explain(folder, seeds=0)
    share: float = found["agreement"]["overall"]["agreement"]["student"]
    gain = found["gain"]
    parts = [] if "skipped" in gain else [f"{name}: {part['difference']}" for name, part in gain["parts"].items()]
    return [*found["verdict"], *parts, f"{share:.2f}"]


def more(folder: Path) -> list[str]:
    tasks.register(Ranked)
    board = limbeck.compare(["kd", "dkd"], {"data": {"name": "digits"}, "train": {"epochs": 1}}, seeds=2, on="together")
    exports = limbeck.export(folder, ["onnx", "openvino"], int8=True)
    times = limbeck.measure(folder, batches=(1, 16))
    return [*board["verdict"], *(row["file"] for row in exports.rows), *(row["file"] for row in times)]
