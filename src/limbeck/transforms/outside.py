"""Answers that come from outside of PyTorch, as logits."""

import numpy as np

SMALLEST = 1e-7  # a probability below counts as this: its logarithm is finite
SURE = 0.999  # of an answer that names a class alone


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities (n, C): logits up to a constant for each sample."""
    return np.asarray(np.log(np.clip(probabilities, SMALLEST, 1.0)))


def named_alone(classes: list[int], many: int) -> np.ndarray:
    """Probabilities (n, C) of answers that name a class alone: `SURE`, the rest spread evenly.

    >>> named_alone([1], 3).round(4).tolist()
    [[0.0005, 0.999, 0.0005]]
    """
    found = np.full((len(classes), many), (1 - SURE) / max(1, many - 1))
    found[np.arange(len(classes)), classes] = SURE if many > 1 else 1.0
    return found
