"""A first look at a GPU, in steps that each say their figure at once.

    python -m bench.gpu [correct whole speed words board] [--data FOLDER] [--weights resnet56.th] [--small] [--epochs 30]

correct: every method of the catalogue, three steps on the device in float32 and in bf16, beside the CPU's losses; a resumed run
    to the same bits. whole: a run from the command line on the device, with export and resume, and `plan`'s memory beside the
    device's own. speed: KD of ResNet-56 beside loops by hand. words: divergences at the size of a language model. board: eight
    methods and the baseline, a process for each seed.
FOLDER holds CIFAR-10's binary batches; the weights are the published ResNet-56. Without a GPU the same steps run in small on the
CPU (`--small`), as a check of the script. Everything found is written to bench/results/gpu.json, a step at a time, with the
device's name; what was not run stays out of it.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parents[1] / "results" / "gpu.json"
STEPS = ("correct", "whole", "speed", "words", "board")


def device_facts() -> dict[str, Any]:
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return {"gpu": gpu, "torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine()}


def step_of(name: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    from bench.gpu import board, correct, speed, whole, words

    return {"correct": correct.go, "whole": whole.go, "speed": speed.go, "words": words.go, "board": board.go}[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", default=STEPS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--student", default="resnet8")
    parser.add_argument("--seeds", type=int, default=5, help="of the board")
    parser.add_argument("--limit", type=float, default=300, help="seconds for the board; what has ended by then is told")
    parser.add_argument("--write", action="store_true", help="only write docs/gpu.md from what is measured")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--small", action="store_true", help="a check of the script: few of everything")
    chosen = parser.parse_args()
    if chosen.write:
        from bench.gpu import page

        page.write()
        return
    kept = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    for name in chosen.steps:
        start = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            found = step_of(name)(chosen)
        except Exception as error:  # the next step may still tell something
            print(f"{name} failed: {type(error).__name__}: {error}", flush=True)
            import traceback

            traceback.print_exc()
            continue
        key = f"{name} {chosen.student}" if name == "board" else name
        kept[key] = {"device": device_facts(), "seconds": round(time.monotonic() - start, 1), **found}
        print(f"== {name}: {time.monotonic() - start:.0f} s", flush=True)
        chosen.out.parent.mkdir(exist_ok=True)
        chosen.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
