"""What is found in the store is not trusted: a few answers are asked again, and an input is compared with the one that was
answered."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from limbeck.data.batches import gather
from limbeck.data.core import Partition
from limbeck.plan.kinds import Value
from limbeck.store.forms import Form
from limbeck.store.shelves import mark

ASKED = 8  # stored rows that are asked again, of each view when it is first used
ELSEWHERE = 40_487  # seed of the random states under which something is asked a second time
READ = 16  # items of a Dataset that are read three times before anything is stored
NOISE = {"cpu": 1e-4}  # relative to the largest value: what batches of other sizes change
NOISE_ELSEWHERE = 3e-3  # of accelerators, which may round their products


@contextmanager
def other_chance(seed: int) -> Iterator[None]:
    """Random states of another run inside, and the own ones again afterwards."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def repeats(part: Partition) -> bool:
    """Whether items of a Dataset are the same when they are read again; tensors are."""
    if isinstance(part.inputs, Tensor):
        return True
    rows = torch.linspace(0, len(part) - 1, min(READ, len(part))).round().long()
    read = []
    for seed in (1, 2, 3):
        with other_chance(seed):
            read.append(checksums(gather(part, rows)))
    return bool((read[0] == read[1]).all() and (read[0] == read[2]).all())


def checksums(inputs: Value) -> np.ndarray:
    """(n,) checksums of inputs: a tensor (n, ...), or a mapping of such; never 0."""
    named = sorted(inputs.items()) if isinstance(inputs, Mapping) else [("", inputs)]
    arrays = [value.detach().cpu().contiguous().reshape(len(value), -1).view(torch.uint8).numpy() for _, value in named]
    return np.array([mark(row) for row in np.concatenate(arrays, axis=1)], np.uint32)


def differing(stored: Tensor, live: Tensor, form: Form) -> int:
    """How many rows of stored answers (n, ...) float32 are not the live ones, beyond what the form rounds and noise."""
    if stored.shape != live.shape:
        return len(stored)
    noise = NOISE.get(live.device.type, NOISE_ELSEWHERE) + form.coarse
    live = live.detach().cpu().float()
    finite = live[live.isfinite()].abs()
    room = noise * float(finite.max()) if finite.numel() and not form.loose else 0.0
    same = torch.isclose(stored, live, rtol=0, atol=room, equal_nan=True)
    if same.dim() == 1:
        return int((~same).sum())
    return int(((~same).flatten(1).float().mean(1) > form.loose).sum())
