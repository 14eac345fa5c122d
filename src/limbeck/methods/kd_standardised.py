"""Logits by their shape, not their scale."""

from limbeck.methods._terms import standardised, task
from limbeck.plan import Method, method, single_stage


@method(paper="Sun et al. 2024, Logit Standardization in Knowledge Distillation, arXiv 2403.01427", year=2024)
def kd_standardised(temperature: float = 2.0, weight: float = 9.0, labels: float = 0.1) -> Method:
    """KD on logits standardised per sample, so that the student need not copy their size.

    L = labels CE(y, p) + weight T^2 KL of softmax(z' / T), z' = (z - mean) / std

    Use it when teacher and student logits differ much in size, as for a small student of a large teacher, and `kd` forces it to
    copy the size. It keeps the shape of the answer only, so the student's own confidence comes from the labels.

    Args:
        temperature: T; 2 as published.
        weight, labels: 9 and 0.1 as in the authors' KD settings.
    """
    return single_stage(task(weight=labels), standardised(temperature, weight))
