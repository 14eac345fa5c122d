"""A student as transformers saves models: a folder that `from_pretrained` loads without us, checked by loading it.

Beside configuration, weights and tokenizer it holds `onnx/model.onnx`, which takes ids and mask. Letters: n samples, L places.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.data import Data
from limbeck.data.tokens import TokenInputs, Tokenizer, library
from limbeck.deploy.measure import open_session
from limbeck.deploy.onnx_file import serialised
from limbeck.deploy.student import Deployed
from limbeck.deploy.tracing import cannot_export
from limbeck.errors import UserError
from limbeck.files import aside, write_json
from limbeck.files.saved import PROCESSOR, from_pretrained
from limbeck.files.still import still
from limbeck.models.pretrained import HEADS, head_for, labels_to_keep, places
from limbeck.plan.roles import Normalise

FOLDER, ONNX = "student", "onnx/model.onnx"


def save_folder(run: Path, student: Deployed, role: str, data: Data, few: Tensor, *, onnx: bool) -> list[str]:
    """Write `RUN/student/` and load it again with transformers alone; it appears whole or not at all.

    Args:
        run: the run's folder. student: what is deployed, of which `role` is the model. data: its classes and tokenizer.
        few: (n, L) inputs to compare on. onnx: also write `onnx/model.onnx`.

    Returns:
        What was written and how near it is, a sentence each.

    Raises:
        UserError: it cannot be saved, or what was saved answers otherwise.
    """
    module: Any = student.cast[role]
    target, hidden = run / FOLDER, aside(run / FOLDER)
    head = head_for(data.kind, data.task.name)
    if data.classes:
        names = labels_to_keep(module.config.id2label, data.classes)
        module.config.id2label, module.config.label2id = names, {name: k for k, name in names.items()}
    try:
        with still():
            module.save_pretrained(hidden)
            if data.tokens is not None:
                Tokenizer(data.tokens.source).tokenizer.save_pretrained(hidden)
            if data.kind == "image":
                write_json(hidden / PROCESSOR, processor(student.cast.adapter_of(role).prepare, data.shape))
        notes = [f"{FOLDER}/ is the student for transformers' from_pretrained{_compared(hidden, student, role, few, head)}"]
        if onnx and data.tokens is not None:
            notes.append(_exported(hidden, student, role, few))
        shutil.rmtree(target, ignore_errors=True)
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return notes


def save_tokenizer(run: Path, data: Data) -> None:
    """Write `RUN/student/` with the tokenizer of texts alone, for a student that is no model of transformers."""
    assert data.tokens is not None
    target, hidden = run / FOLDER, aside(run / FOLDER)
    try:
        Tokenizer(data.tokens.source).tokenizer.save_pretrained(hidden)
        shutil.rmtree(target, ignore_errors=True)
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def processor(prepare: object, shape: tuple[int, ...]) -> dict[str, object]:
    """What transformers is to do to a picture: scale it, divide by 255, and normalise as the student does."""
    found: dict[str, object] = {"image_processor_type": "ViTImageProcessor", "do_rescale": True, "rescale_factor": 1 / 255}
    found |= {"do_resize": True, "size": {"height": shape[1], "width": shape[2]}, "do_normalize": False}
    if isinstance(prepare, Normalise):
        found |= {"do_normalize": True, "image_mean": list(prepare.mean_values), "image_std": list(prepare.std_values)}
    return found


def _compared(folder: Path, student: Deployed, role: str, few: Tensor, head: str) -> str:
    """Whether a model that transformers loads from the folder answers as the student does."""
    own: Any = student.cast[role]
    loaded = from_pretrained(getattr(library(), HEADS[head]), str(folder)).eval()
    adapter = student.cast.adapter_of(role)
    with torch.no_grad():
        ours, theirs = (adapter.feed(net, few).logits for net in (own, loaded))
    apart = float((ours - theirs).abs().max())
    if not apart <= 1e-5 * max(1.0, float(ours.abs().max())):
        raise UserError(f"what transformers loads from it differs by {apart:.2g} in a logit")
    return f": loaded again, logits {'equal' if apart == 0 else f'within {apart:.1g}'} on {len(few)} samples"


class _ByName(nn.Module):
    """A model whose inputs are ids, mask and, where it takes them, types: (n, L) int64 each."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *given: Tensor) -> Tensor:
        found: Tensor = self.model(**dict(zip(self.names, given, strict=True))).logits
        return found


def _exported(folder: Path, student: Deployed, role: str, few: Tensor) -> str:
    """Write the ONNX file with free batch and length, and compare; a sentence where it cannot be had."""
    prepare = student.cast.adapter_of(role).prepare
    assert isinstance(prepare, TokenInputs)
    every = prepare(few)
    assert isinstance(every, dict)
    given = {name: value for name, value in every.items() if isinstance(value, Tensor)}
    model = _ByName(student.cast[role], tuple(given)).eval()
    file = folder / ONNX
    file.parent.mkdir()
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", min=2, max=places(student.cast[role]))}
    pair = tuple(value[:2] for value in given.values())
    with still(), torch.no_grad():
        try:
            program = torch.export.export(model, pair, dynamic_shapes={"given": tuple(free for _ in pair)}, strict=False)
            exported = torch.onnx.export(
                program, pair, dynamo=True, verbose=False, input_names=list(given), output_names=["logits"]
            )
            file.write_bytes(serialised(exported.model_proto))  # type: ignore[union-attr]
        except Exception as error:  # the exporters raise many kinds
            shutil.rmtree(file.parent, ignore_errors=True)
            return f"{FOLDER}/ has no {ONNX}: {cannot_export(error)}"
    session, largest = open_session(file), 0.0
    for rows, width in ((1, few.shape[1]), (len(few), few.shape[1]), (min(3, len(few)), max(2, few.shape[1] // 2))):
        part = {name: value[:rows, :width] for name, value in given.items()}
        with torch.no_grad():
            ours = model(*part.values())
        theirs = torch.from_numpy(session.run(None, {name: value.numpy() for name, value in part.items()})[0])
        largest = max(largest, float((ours - theirs).abs().max()))
    return f"{FOLDER}/{ONNX} takes {' and '.join(given)} of any batch and length; largest difference of a logit {largest:.1g}"
