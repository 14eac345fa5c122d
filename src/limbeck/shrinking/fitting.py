"""Which candidates fit: each exported untrained and measured on its target before anything is trained."""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from limbeck.data import Data
from limbeck.deploy import formats
from limbeck.deploy.device import ProbeJob, Target, ask
from limbeck.deploy.formats import Format
from limbeck.deploy.shipment import CALIBRATE, facts_inside, file_facts, some
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.files import add_line, aside, json_text
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.taps import Tap
from limbeck.runs.folder import lines_of
from limbeck.runs.settings import ModelSettings
from limbeck.shrinking.candidates import Candidate, key
from limbeck.shrinking.limits import Limits
from limbeck.shrinking.schema import CandidateRow

UNBUILT = "cannot be built: "
HOPELESS = 3  # candidates in a row, each with more work than the last, over twice the limit: the rest is not measured


class ModuleCost(TypedDict):
    """Median milliseconds of one answer, and bytes of the file."""

    latency_ms: float
    bytes: int


class MeasuredLine(ModuleCost):
    """A line of measured.jsonl; how: format, int8, place and threads."""

    key: str
    how: list[str | bool | int]


@dataclass
class Considered:
    """A candidate as far as it is known: operations of one answer, parameters, why it is dropped ("" if it is not), its cost.

    module: until it is measured.
    """

    candidate: Candidate
    dropped: str = ""
    parameters: int | None = None
    work: float | None = None
    cost: ModuleCost | None = None
    module: nn.Module | None = None

    @property
    def name(self) -> str:
        return self.candidate.name

    def plain(self) -> CandidateRow:
        """The same as a file holds it."""
        row: CandidateRow = {"name": self.name, "dropped": self.dropped, "parameters": self.parameters}
        if self.work is not None:
            row["work"] = self.work
        if self.cost is not None:
            row["latency_ms"], row["bytes"] = self.cost["latency_ms"], self.cost["bytes"]
        return row


@dataclass
class Fitting:
    """Measures candidates and keeps what it found in `measured.jsonl`, so that nothing is measured twice.

    format, int8, place, threads: what is measured, and where.
    """

    data: Data
    limits: Limits
    folder: Path
    format: Format = field(default_factory=lambda: formats.find("onnx"))
    int8: bool = False
    place: Target = field(default_factory=Target)
    threads: int = 1
    say: Callable[[str], None] = print
    known: dict[str, MeasuredLine] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in lines_of(self.folder / "measured.jsonl"):
            with contextlib.suppress(ValueError, KeyError, TypeError):  # half a line of a killed process
                record: MeasuredLine = json.loads(line)
                if record["how"] == self._how():
                    self.known[record["key"]] = record

    def _how(self) -> list[str | bool | int]:
        return [self.format.name, self.int8, str(self.place), self.threads]

    def floor_ms(self) -> float:
        """The least that any file takes there: one that only flattens its inputs and adds some of them up."""
        return self._measure("floor", Least(self.data.shape, len(self.data.classes)))["latency_ms"]

    def measure(self, candidates: Sequence[Candidate]) -> list[Considered]:
        """The candidates with work and cost, least work first, and why they are dropped."""
        rows = sorted(map(self._considered, candidates), key=lambda row: row.work or 0.0)
        if rows and all(row.dropped for row in rows):
            raise UserError(f"no candidate can be built; {rows[0].name}: {rows[0].dropped.removeprefix(UNBUILT)}")
        beyond = 0
        for row in rows:
            if row.module is None or row.parameters is None:
                continue
            least = row.parameters * (1 if self.int8 else 4)
            if self.limits.size is not None and least > self.limits.size:
                row.dropped = f"not measured: its weights alone are {' '.join(self.limits.broken_by(0.0, least))}"
            elif beyond >= HOPELESS:
                row.dropped = f"not measured: more work than {HOPELESS} that took over twice the limit"
            else:
                self._fill(row, row.module)
                took = row.cost["latency_ms"] if row.cost else 0.0
                beyond = beyond + 1 if self.limits.latency is not None and took > 2e3 * self.limits.latency else 0
            row.module = None
        return rows

    def _considered(self, candidate: Candidate) -> Considered:
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                module = candidate.build(self.data)
        except UserError as error:
            return Considered(candidate, f"{UNBUILT}{error}", 0, 0.0)
        count = sum(p.numel() for p in module.parameters())
        return Considered(candidate, parameters=count, work=work(module, self.data.shape), module=module)

    def _fill(self, row: Considered, module: nn.Module) -> None:
        try:
            found = self._measure(key(row.candidate), self.whole(module))
        except UserError as error:
            row.dropped = f"cannot be measured: {error}"
            return
        row.cost = {"latency_ms": found["latency_ms"], "bytes": found["bytes"]}
        row.dropped = " and ".join(self.limits.broken_by(found["latency_ms"], found["bytes"]))
        verdict = " - dropped" if row.dropped else ""
        self.say(f"{row.name}: {found['latency_ms']:.3g} ms, {found['bytes']:,} bytes{verdict}")

    def _measure(self, name: str, module: nn.Module) -> MeasuredLine:
        if name not in self.known:
            cost = self.cost(module)
            found: MeasuredLine = {"key": name, "how": self._how(), "latency_ms": cost["latency_ms"], "bytes": cost["bytes"]}
            self.known[name] = found
            add_line(self.folder / "measured.jsonl", json_text(found))
        return self.known[name]

    def cost(self, module: nn.Module) -> ModuleCost:
        """Median milliseconds of one answer and bytes of the file that a module becomes."""
        path = aside(self.folder / "candidate", self.format.endings[0])
        calibration = some(self.data["train"], self.data, CALIBRATE) if self.int8 else None
        example = some(self.data["train"], self.data, 2)
        try:
            formats.write(self.format, module.eval(), example, path, metadata=self.facts(), calibration=calibration)
            (seen,) = ask([self.job(path, example)], self.place)
            if seen.error:
                raise UserError(f"{self.format.name} on {self.place}: {seen.error}")
            size, _ = file_facts(self.format.files(path))
            return {"latency_ms": seen.figures["latency_ms"]["1"]["median"], "bytes": size}
        finally:
            for file in self.format.files(path):
                file.unlink(missing_ok=True)

    def whole(self, module: nn.Module) -> Deployed:
        """A candidate with its preprocessing, as it will be shipped."""
        cast = Cast({})
        cast.add("student", module, Adapter(prepare=ModelSettings(model="student").preparation(self.data)))
        return Deployed(cast, Tap("student"))

    def facts(self) -> dict[str, object]:
        """What travels in the file of a student of this data: it counts towards the size."""
        return facts_inside(self.data, list(self.data.mean), list(self.data.std))

    def job(self, path: Path, example: Tensor) -> ProbeJob:
        """How one file is timed."""
        return self.format.job(path, example[:1].numpy(), batches=(1,), threads=self.threads, seconds=1.0)


class Least(nn.Module):
    """The least that can be called an answer: the first inputs, added to as many numbers as there are classes."""

    def __init__(self, shape: tuple[int, ...], classes: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).float()[:, :1] + self.bias


def work(module: nn.Module, shape: tuple[int, ...]) -> float:
    """Floating-point operations of one answer, the order in which candidates are measured; parameters where torch
    cannot count them."""
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            Cast({"student": module.eval()}, {"student": Adapter()}).feed("student", torch.zeros(1, *shape))
        return float(counter.get_total_flops())
    except Exception:  # counting is a help, not a need
        return float(sum(p.numel() for p in module.parameters()))
