"""How time and memory of a step grow: with samples, classes, words and taps.

    python -m bench.growth [--threads 1]

Each point is a process of its own; seconds are the median of the last steps, memory the highest resident size less
that after the imports. Written to bench/results/growth.json and drawn into docs/growth.svg, both axes logarithmic;
the last column is the exponent between the ends (1 is linear, 0 does not grow).
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "growth.json"
GROWTH: dict[str, tuple[int, ...]] = {
    "samples": (1_000, 3_000, 10_000, 30_000, 50_000),
    "classes": (10, 100, 1_000, 10_000),
    "words": (1_000, 4_000, 16_000, 64_000, 128_000),
    "taps": (1, 2, 4, 8, 16),
}
SAYS = {
    "samples": "one epoch of kd from stored answers, filling included (12 x 12 images, batch 64)",
    "classes": "soft labels of 256 samples, forward and backward (soft_target, dkd and dist together)",
    "words": "linear head and KL of 512 tokens, width 128, forward and backward",
    "taps": "attention transfer of so many layers of a 16-layer network (16 x 16 images, batch 32)",
}


def samples(count: int) -> Callable[[], None]:
    import torch

    from limbeck import engine, methods, models
    from limbeck.data import from_datasets
    from limbeck.data.streams import Streams
    from limbeck.plan.roles import Cast
    from limbeck.store.planner import plan
    from limbeck.store.shelves import Store

    images = torch.randint(0, 256, (count, 1, 12, 12), dtype=torch.uint8)
    data = from_datasets((images, torch.arange(count) % 10), classes=10)

    def step() -> None:
        make = lambda width: models.build("cnn", classes=10, shape=(1, 12, 12), arguments={"width": width})  # noqa: E731
        cast = Cast({"teacher": make(4).eval(), "student": make(2)})
        streams = Streams(data, size=64, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            made = plan(methods.kd(), cast, streams, Store(Path(folder)))
            engine.train(made.method, cast, made.draw, engine.Fit(steps=streams.steps_per_epoch), device="cpu")

    return step


def classes(count: int) -> Callable[[], None]:
    import torch

    from limbeck import losses

    student, teacher = (torch.randn(256, count) for _ in range(2))
    labels = torch.arange(256) % count

    def step() -> None:
        s = student.clone().requires_grad_()
        total = losses.soft_target(s, teacher).mean() + losses.dkd(s, teacher, labels).mean() + losses.dist(s, teacher).mean()
        total.backward()

    return step


def words(count: int) -> Callable[[], None]:
    import torch

    from limbeck.losses.chunked import linear_kl

    h, w = (torch.randn(n, 128).div_(12).requires_grad_() for n in (512, count))
    th, tw = (torch.randn(n, 128).div_(12) for n in (512, count))

    def step() -> None:
        h.grad = w.grad = None
        linear_kl(h, w, th, tw).backward()

    return step


def taps(count: int) -> Callable[[], None]:
    import torch
    from torch import nn

    from limbeck import losses
    from limbeck.plan import Term
    from limbeck.plan.observe import observe
    from limbeck.plan.roles import Cast
    from limbeck.plan.taps import Tap

    def network() -> nn.Module:
        layers = [nn.Sequential(nn.Conv2d(8 if k else 3, 8, 3, padding=1), nn.ReLU()) for k in range(16)]
        return nn.Sequential(*layers)

    cast = Cast({"teacher": network().eval().requires_grad_(False), "student": network()})
    at = [str(round(k * 15 / max(count - 1, 1))) for k in range(count)]
    terms = [Term(f"at {p}", losses.attention, student=Tap("student", p), teacher=Tap("teacher", p).detach()) for p in at]
    batch = {"inputs": torch.rand(32, 3, 16, 16)}

    def step() -> None:
        scene = observe(cast, batch, [s for term in terms for s in term.sources], learns=("student",))
        sum(term.by(**{k: scene(s) for k, s in term.inputs.items()}).mean() for term in terms).backward()  # type: ignore[union-attr]

    return step


def point(what: str, count: int, threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    step = {"samples": samples, "classes": classes, "words": words, "taps": taps}[what](count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(2 if what == "samples" else 5):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "peak_mib": peak}))


def exponent(counts: tuple[int, ...], values: list[float]) -> float:
    """The slope between the ends on logarithmic axes."""
    return math.log(max(values[-1], 1e-9) / max(values[0], 1e-9)) / math.log(counts[-1] / counts[0])


def draw(found: dict[str, Any]) -> str:
    """Four charts side by side: seconds (line) and MiB (dashed) against the size, both axes logarithmic."""
    from limbeck.report.charts import Chart, log_span

    parts = []
    for place, (what, made) in enumerate(found.items()):
        chart = Chart(f"time and memory against the number of {what}", width=360, height=260)
        x = chart.x_axis(*log_span(made["counts"]), log=True)
        for key, dash in (("seconds", ""), ("peak_mib", "5 4")):
            values = [max(v, 0.1 if key == "peak_mib" else 1e-6) for v in made[key]]
            y = chart.y_axis(*log_span(values), log=True)
            if key == "seconds":
                chart.frame(x, y, what, "seconds", lambda v: f"{v:,.0f}", lambda v: f"{v:g}")
            chart.line([(x(c), y(v)) for c, v in zip(made["counts"], values, strict=True)], "student", dash)
        chart.text(70, 30, f"seconds ~ n^{made['time_exponent']:.2f}, memory (dashed) ~ n^{made['memory_exponent']:.2f}", "tick")
        parts.append(f'<g transform="translate({360 * (place % 2)} {260 * (place // 2)})">{"".join(chart.parts)}</g>')
    style = (
        "text{font:11px sans-serif;fill:#333}.mid{text-anchor:middle}.end{text-anchor:end}.grid{stroke:#ddd}.axis{stroke:#888}"
        ".line{fill:none;stroke:#1f6feb;stroke-width:2}"
    )
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 520" role="img" aria-label="growth of time and memory">'
    return f'{head}<rect width="720" height="520" fill="#fff"/><style>{style}</style>{"".join(parts)}</svg>\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--point", nargs=2, metavar=("WHAT", "COUNT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.point:
        point(chosen.point[0], int(chosen.point[1]), chosen.threads)
        return
    found: dict[str, Any] = {}
    for what, counts in GROWTH.items():
        points = []
        for count in counts:
            words_ = [sys.executable, "-m", "bench.growth", "--point", what, str(count), "--threads", str(chosen.threads)]
            points.append(json.loads(subprocess.run(words_, check=True, capture_output=True, text=True).stdout))
            print(f"{what} {count:>7,}: {points[-1]['seconds']:.4f} s, {points[-1]['peak_mib']:.0f} MiB", flush=True)
        made: dict[str, Any] = {"says": SAYS[what], "counts": counts, "seconds": [p["seconds"] for p in points]}
        made["peak_mib"] = [p["peak_mib"] for p in points]
        made |= {"time_exponent": exponent(counts, made["seconds"]), "memory_exponent": exponent(counts, made["peak_mib"])}
        found[what] = made
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    (ROOT / "docs" / "growth.svg").write_text(draw(found))


if __name__ == "__main__":
    main()
