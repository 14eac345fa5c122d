"""Linear head + KL at language-model size: time and memory beyond the inputs, ours against the plain form.

    python -m bench.kernels [--rounds 5]

50,000 words, 2,048 tokens, width 512 on both sides, T = 2, float32, forward and backward to hidden states and
head. Each measurement is its own process (memory is the highest resident size less that before the first step);
the two take turns, and the ratio is the median over rounds of same-round ratios.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

WORDS, TOKENS, WIDTH = 50_000, 2_048, 512
RESULTS = Path(__file__).parent / "results" / "kernels.json"


def measure(kind: str) -> None:
    import torch

    from limbeck import losses
    from limbeck.losses.chunked import linear_kl

    torch.manual_seed(0)
    h, w = (torch.randn(n, WIDTH).div_(WIDTH**0.5).requires_grad_() for n in (TOKENS, WORDS))
    th, tw = (torch.randn(n, WIDTH).div_(WIDTH**0.5) for n in (TOKENS, WORDS))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(3):
        h.grad = w.grad = None
        start = time.perf_counter()
        if kind == "plain":
            value = losses.kl(h @ w.T, (th @ tw.T).detach(), temperature=2.0).mean()
        elif kind == "torch":
            log_q, log_p = (torch.log_softmax(z / 2.0, -1) for z in (h @ w.T, th @ tw.T))
            value = torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
        else:
            value = linear_kl(h, w, th, tw, temperature=2.0)
        value.backward()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    norms = [h.grad.norm().item(), w.grad.norm().item()]
    print(json.dumps({"seconds": min(seconds), "mib": (peak - before) / 1024, "value": value.item(), "norms": norms}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure")
    chosen = parser.parse_args()
    if chosen.measure:
        measure(chosen.measure)
        return
    kinds = ("torch", "plain", "limbeck")
    rows: dict[str, list[dict]] = {kind: [] for kind in kinds}
    for _ in range(chosen.rounds):
        for kind in kinds:
            out = subprocess.run(
                [sys.executable, "-m", "bench.kernels", "--measure", kind], capture_output=True, text=True, check=True
            )
            rows[kind].append(json.loads(out.stdout))
    table = {}
    for kind in kinds:
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(rows[kind], rows["torch"], strict=True)]
        table[kind] = {
            "seconds": statistics.median(r["seconds"] for r in rows[kind]),
            "mib": statistics.median(r["mib"] for r in rows[kind]),
            "ratio": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "value": rows[kind][0]["value"],
            "norms": rows[kind][0]["norms"],
        }
        row = table[kind]
        print(
            f"{kind:<8} {row['seconds']:6.2f} s  {row['mib']:7.0f} MiB  ratio {row['ratio']:.2f} ({row['ratio_low']:.2f}-{row['ratio_high']:.2f})"
            f"  value {row['value']:.6f}  norms {row['norms'][0]:.6e} {row['norms'][1]:.6e}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
