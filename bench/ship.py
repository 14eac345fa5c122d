"""Six networks through three runtimes in float and int8, and a search under a budget with and without a teacher.

    python -m bench.ship runtimes --fashion FOLDER --trec FOLDER
    python -m bench.ship shrink --fashion FOLDER [--out FOLDER]
    python -m bench.ship repair --fashion FOLDER [--out FOLDER]

Results are in bench/results/ship.json. Networks are trained for a moment by a plain loop, for what is compared is the
file with the PyTorch network it was made of, on the same 2,000 test samples (TREC: 500). A failure is a row. `repair`:
three distilled students in int8 before and after `--repair`, which is asked of them whatever they lose.
"""

import argparse
import json
import subprocess
import sys
import time
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

RESULTS = Path(__file__).parent / "results" / "ship.json"
IMAGE = (1, 28, 28)


class Rows(nn.Module):
    """A GRU that reads an image row by row."""

    def __init__(self, classes: int, width: int = 48):
        super().__init__()
        self.gru, self.linear = nn.GRU(28, width, batch_first=True), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.gru(x.squeeze(1))[0][:, -1])


class Logits(nn.Module):
    """A model of transformers as tensor in, tensor out."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x).logits


def networks() -> dict[str, nn.Module]:
    from limbeck.models import build

    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}
    text = {**small, "vocab_size": 2000, "max_position_embeddings": 20}
    return {
        "CNN": build("cnn", classes=10, shape=IMAGE, arguments={"width": 8}),
        "ResNet-8": build("resnet8", classes=10, shape=IMAGE, arguments={"width": 8}),
        "MobileNetV2": build("mobilenetv2", classes=10, shape=IMAGE, arguments={"width": 0.25}),
        "ViT": Logits(build("transformers:vit", classes=10, shape=IMAGE, arguments={**small, "patch_size": 7})),
        "BERT": Logits(build("transformers:bert", classes=6, shape=(16,), arguments=text)),
        "GRU": Rows(10),
    }


def questions(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """TREC as 16 hashed words each, and one of six kinds."""
    kinds = ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]
    lines = (folder / f"TREC.{part}").read_text(encoding="latin-1").splitlines()
    rows, labels = [], []
    for line in filter(str.strip, lines):
        words = line.split()
        rows.append(([1 + zlib.crc32(w.lower().encode()) % 1999 for w in words[1:17]] + [0] * 16)[:16])
        labels.append(kinds.index(words[0].partition(":")[0]))
    return torch.tensor(rows), torch.tensor(labels)


def images(folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    from limbeck.data import load
    from limbeck.deploy.shipment import some, some_labels

    data = load("fashion_mnist", path=folder, limit=6000)
    return {part: (some(data[part], data, 6000), some_labels(data[part], 6000)) for part in ("train", "test")}


def learn(module: nn.Module, inputs: Tensor, labels: Tensor, epochs: int) -> None:
    optimizer, generator = torch.optim.Adam(module.parameters(), lr=2e-3), torch.Generator().manual_seed(0)
    module.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    module.eval()


def runtimes(fashion: Path, trec: Path, only: str | None) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pictures = images(fashion)
    words = {part: questions(trec, part) for part in ("train", "test")}
    for name, module in networks().items():
        if only is not None and name not in only.split(","):
            continue
        seen = words if name == "BERT" else pictures
        learn(module, *seen["train"], epochs=4 if name in ("BERT", "GRU", "ViT") else 2)
        keep(name, one(name, module, seen["train"][0][:256], *(t[:2000] for t in seen["test"])))


def keep(name: str, value: Any) -> None:
    """Put one result into the file, beside the others."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[name] = value
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def one(name: str, module: nn.Module, calibration: Tensor, inputs: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """All files of one network: how near, how accurate, how fast."""
    from limbeck.deploy import formats
    from limbeck.deploy.device import ask
    from limbeck.deploy.formats import asking
    from limbeck.errors import UserError

    ours, rows, written = asking.module_answers(module, inputs), [], []
    own = float((ours.argmax(1) == labels.numpy()).mean())
    with TemporaryDirectory() as folder:
        for kind, int8 in (("torch", False), ("onnx", False), ("onnx", True), ("executorch", False), ("executorch", True)):
            row: dict[str, Any] = {"network": name, "runtime": kind, "precision": "int8" if int8 else "float32", "pytorch": own}
            rows.append(row)
            path = Path(folder) / f"{'int8' if int8 else 'float'}{formats.find(kind).endings[0]}"
            try:
                written.append(
                    (
                        row,
                        formats.write(
                            formats.find(kind), module, inputs[:2], path, metadata={}, calibration=calibration if int8 else None
                        ),
                    )
                )
                row["bytes"] = path.stat().st_size
            except UserError as error:
                row["error"] = str(error)
        answers = asking.file_answers([w for _, w in written], inputs)
        jobs = [w.format.job(w.path, inputs[:1].numpy(), batches=(1, 16) if w.most != 1 else (1,)) for _, w in written]
        for (row, file), said, timed in zip(written, answers, ask(jobs), strict=True):
            row["largest_batch"] = file.most
            if isinstance(said, str) or timed.error:
                row["error"] = said if isinstance(said, str) else timed.error
                continue
            row["largest_difference"] = asking.largest_difference(ours, said)
            row["accuracy"] = float((said.argmax(1) == labels.numpy()).mean())
            row["latency_ms"] = {batch: t["median"] for batch, t in timed.figures["latency_ms"].items()}
            row["peak_bytes"], row["runtime_bytes"] = timed.figures["peak_bytes"], timed.figures["runtime_bytes"]
    for row in rows:
        print(line(row), flush=True)
    return rows


def line(row: dict[str, Any]) -> str:
    head = f"{row['network']:12} {row['runtime']:10} {row['precision']:8}"
    if "error" in row:
        return f"{head} FAILED {row['error']}"
    times = " ".join(f"{batch}: {ms:.3g} ms" for batch, ms in row["latency_ms"].items())
    return f"{head} {row['bytes']:>9,} B  diff {row['largest_difference']:.2g}  {row['accuracy']:.4f} of {row['pytorch']:.4f}  {times}"


def search(fashion: Path, out: Path) -> dict[str, Any]:
    """The same search with and without a teacher; the chosen student's figures once more from its files."""
    found: dict[str, Any] = {"limits": LIMITS, "budget": BUDGET}
    common = ["--data", "fashion_mnist", "--data-path", str(fashion), "--set", "data.limit=4000", "--lr", "0.05"]
    teacher = out / "teacher"
    model = ["--set", "teacher.width=16"]
    if not (teacher / "card.json").exists():
        alone = ["--student", "resnet8", "--set", "student.width=16", "--method", "alone", "--epochs", "6"]
        alone += ["--set", "data.limit=12000"]  # a model that knows more than the candidates can learn from their labels
        limbeck("distill", *common, *alone, "--no-baseline", "--set", "onnx=false", "--quiet", "--out", str(teacher))
    card = json.loads((teacher / "card.json").read_text())["models"]["student"]
    found["teacher"] = {key: card[key] for key in ("score", "parameters", "train_seconds")}
    weights = ["--teacher", "resnet8", *model, "--teacher-weights", str(teacher / "weights" / "student.safetensors")]
    for name, extra in (("with a teacher", ["--guided"]), ("without", ["--no-guided"])):
        folder, start = out / name.replace(" ", "-"), time.monotonic()
        limbeck("shrink", *common, *weights, *LIMITS, *BUDGET, *CANDIDATES, *extra, "--quiet", "--out", str(folder))
        state = json.loads((folder / "shrink.json").read_text())
        dropped = sum(bool(row["dropped"]) for row in state["candidates"])
        found[name] = {
            "seconds": time.monotonic() - start,
            "candidates": len(state["candidates"]),
            "dropped before training": dropped,
            "trainings": [
                {k: t[k] for k in ("candidate", "state", "validation", "latency_ms", "bytes")} for t in state["trials"]
            ],
            "words": state["verdict"]["words"],
            "chosen": state.get("chosen"),
            "again": again(folder / state["verdict"]["chosen"]["folder"]) if state["verdict"].get("chosen") else None,
        }
    return found


LIMITS = ["--max-latency", "40us", "--max-size", "60kB"]
BUDGET = ["--trials", "16", "--epochs", "20"]
CANDIDATES = [
    "--candidates",
    "cnn:width=2|4|8|16|32:depth=1|2,cnn:width=8|16:size=14,resnet8:width=4|8|16,mobilenetv2:width=0.25,mlp:width=16",
]


FRAGILE = ("mobilenetv2 width=0.1", "resnet8 width=2", "cnn width=2")


def repairs(fashion: Path, out: Path) -> list[dict[str, Any]]:
    """What int8 loses on test, and what training on as int8 wins back."""
    found = []
    data = ["--data", "fashion_mnist", "--data-path", str(fashion), "--set", "data.limit=4000", "--lr", "0.05", "--batch", "32"]
    teacher, models = ["--teacher", "resnet8", "--set", "teacher.width=8"], out / "students"
    for number, words in enumerate(FRAGILE):
        name, _, setting = words.partition(" ")
        folder = models / words.replace(" ", "-")
        first = models / FRAGILE[0].replace(" ", "-") / "weights" / "teacher.safetensors"
        known = ["--teacher-weights", str(first)] if number else []
        if not (folder / "card.json").exists():
            student = ["--student", name, "--set", f"student.{setting}"]
            limbeck(
                "distill", *data, *teacher, *known, *student, "--epochs", "6", "--no-baseline", "--quiet", "--out", str(folder)
            )
        export = ["export", str(folder), "--format", "onnx,executorch", "--int8", "--json"]
        before, after = (json.loads(limbeck(*export, *more))["exports"] for more in ([], ["--repair", "--most-lost", "-1"]))
        for old, new in zip(before, after, strict=True):
            if old["precision"] == "int8":
                accuracy = {"float": old["test"]["student"], "int8": old["test"]["score"], "repaired": new["test"]["score"]}
                found.append({"student": words, "format": old["format"], **accuracy, "note": new.get("note", "")})
                print(json.dumps(found[-1]), flush=True)
    return found


def again(folder: Path) -> dict[str, Any]:
    """The chosen student from its files alone, in fresh processes: accuracy of the weights, cost of the ONNX file."""
    said = json.loads(limbeck("evaluate", str(folder), "--json"))
    row = json.loads(limbeck("measure", str(folder / "student.onnx"), "--batch", "1", "--json"))["measured"][0]
    return {"accuracy": said["score"], "latency_ms": row["latency_ms"]["1"]["median"], "bytes": row["bytes"]}


def limbeck(*words: str) -> str:
    return subprocess.run([sys.executable, "-m", "limbeck", *words], check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["runtimes", "shrink", "repair"])
    parser.add_argument("--fashion", type=Path, required=True)
    parser.add_argument("--trec", type=Path)
    parser.add_argument("--only", help="names of networks, with commas")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-ship"))
    options = parser.parse_args()
    start = time.process_time()
    if options.what == "runtimes":
        runtimes(options.fashion, options.trec, options.only)
    elif options.what == "repair":
        keep("repair", repairs(options.fashion, options.out))
    else:
        found = json.dumps(search(options.fashion, options.out)).replace(
            str(options.out), "OUT"
        )  # where it lay is nobody's business
        keep("shrink", json.loads(found))
    print(f"{time.process_time() - start:.0f} s of this process")


if __name__ == "__main__":
    main()
