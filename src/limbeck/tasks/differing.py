"""The samples on which two models differ most: kept with a run, and shown on its page."""

from collections.abc import Callable, Mapping

from torch import Tensor

from limbeck.tasks.keeping import Kept, need, pick
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Sample, SampleList, SamplePrediction, Section

TITLE = "Where teacher and student differ most"
NOT_TWO = "The predictions of two models are needed, but were not recorded."
SHOWN = 12

Apart = Callable[[Predictions, Predictions], Tensor]
"""All rows of two models' predictions, those that differ most first."""


def record_all(
    predictions: Mapping[str, Predictions], outputs: Mapping[str, Tensor], inputs: Tensor | None, apart: Apart
) -> dict[str, Tensor]:
    """Everybody's outputs, and the pictures on which teacher and student differ most; inputs: the judged pictures, or None."""
    first = predictions["student"]
    tensors = {"labels": first.labels, "index": first.index} | {who: output.float() for who, output in outputs.items()}
    if inputs is not None:
        at = apart(first, predictions.get("teacher", first))[:SHOWN]
        tensors |= {"samples": inputs[at].contiguous(), "samples_index": at}
    return tensors


def recall_all(tensors: Mapping[str, Tensor], labels: Tensor) -> Kept:
    """What `record_all` kept; outputs have the shape of the labels. Raises `ValueError` or `KeyError` where it does not fit."""
    index = tensors["index"].long()
    predictions = {who: Predictions(z.float(), labels, index) for who, z in pick(tensors).items()}
    need(len(labels) > 0 and len(index) == len(labels) and all(p.answers.shape == labels.shape for p in predictions.values()))
    return Kept(predictions, tensors.get("samples"), tensors.get("samples_index"))


def differing(
    kept: Kept,
    apart: Apart,
    label: Callable[[Tensor], str],
    shown: Callable[[str, Predictions, int], SamplePrediction],
    note: str,
) -> Section:
    """A page's section: the samples that were kept, else those furthest apart.

    label: a sample's label in words. shown: what a model predicts for the sample of a row. note: below the samples.
    """
    if not kept.other:
        return Section("differ", TITLE, (), NOT_TWO)
    student, pair = kept.predictions["student"], (kept.other, "student")
    pictures = {} if kept.samples is None or kept.at is None else dict(zip(kept.at.tolist(), kept.samples, strict=True))
    rows = list(pictures) or apart(student, kept.predictions[kept.other])[:SHOWN].tolist()
    samples = tuple(
        Sample(
            int(student.index[row]),
            label(student.labels[row]),
            tuple(shown(who, kept.predictions[who], row) for who in pair),
            pictures.get(row),
        )
        for row in rows
    )
    return Section("differ", TITLE, (SampleList(samples),), note)
