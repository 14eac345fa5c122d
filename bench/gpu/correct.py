"""Every method of the catalogue on the device: three steps in float32 and bf16 beside the CPU's losses, and a resumed run."""

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

sys.path[:0] = [str(Path(__file__).parents[2] / "tests"), str(Path(__file__).parents[2] / "tests" / "contract")]

NEAR = {"float32": 2e-3, "bf16": 6e-2}  # of a loss, relative to the largest value of its term in the three steps
DRAWS = {
    "contrastive_representation",
    "mgd",
    "mgd_code",
    "noisy_teacher",
    "simclr_semi",
    "sskd",
    "structured",
    "structured_code",
    "distilbert",
    "tinybert",
}
"""Methods that draw random numbers on the device, which are others than the CPU's: their losses are not comparable."""


def losses(name: str, on: str, precision: str) -> dict[str, list[float]] | str:
    """Each term's values in three steps of every stage; or why there are none."""
    from settings import cast_for, draw_for, fit_for, method_of

    from limbeck.engine import train

    torch.set_num_threads(1)
    if on == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    method, cast = method_of(name), cast_for(name)
    found: dict[str, list[float]] = {}

    def listen(kind: str, facts: Any) -> None:
        if kind == "step" and facts["step"] <= 3:
            for term, value in facts["terms"].items():
                found.setdefault(f"{facts['stage']}: {term}", []).append(value)

    fit = fit_for(name, steps=3 * len(method.stages), precision=precision)
    try:
        train(method, cast, draw_for(name), fit, seed=1, listen=listen, device="cpu" if on == "cpu" else None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return found


def both(job: tuple[str, str]) -> tuple[str, dict[str, Any]]:
    name, on = job
    there = losses(name, "cpu", "float32")
    return name, {p: apart(there, losses(name, on, p)) for p in ("float32", "bf16")}


def apart(there: dict[str, list[float]] | str, here: dict[str, list[float]] | str) -> Any:
    """The largest difference of any term's values, relative to its largest; or what went wrong."""
    if isinstance(there, str) or isinstance(here, str):
        return here if isinstance(here, str) else f"on the CPU: {there}"
    if set(there) != set(here):
        return f"terms differ: {sorted(set(there) ^ set(here))}"
    worst, which = 0.0, ""
    for name, values in there.items():
        size = max(1e-3, *(abs(v) for v in values))
        gap = max(abs(a - b) for a, b in zip(values, here[name], strict=True)) / size
        if not gap <= worst:
            worst, which = gap, name
    return [worst, which]


def resumed(name: str, on: str) -> str:
    """Whether a stopped run continues to the same bits on the device, with deterministic algorithms."""
    from settings import cast_for, draw_for, fit_for, method_of
    from toy import Stop, differing, state, stopping

    from limbeck.engine import train

    torch.use_deterministic_algorithms(True, warn_only=True)
    where = "cpu" if on == "cpu" else None

    def go(cast: Any, **more: Any) -> Any:
        fit = fit_for(name, steps=12, checkpoint_seconds=0.0)
        return train(method_of(name), cast, draw_for(name), fit, seed=3, device=where, **more)

    whole, again, cast = cast_for(name), cast_for(name), cast_for(name)
    go(whole), go(again)
    same = differing(state(whole), state(again))
    with tempfile.TemporaryDirectory() as folder:
        with suppress(Stop):
            go(cast_for(name), folder=Path(folder), listen=stopping(after=7))
        go(cast, folder=Path(folder))
    torch.use_deterministic_algorithms(False)
    return f"two runs differ in {len(same)}, a resumed one in {len(differing(state(whole), state(cast)))} tensors"


def go(chosen: argparse.Namespace) -> dict[str, Any]:
    from settings import ROWS

    on = "cuda" if torch.cuda.is_available() else "cpu"
    names = sorted(ROWS)[:6] if chosen.small else sorted(ROWS)
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(2 if chosen.small else 12, mp_context=get_context("spawn")) as pool:
        for name, gaps in pool.map(both, [(name, on) for name in names]):
            found[name] = gaps
            wrong = {p: g for p, g in gaps.items() if isinstance(g, str) or (not g[0] <= NEAR[p] and name not in DRAWS)}
            if wrong:
                print(f"{name}: {wrong}", flush=True)
    for precision, limit in NEAR.items():
        gaps = [g[precision] for g in found.values()]
        failed = sum(isinstance(g, str) for g in gaps)
        far = sum(not isinstance(g, str) and not g[0] <= limit for g in gaps)
        print(f"{precision}: {len(gaps)} methods, {failed} failed, {far} further than {limit} from the CPU", flush=True)
    again = {name: resumed(name, on) for name in ("alone", "kd", "attention", "mutual", "dkd")}
    print("resumed:", again, flush=True)
    return {"on": on, "methods": found, "resumed": again}
