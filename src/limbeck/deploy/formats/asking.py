"""What exported files answer, beside the module that they were made of."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.deploy.device import ask
from limbeck.deploy.formats.format import MOST, Written
from limbeck.deploy.measure import answering


def module_answers(module: nn.Module, inputs: Tensor, batch: int = 256) -> np.ndarray:
    """What the PyTorch module answers to inputs (n, ...), as float32 (n, C)."""
    with answering(module), torch.no_grad():
        return np.concatenate([module(part).float().cpu().numpy() for part in inputs.split(batch)])


def file_answers(written: Sequence[Written], inputs: Tensor) -> list[np.ndarray | str]:
    """What each file answers to inputs (n, ...) in its own runtime and a fresh process, the first sample also alone
    and the two compared; or why it does not.
    """
    rows = inputs.detach().cpu().numpy()
    jobs = [w.format.job(w.path, rows, answers=True, batch=min(w.most or MOST, MOST)) for w in written]
    found: list[np.ndarray | str] = []
    for file, seen in zip(written, ask(jobs), strict=True):
        if seen.error or seen.answers is None or seen.alone is None:
            found.append(seen.error or "it gave no answer")
        elif not file.int8 and not np.allclose(seen.alone, seen.answers[:1], rtol=1e-3, atol=1e-3):  # int8 rounds in steps
            found.append("its output for a single sample differs from that within a batch")
        else:
            found.append(seen.answers)
    return found


def largest_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference of any logit; infinite where shapes differ or one is not a number."""
    if ours.shape != theirs.shape:
        return float("inf")
    difference = float(np.abs(ours - theirs).max(initial=0.0))
    return difference if difference == difference else float("inf")
