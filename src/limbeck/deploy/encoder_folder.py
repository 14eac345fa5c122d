"""A student that is an encoder of transformers, as a folder: `from_pretrained` and sentence-transformers load it without us.

Letters: n samples, L places, d features.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from limbeck.data import Data
from limbeck.data.tokens import Tokenizer, library
from limbeck.deploy.student import Deployed
from limbeck.deploy.student_folder import FOLDER, processor
from limbeck.errors import UserError
from limbeck.files import aside, write_json
from limbeck.files.saved import PROCESSOR, from_pretrained
from limbeck.files.still import still
from limbeck.models.encoders import Pooled

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def save_encoder(run: Path, student: Deployed, role: str, data: Data, few: Tensor) -> list[str]:
    """Write `RUN/student/` and load it again with transformers alone; it appears whole or not at all.

    Args:
        run: the run's folder. student: what is deployed, of which `role` is the model. data: its tokenizer.
        few: (n, L) or (n, c, h, w) inputs to compare on.

    Returns:
        What was written and how near it is, a sentence each.

    Raises:
        UserError: it cannot be saved, or what was saved answers otherwise.
    """
    module, target, hidden = student.cast[role], run / FOLDER, aside(run / FOLDER)
    assert isinstance(module, Pooled)
    try:
        with still():
            module.model.save_pretrained(hidden)  # type: ignore[operator]
            if data.tokens is not None:
                tokenizer = Tokenizer(data.tokens.source).tokenizer
                tokenizer.model_max_length = data.tokens.facts["longest"]
                tokenizer.save_pretrained(hidden)
                _pooling(hidden, module)
            if data.kind == "image":
                write_json(hidden / PROCESSOR, processor(student.cast.adapter_of(role).prepare, data.shape))
        apart = _apart(hidden, student, role, few)
        shutil.rmtree(target, ignore_errors=True)
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    how = "the first token" if module.first else "the mean over the mask" if data.kind == "text" else "the mean over places"
    same = "equal" if apart == 0 else f"within {apart:.1g}"
    return [
        f"{FOLDER}/ is the encoder for transformers' AutoModel and for sentence-transformers, its embedding {how}: loaded again, "
        f"{same} on {len(few)} samples"
    ]


def _pooling(folder: Path, module: Pooled) -> None:
    """What sentence-transformers needs to know beside the model: how its tokens are pooled."""
    write_json(folder / "modules.json", MODULES)
    (folder / "1_Pooling").mkdir()
    about = {
        "word_embedding_dimension": module.config.hidden_size,
        "pooling_mode_cls_token": module.first,
        "pooling_mode_mean_tokens": not module.first,
    }
    write_json(folder / "1_Pooling" / "config.json", about)


def _apart(folder: Path, student: Deployed, role: str, few: Tensor) -> float:
    """The largest difference between the student's embeddings and those of what transformers loads from the folder.

    Raises `UserError` where it is more than rounding.
    """
    own: Any = student.cast[role]
    loaded = Pooled(from_pretrained(library().AutoModel, str(folder)).eval(), first=own.first, image=own.image)
    adapter = student.cast.adapter_of(role)
    with torch.no_grad():
        ours, theirs = (adapter.feed(net, few) for net in (own, loaded))
    apart = float((ours - theirs).abs().max())
    if not apart <= 1e-5 * max(1.0, float(ours.abs().max())):
        raise UserError(f"what transformers loads from it differs by {apart:.2g} in an embedding")
    return apart
