"""Ten methods of one teacher: limbeck's shared pass against ten separate hand-written loops; and the input pipeline.

    python -m bench.shared [--rounds 5] [--threads 2] [--pair resnet32:resnet8]

A step is one step of each of the ten (`bench/contenders.py`, TEN). Three seeds are three such passes, each with an
order of samples of its own, so that the ratio is the same; with stored answers the second and third ask the teacher
nothing. The input pipeline is the student's step on real batches, cropped and flipped, against the same step on one
batch again and again. Written to bench/results/shared.json.
"""

import argparse
import json
import statistics
from pathlib import Path

from bench.speed import Contender

RESULTS = Path(__file__).parent / "results" / "shared.json"
TEN = ("ten methods by hand", "ten methods limbeck, together", "ten methods limbeck, together and stored")
INPUT = ("one batch again and again", "real batches, crop and flip")


def ratios(names: tuple[str, ...], pair: str, threads: int, rounds: int, steps: int) -> dict[str, dict[str, float | list[float]]]:
    """Median seconds of a step, and the same-round ratios to the first: median, lowest, highest."""
    running = [Contender(name, pair, threads, None) for name in names]
    times: dict[str, list[float]] = {name: [] for name in names}
    for contender in running:
        contender.run(2)
    for _ in range(rounds):
        for contender in running:
            times[contender.name].append(statistics.median(contender.run(steps)["seconds"][1:]))
    for contender in running:
        contender.end()
    found: dict[str, dict[str, float | list[float]]] = {}
    for name, seconds in times.items():
        each = sorted(a / b for a, b in zip(seconds, times[names[0]], strict=True))
        found[name] = {"seconds": statistics.median(seconds), "ratio": [statistics.median(each), each[0], each[-1]]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pair", default="resnet32:resnet8")
    chosen = parser.parse_args()
    table = ratios(TEN, chosen.pair, chosen.threads, chosen.rounds, 3)
    table |= ratios(INPUT, chosen.pair, chosen.threads, 2 * chosen.rounds, 9)
    for name, row in table.items():
        middle, low, high = row["ratio"]  # type: ignore[misc]
        print(f"{name:<44}{row['seconds']:>8.3f} s   {middle:.2f} ({low:.2f} to {high:.2f})")
    RESULTS.write_text(json.dumps({"pair": chosen.pair, "threads": chosen.threads, **table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
