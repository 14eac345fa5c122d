"""Models that are asked and never opened: an ONNX file, a scikit-learn estimator, any function from inputs to answers.

Letters: n samples, C classes.
"""

import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.errors import UserError, reason
from limbeck.transforms.outside import logits_of, named_alone

Ask = Callable[[np.ndarray], object]
Kind = Literal["auto", "logits", "probabilities"]


class Predicts(Protocol):
    """An estimator as scikit-learn has them; `predict_proba` is asked instead where there is one."""

    def predict(self, rows: np.ndarray, /) -> object: ...


class BlackBox(nn.Module):
    """A frozen role without parameters: inputs go out as arrays, answers come back as logits (n, C).

    Probabilities become their logarithms, which are logits up to a constant for each sample. Gradients end here; no layer can be
    tapped.

    Args:
        ask: from inputs (n, ...) as an array to answers (n, C).
        name: for messages.
        classes: C, or how many numbers a regression answers with.
        outputs: what the answers are; "auto": probabilities if all of the first batch lie in 0 .. 1 and add up to 1.
        content: what decides the answers, as a hash: part of the key of stored answers.
        chunk: samples that are asked about at once.
    """

    def __init__(self, ask: Ask, name: str, classes: int, *, outputs: Kind = "auto", content: str = "", chunk: int = 256):
        super().__init__()
        if outputs not in ("auto", "logits", "probabilities"):
            raise UserError(f"{name}: outputs = {outputs!r}; expected auto, logits or probabilities")
        self.ask, self.name, self.classes, self.outputs, self.content, self.chunk = ask, name, classes, outputs, content, chunk

    def __deepcopy__(self, memo: dict[int, object]) -> "BlackBox":
        return self  # it is never changed, and what it asks cannot be copied

    def extra_repr(self) -> str:
        return f"{self.name}, {self.outputs}"

    in_file = False  # whether its answers are there already
    fed, said = "inputs", ""  # what of a batch it is asked about; how it was understood, where a file was
    parameters_outside = bytes_outside = 0  # of what is asked, where that can be known

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs.detach().cpu().numpy()
        found = np.concatenate([self._answers(rows[at : at + self.chunk]) for at in range(0, len(rows), self.chunk)])
        like = bool((found >= 0).all() and (np.abs(found.sum(1) - 1) < 1e-3).all())
        if self.outputs == "auto":
            self.outputs = "probabilities" if like and self.classes > 1 else "logits"
        if self.outputs == "probabilities":
            if not like:
                raise UserError(
                    f"{self.name} answers with {found[0].round(3).tolist()[:5]}, which are no probabilities; set outputs"
                )
            found = logits_of(found)
        return torch.from_numpy(found).float().to(inputs.device)

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        try:
            found = np.asarray(self.ask(rows), np.float64)
        except UserError:
            raise
        except Exception as error:  # code of somebody else
            raise UserError(f"{self.name} cannot take inputs of shape {rows.shape[1:]}: {reason(error)}") from error
        found = found[:, None] if found.ndim == 1 and self.classes == 1 else found
        if found.shape != (len(rows), self.classes):
            raise UserError(f"{self.name} must answer {len(rows)} samples with ({len(rows)}, {self.classes}), got {found.shape}")
        if not np.isfinite(found).all():
            raise UserError(f"{self.name} answers with NaN or infinity; correct it, or leave those samples out")
        return found


def told(role: str, module: nn.Module) -> list[str]:
    """A sentence on how a black box answers, once it was asked."""
    if not isinstance(module, BlackBox):
        return []
    if module.fed != "inputs":
        return [f"{module.said}; it is not asked about other views of a sample"]
    how = "probabilities, whose logarithms serve as logits" if module.outputs == "probabilities" else "logits"
    return [f"{role}: {module.name} is asked as a black box and answers with {how}; its layers cannot be read"]


# ------------------------------------------------------------------------------------------- ONNX files


