"""A run from the command line on the device: distil, export, resume, evaluate; the memory that is foretold and the device's."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch


def go(chosen: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        words = ["distill", "--epochs", "2", "--out", str(folder), "--set", f"store.path={place}/store"]
        for name, more in (("distill", words), ("again", [*words, "--resume"]), ("export", ["export", str(folder)])):
            start = time.monotonic()
            made = subprocess.run([sys.executable, "-m", "limbeck", *more], capture_output=True, text=True, check=False)
            seconds = time.monotonic() - start
            print(f"{name}: exit {made.returncode} in {seconds:.1f} s", flush=True)
            if made.returncode:
                print(made.stdout[-1500:], made.stderr[-3000:], flush=True)
            found[name] = {"exit": made.returncode, "seconds": round(seconds, 1)}
        card = json.loads((folder / "card.json").read_text())
        scores = {who: model.get("score") for who, model in card["models"].items()}
        print("scores:", scores, flush=True)
        found["scores"] = scores
    found["memory"] = memory(chosen)
    print("memory:", found["memory"], flush=True)
    return found


def memory(chosen: argparse.Namespace) -> dict[str, float]:
    """Bytes of a training step: what the estimate says beside the peak that the device reports."""
    from bench.gpu.speed import cast_of, data_of, fit_of
    from limbeck import engine, methods
    from limbeck.data.streams import Streams
    from limbeck.store.estimate import estimate
    from limbeck.store.planner import plan

    cast, streams = cast_of("resnet20", chosen), Streams(data_of(chosen), size=64 if chosen.small else 512, seed=0)
    fit = fit_of(streams, 1, chosen)
    engine.place(cast, streams, fit)
    planned = plan(methods.kd(), cast, streams, None)
    told = estimate(methods.kd(), cast, streams, planned, fit)[0].memory
    if not torch.cuda.is_available():
        return {"foretold_mib": told / 2**20}
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    cast.stand_ins = dict(planned.stand_ins)
    engine.train(planned.method, cast, streams, fit_of(streams, 1, chosen, steps=20))
    own = sum(p.numel() * p.element_size() for p in cast.parameters())
    peak = torch.cuda.max_memory_allocated() - before + own
    return {"foretold_mib": told / 2**20, "peak_mib": peak / 2**20}
