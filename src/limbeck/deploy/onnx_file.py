"""ONNX: out through torch.export, back in through ONNX Runtime, and the two compared."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict

from limbeck.deploy.measure import answering, open_session
from limbeck.deploy.tracing import Answers, cannot_export, device_of, rows_of, traced
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.files.still import still
from limbeck.plan.roles import Adapter
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.figure import finite
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.task import Task


class Compared(TypedDict):
    """An exported file beside the module it was made of; score is None without labels."""

    file: str
    bytes: int
    largest_difference: float
    same_predictions: float
    score: float | None


def export_onnx(
    module: nn.Module,
    example: Tensor,
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, object],
    adapter: Adapter | None = None,
) -> None:
    """Write a module as one ONNX file that takes `inputs` (any batch, ...) and returns `logits` (batch, C).

    Args:
        module: any module; exported in evaluation mode, left in its own.
        example: (batch, ...) inputs; only shape and type matter.
        path: appears when the file is whole.
        metadata: classes, preprocessing, how it was made: kept in the file, as text or else as JSON.
        adapter: how the module eats a batch and where its logits are; preprocessing becomes part of the file.

    Raises:
        UserError: an operation has no ONNX form, or the model's code cannot be traced.
    """
    if not isinstance(example, Tensor):
        raise UserError(f"cannot export to ONNX: the inputs are a {type(example).__name__} and an exported file takes one tensor")
    whole = Answers(module, adapter or Adapter())
    pair = rows_of(module, example)
    with answering(whole), still(), torch.no_grad():
        try:
            program = torch.onnx.export(
                traced(whole, pair), (pair,), dynamo=True, verbose=False, input_names=["inputs"], output_names=["logits"]
            )
            model = program.model_proto  # type: ignore[union-attr]
        except Exception as error:  # the exporter raises many kinds
            raise cannot_export(error) from error
    for key, value in metadata.items():
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        model.metadata_props.add(key=str(key), value=text)
    content = serialised(model)
    with atomic_write(path) as file:
        file.write(content)


def serialised(model: Any) -> bytes:
    """The bytes of an ONNX file, without where in whose files each node came from: nobody else's business."""
    for node in model.graph.node:
        del node.metadata_props[:]
    try:
        content: bytes = model.SerializeToString()
    except Exception as error:
        raise UserError("the model is over ONNX's limit of 2 GB in one file; export a smaller student") from error
    return content


def compare_onnx(
    module: nn.Module,
    path: str | os.PathLike[str],
    inputs: Tensor,
    labels: Tensor | None = None,
    *,
    adapter: Adapter | None = None,
    batch: int = 256,
    task: Task = CLASSIFY,
) -> Compared:
    """Reload an exported file in ONNX Runtime and compare its answers with the module's.

    Args:
        module: what was exported. path: the file. inputs: (n, ...), asked in batches, the first sample also alone.
        labels: (n, ...), for the file's score. adapter: as for `export_onnx`. task: what is answered.

    Returns:
        file (its name), bytes, largest_difference of any logit, same_predictions (share), score (the task's;
        None without labels).
    """
    if not len(inputs):
        raise UserError("nothing to compare the ONNX file on: expected at least one input, got none")
    session, whole = open_session(path), Answers(module, adapter or Adapter())
    name = session.get_inputs()[0].name
    device = device_of(module, inputs)
    largest, kept = 0.0, []
    goal = torch.zeros(len(inputs), dtype=torch.int64) if labels is None else labels.cpu()
    cuts = [(0, 1), *((start, start + batch) for start in range(0, len(inputs), batch))]
    for at, (start, stop) in enumerate(cuts):
        part = inputs[start:stop]
        with answering(whole), torch.no_grad():
            ours = whole(part.to(device)).float().cpu()
        theirs = torch.from_numpy(session.run(None, {name: part.detach().cpu().numpy()})[0]).float()
        largest = max(largest, _difference(ours, theirs))
        if at:
            kept.append([task.keep(said, goal[start:stop]) for said in (ours, theirs)])
    first, second = (
        Predictions(torch.cat(said), torch.cat(goals), torch.arange(len(inputs)))
        for said, goals in (zip(*side) for side in zip(*kept))
    )
    return {
        "file": Path(path).name,
        "bytes": Path(path).stat().st_size,
        "largest_difference": largest,
        "same_predictions": task.agreement(first, second),
        "score": None if labels is None else finite(task.score(second)),
    }


def _difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference; infinite where one has another shape or is not a number."""
    found = (ours - theirs).abs().max().item() if ours.shape == theirs.shape else float("inf")
    return found if found == found else float("inf")
