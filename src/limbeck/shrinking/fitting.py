"""Which candidates fit: each exported untrained and measured on its target before anything is trained."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.data import Data
from limbeck.deploy import formats
from limbeck.deploy.device import Job, Place, ask
from limbeck.deploy.formats import Format
from limbeck.deploy.shipment import CALIBRATE, facts_inside, file_facts, some
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.taps import Tap
from limbeck.runs.folder import lines_of
from limbeck.runs.settings import ModelSettings
from limbeck.shrinking.candidates import Candidate, key
from limbeck.shrinking.limits import Limits

UNBUILT = "cannot be built: "
HOPELESS = 3  # candidates in a row, each with more work than the last, over twice the limit: the rest is not measured


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
    place: Place = field(default_factory=Place)
    threads: int = 1
    say: Callable[[str], None] = print
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in lines_of(self.folder / "measured.jsonl"):
            if line.endswith("}"):
                record = json.loads(line)
                if record["how"] == self._how():
                    self.known[record["key"]] = record

    def _how(self) -> list[Any]:
        return [self.format.name, self.int8, str(self.place), self.threads]

    def floor_ms(self) -> float:
        """The least that any file takes there: one that only flattens its inputs and adds some of them up."""
        return self._measure("floor", Least(self.data.shape, len(self.data.classes)))["latency_ms"]

    def measure(self, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
        """A row for each candidate, least work first: work, parameters, latency_ms, bytes, and why it is dropped ("" if it
        is not)."""
        rows = sorted((self._facts(c) for c in candidates), key=lambda row: row["work"])
        if rows and all(row["dropped"] for row in rows):
            raise UserError(f"no candidate can be built; {rows[0]['name']}: {rows[0]['dropped'].removeprefix(UNBUILT)}")
        beyond = 0
        for row in rows:
            if row["dropped"]:
                continue
            least = row["parameters"] * (1 if self.int8 else 4)
            if self.limits.size is not None and least > self.limits.size:
                row["dropped"] = f"not measured: its weights alone are {' '.join(self.limits.broken_by(0.0, least))}"
            elif beyond >= HOPELESS:
                row["dropped"] = f"not measured: more work than {HOPELESS} that took over twice the limit"
            else:
                self._fill(row)
                late = self.limits.latency is not None and (row.get("latency_ms") or 0.0) > 2e3 * self.limits.latency
                beyond = beyond + 1 if late else 0
        return rows

    def _facts(self, candidate: Candidate) -> dict[str, Any]:
        row: dict[str, Any] = {"name": candidate.name, "candidate": candidate, "dropped": ""}
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                module = candidate.build(self.data)
        except UserError as error:
            return row | {"work": 0.0, "parameters": 0, "dropped": f"{UNBUILT}{error}"}
        count = sum(p.numel() for p in module.parameters())
        return row | {"work": work(module, self.data.shape), "parameters": count, "module": module}

    def _fill(self, row: dict[str, Any]) -> None:
        module, candidate = row.pop("module"), row["candidate"]
        try:
            found = self._measure(key(candidate), self.whole(module))
        except UserError as error:
            row["dropped"] = f"cannot be measured: {error}"
            return
        row |= {"latency_ms": found["latency_ms"], "bytes": found["bytes"]}
        row["dropped"] = " and ".join(self.limits.broken_by(found["latency_ms"], found["bytes"]))
        verdict = " - dropped" if row["dropped"] else ""
        self.say(f"{row['name']}: {found['latency_ms']:.3g} ms, {found['bytes']:,} bytes{verdict}")

    def _measure(self, name: str, module: nn.Module) -> dict[str, Any]:
        if name not in self.known:
            found = {"key": name, "how": self._how(), **self.cost(module)}
            self.known[name] = found
            with (self.folder / "measured.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
        return self.known[name]

    def cost(self, module: nn.Module) -> dict[str, Any]:
        """Median milliseconds of one answer and bytes of the file that a module becomes."""
        path = self.folder / f".candidate{self.format.endings[0]}"
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

    def job(self, path: Path, example: Tensor) -> Job:
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