def onnx_file(path: str, classes: int, shape: Sequence[int], outputs: Kind = "auto") -> BlackBox:
    """An ONNX file run by ONNX Runtime on the CPU.

    Args:
        path: of a file with one input (n, *shape), n free or fixed, and an output (n, C).
        classes, shape: C, and of one input without the batch. outputs: see `BlackBox`.

    Raises:
        UserError: the file cannot be opened, or its input and output do not fit.
    """
    import onnxruntime

    file = Path(path).expanduser()
    if not file.is_file():
        raise UserError(f"the model file {path} does not exist; give the path of an ONNX file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 4
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own kinds, by their messages
        raise UserError(f"{file.name} is not an ONNX file that ONNX Runtime can open ({reason(error)})") from error
    given = session.get_inputs()
    if len(given) != 1:
        raise UserError(f"{file.name} takes {len(given)} inputs ({', '.join(i.name for i in given)}); expected one")
    takes = tuple(given[0].shape[1:])
    if len(takes) != len(shape) or any(isinstance(a, int) and a != b for a, b in zip(takes, shape, strict=True)):
        raise UserError(
            f"{file.name} takes inputs of shape {takes}, but the data has {tuple(shape)}; give data as it was trained on"
        )
    answer, kind = _output(session, file.name, classes), _NUMBERS.get(given[0].type)
    if kind is None:
        raise UserError(f"{file.name} takes {given[0].type}; expected numbers")
    batch = given[0].shape[0] if isinstance(given[0].shape[0], int) else None

    def ask(rows: np.ndarray) -> object:
        at_once = rows.astype(kind)
        if batch is None:
            return _table(session.run([answer], {given[0].name: at_once})[0])
        wide = np.concatenate([at_once, np.repeat(at_once[-1:], -len(rows) % batch, 0)])
        parts = [_table(session.run([answer], {given[0].name: wide[k : k + batch]})[0]) for k in range(0, len(wide), batch)]
        return np.concatenate(parts)[: len(rows)]

    made = BlackBox(ask, file.name, classes, outputs=outputs, content=hashlib.sha256(file.read_bytes()).hexdigest())
    made.parameters_outside, made.bytes_outside = _weights(file), file.stat().st_size
    return made


def _weights(file: Path) -> int:
    """How many numbers an ONNX file holds as floating-point weights."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    kinds = (
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.DOUBLE,
        onnx.TensorProto.INT8,
        onnx.TensorProto.UINT8,
    )
    return sum(int(np.prod(tensor.dims)) for tensor in graph.initializer if tensor.data_type in kinds)


_NUMBERS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
            "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}  # fmt: skip


def _output(session: "object", who: str, classes: int) -> str:
    """The output that holds C numbers for each sample: the only one, or that of probabilities beside one of labels."""
    found = session.get_outputs()  # type: ignore[attr-defined]
    fits = [one for one in found if one.type.startswith("seq(map") or (len(one.shape) == 2 and one.shape[1] in (classes, None))]
    fits = fits or [one for one in found if len(one.shape) == 2 and isinstance(one.shape[1], str)]
    if not fits and classes == 1:
        fits = [one for one in found if len(one.shape) == 1]
    if len(fits) != 1:
        shown = ", ".join(f"{one.name} {one.shape}" for one in found)
        raise UserError(f"{who} has the outputs {shown}; expected one with {classes} numbers for each sample")
    return str(fits[0].name)


def _table(answers: object) -> np.ndarray:
    """Answers as an array; of a list of mappings from class to probability, as converters of trees write, in class order."""
    if isinstance(answers, list) and answers and isinstance(answers[0], Mapping):
        order = sorted(answers[0])
        return np.array([[row[key] for key in order] for row in answers])
    return np.asarray(answers)


# ------------------------------------------------------------------------------------------- Python


def asked(model: object, names: Sequence[str], task: str) -> BlackBox:
    """A scikit-learn estimator, or any callable, as a role.

    An estimator is asked for `predict_proba`, or for `predict` where it has no such; inputs are flattened to (n, features). Its
    `classes_` are matched with the data's by name, or are 0 .. C - 1.

    Args:
        model: the estimator or callable. names: the data's classes, in order. task: the data's task.

    Raises:
        UserError: it is neither, or knows other classes than the data.
    """
    who, many = type(model).__name__, len(names)
    if not any(hasattr(model, name) for name in ("predict_proba", "predict")):
        if not callable(model):
            raise UserError(
                f"a teacher is a {who}; expected a network, a function, or an estimator with predict_proba or predict"
            )
        return BlackBox(model, getattr(model, "__name__", who), many)
    ask = _numbers(model) if task == "numbers" else _classes(model, names)
    return BlackBox(ask, who, many, outputs="logits" if task == "numbers" else "auto", content=_content(model), chunk=4096)


def _numbers(model: object) -> Ask:
    return lambda rows: np.asarray(model.predict(rows.reshape(len(rows), -1)))  # type: ignore[attr-defined]


def _classes(model: object, names: Sequence[str]) -> Ask:
    known = [str(one) for one in getattr(model, "classes_", range(len(names)))]
    numbers = [str(k) for k in range(len(names))]
    order = names if set(known) <= set(names) else numbers
    if not set(known) <= set(order):
        shown = ", ".join(sorted(set(known) - set(names))[:4])
        raise UserError(f"the teacher {type(model).__name__} was fitted to classes that the data lacks: {shown}; name them alike")
    columns = [list(order).index(one) for one in known]

    def ask(rows: np.ndarray) -> np.ndarray:
        flat = rows.reshape(len(rows), -1)
        found = np.zeros((len(rows), len(names)))
        if hasattr(model, "predict_proba"):
            found[:, columns] = model.predict_proba(flat)
            return found
        named = [list(order).index(str(one)) for one in model.predict(flat)]  # type: ignore[attr-defined]
        return named_alone(named, len(names))

    return ask


def _content(model: object) -> str:
    try:
        return hashlib.sha256(pickle.dumps(model)).hexdigest()
    except Exception:  # it need not be picklable; what is stored is asked again anyway
        return ""
