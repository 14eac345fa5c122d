"""Time of one training step, limbeck beside a hand-written loop and public packages on the same work.

    python -m bench.speed [--rounds 15] [--steps 6] [--threads 2] [--pairs resnet32:resnet8,resnet56:resnet20]
                          [--rivals FOLDER] [--only WORDS]

Every contender (see `bench/contenders.py`) lives in a process of its own and they take turns, a few steps each per
round; all others wait meanwhile. A figure is the median over rounds of the median step, a ratio the median of
same-round ratios (with the lowest and highest). Whole loops: batches, forward, backward, step. Packages that are not
installed are left out; `--rivals` is a folder where torchdistill, KD-Lib and torchvision were installed to. Written to
bench/results/speed.json with the machine and versions.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "speed.json"
NAMES = (
    "student alone, by hand",
    "kd by hand",
    "kd torchdistill",
    "kd KD-Lib",
    "kd limbeck",
    "kd limbeck, stored",
    "attention by hand",
    "attention limbeck",
    "attention limbeck, stored",
)
COMPILED = ("kd limbeck, compiled", "kd limbeck, stored and compiled")


class Contender:
    """A loop in a process of its own."""

    def __init__(self, name: str, pair: str, threads: int, rivals: str | None):
        words = [sys.executable, "-m", "bench.contenders", name, pair, str(threads), *(["--rivals", rivals] if rivals else [])]
        self.name = name
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, steps: int) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None and self.process.stderr is not None
        try:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(self.process.stderr.read().strip().splitlines()[-1:] or ["no reason given"])
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(pair: str, names: list[str], rounds: int, steps: int, threads: int, rivals: str | None) -> dict[str, Any]:
    running: list[Contender] = []
    for name in names:
        contender = Contender(name, pair, threads, rivals)
        try:
            contender.run(3)
            running.append(contender)
        except RuntimeError as error:
            print(f"left out: {name}: {error}")
    times: dict[str, list[float]] = {c.name: [] for c in running}
    peaks: dict[str, float] = {}
    for _ in range(rounds):
        for contender in running:
            said = contender.run(steps)
            times[contender.name].append(statistics.median(said["seconds"][1:]))  # the first step of a turn finds cold caches
            peaks[contender.name] = said["peak_mib"]
    for contender in running:
        contender.end()
    return {name: row(name, times, peaks) for name in times}


def row(name: str, times: dict[str, list[float]], peaks: dict[str, float]) -> dict[str, Any]:
    found = times[name]
    made: dict[str, Any] = {"ms": 1000 * statistics.median(found), "low_ms": 1000 * min(found), "high_ms": 1000 * max(found)}
    for rival in ("student alone, by hand", "attention by hand" if name.startswith("attention") else "kd by hand"):
        if rival in times:
            ratios = sorted(a / b for a, b in zip(found, times[rival], strict=True))
            made[f"ratio to {rival}"] = [statistics.median(ratios), ratios[0], ratios[-1]]
    return made | {"peak_mib": peaks[name]}


def show(pair: str, table: dict[str, Any]) -> None:
    print(f"\n{pair}\n{'contender':<34}{'ms/step':>9}{'low':>8}{'high':>8}{'/ alone':>9}{'/ by hand':>11}{'peak MiB':>10}")
    for name, made in table.items():
        alone, hand = [v[0] for k, v in made.items() if k.startswith("ratio")]
        print(
            f"{name:<34}{made['ms']:>9.1f}{made['low_ms']:>8.1f}{made['high_ms']:>8.1f}{alone:>9.2f}{hand:>11.2f}{made['peak_mib']:>10.0f}"
        )


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", default="resnet32:resnet8,resnet56:resnet20")
    parser.add_argument("--rivals")
    parser.add_argument("--compiled", action="store_true", help="also with torch.compile, which takes minutes to compile")
    chosen = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    facts = {
        "torch": torch.__version__,
        "machine": f"{platform.machine()} {platform.system()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": chosen.threads,
        "rounds": chosen.rounds,
        "steps": chosen.steps,
    }
    for pair in chosen.pairs.split(","):
        names = [*NAMES, *(COMPILED if chosen.compiled else ())]
        table = measure(pair, names, chosen.rounds, chosen.steps, chosen.threads, chosen.rivals)
        show(pair, table)
        known.setdefault("pairs", {})[pair] = {**facts, "table": table}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"pairs": known["pairs"]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
