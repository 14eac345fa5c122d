"""Peak memory of a run on a folder of pictures that stay in their files: ten times as many pictures need at most 10 % more.

    LIMBECK_BENCH_DATA=FOLDER python -m bench.memory [PICTURES] [WORKERS]

FOLDER holds `cifar10` (the published binary files) and `pretrained_cifar10_resnet`. PICTURES (6,000) and ten times as many, half of
them mirrored, are written as PNG files by class; then `limbeck distill` runs on each folder from the command line, one epoch, kd from the published
ResNet-20, with `data.memory_gb = 0`, so that no picture is kept. What grows with the first thousands of pictures is the allocator's:
batches of 256 are judged one after another, and their freed blocks are in pieces. Results in `bench/results/memory.json`.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from bench.survey_rows.sequence_runs import folder
from limbeck.data import load

RESULTS = Path(__file__).parent / "results" / "memory.json"
MOST = 1.10  # times the memory, for ten times the pictures


def write(place: Path, count: int) -> None:
    data = load("cifar10", path=folder("cifar10"), validation=1)
    found = [(x, int(y)) for part in ("train", "test") for x, y in zip(data[part].inputs, data[part].labels, strict=True)]
    for k, (pixels, label) in enumerate(found[: count // 2]):
        target = place / data.classes[label]
        target.mkdir(parents=True, exist_ok=True)
        for name, seen in ((f"{k}.png", pixels), (f"{k}-mirrored.png", pixels.flip(2))):
            Image.fromarray(seen.permute(1, 2, 0).numpy()).save(target / name)


def measured(place: Path, workers: int, memory: float) -> dict[str, object]:
    """Seconds and peak resident memory of a whole run; of the largest process, workers counted by themselves."""
    teacher = next(folder("pretrained_cifar10_resnet").glob("resnet20-*.th"))
    words = ["distill", "--data", str(place), "--teacher", "resnet20", "--teacher-weights", str(teacher), "--student", "cnn"]
    words += ["--set", "student.arguments.width=8", "--epochs", "1", "--no-baseline", "--no-onnx", "--quiet"]
    words += ["--set", f"data.memory_gb={memory:g}", "--set", f"data.workers={workers}", "--set", "store.use=false"]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        child = os.posix_spawn(sys.executable, [sys.executable, "-m", "limbeck", *words, "--out", f"{out}/run"], dict(os.environ))
        _, status, used = os.wait4(child, 0)
    assert status == 0, f"the run failed: {status}"
    return {"seconds": round(time.perf_counter() - started, 1), "peak_mib": round(used.ru_maxrss / 1024)}


def main() -> None:
    count, workers = (int(word) for word in (sys.argv[1:] + ["6000", "2"][len(sys.argv) - 1 :])[:2])
    found: dict[str, object] = {"pictures": count, "workers": workers}
    with tempfile.TemporaryDirectory() as name:
        for times in (1, 10):
            place = Path(name) / str(times)
            write(place, times * count)
            found[f"streamed, {times} x"] = measured(place, workers, 0.0)
    few, many = (found[f"streamed, {times} x"]["peak_mib"] for times in (1, 10))  # type: ignore[index]
    found["ratio"] = round(many / few, 3)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    assert many <= MOST * few, "memory grows with the number of pictures"


if __name__ == "__main__":
    main()
