"""Divergences at the size of a language model: time and memory beside full logits, forward and backward."""

import argparse
import statistics
import time
from functools import partial
from typing import Any

import torch


def plain(h: torch.Tensor, w: torch.Tensor, th: torch.Tensor, tw: torch.Tensor) -> torch.Tensor:
    """What is usually written: two full logit tensors."""
    log_q, log_p = torch.log_softmax((h @ w.T).float(), -1), torch.log_softmax((th @ tw.T).detach().float(), -1)
    return torch.nn.functional.kl_div(log_q, log_p, log_target=True, reduction="batchmean")


def go(chosen: argparse.Namespace) -> dict[str, Any]:
    from limbeck.losses.chunked import linear_kl

    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    words, tokens = (1_000, 64) if chosen.small else (151_936, 8_192)
    kind = torch.bfloat16 if where.type == "cuda" else torch.float32
    made: dict[str, Any] = {}
    for width in (64,) if chosen.small else (2_048, 4_096):
        torch.manual_seed(0)
        h, w = (torch.randn(n, width, device=where).div_(width**0.25).to(kind).requires_grad_() for n in (tokens, words))
        th, tw = (torch.randn(n, width, device=where).div_(width**0.25).to(kind) for n in (tokens, words))
        forms = {"full logits": partial(plain, h, w, th, tw)}
        forms |= {f"limbeck, chunks of {c}": partial(linear_kl, h, w, th, tw, chunk=c) for c in (128, 512, 1024)}
        for name, form in forms.items():
            try:
                row = measure(form, (h, w), where)
            except Exception as error:
                print(f"{width} {name}: {type(error).__name__}: {error}"[:300], flush=True)
                continue
            made[f"{width} {name}"] = row
            full = made.get(f"{width} full logits", row)
            row["gradient"] = error_of(form, (h, w, th, tw))
            row |= {"time": row["ms"] / full["ms"], "memory": row["mib"] / max(full["mib"], 1e-9)}
            print(f"hidden {width} {name}: {row}", flush=True)
        del h, w, th, tw, forms, form
        if where.type == "cuda":
            torch.cuda.empty_cache()
    return made


def error_of(form: Any, tensors: tuple[torch.Tensor, ...]) -> float:
    """Relative error of the head's gradient on the first 1,024 tokens, beside full logits in float64, on some of the words."""
    h, w, th, tw = tensors
    tokens, some = min(1024, len(h)), slice(0, 2048)
    with torch.no_grad():
        z, zt = (a[:tokens].double() @ b.double().T for a, b in ((h, w), (th, tw)))
        slope = (torch.softmax(z, 1) - torch.softmax(zt, 1))[:, some] / tokens
        right = slope.T @ h[:tokens].double()
    w.grad = None
    inner, more = form.func, form.keywords
    inner(h[:tokens], w, th[:tokens], tw, **more).backward()
    return float((w.grad[some].double() - right).norm() / right.norm())


def measure(form: Any, learns: tuple[torch.Tensor, ...], where: torch.device) -> dict[str, float]:
    """Milliseconds and MiB beyond what was there, gradients aside (both make the same ones), and the value."""
    own = sum(t.numel() * t.element_size() for t in learns)
    spent, peak = [], 0.0
    for _ in range(4):
        for tensor in learns:
            tensor.grad = None
        if where.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        start = time.perf_counter()
        value = form()
        value.backward()
        if where.type == "cuda":
            torch.cuda.synchronize()
            peak = (torch.cuda.max_memory_allocated() - before - own) / 2**20
        spent.append(time.perf_counter() - start)
    return {"ms": 1000 * statistics.median(spent[1:]), "mib": peak, "value": value.item()}
