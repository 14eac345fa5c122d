"""One batch goes the whole way of a run, with untrained networks, before anything is trained."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from limbeck.data import Batches
from limbeck.deploy.measure import module_latency
from limbeck.deploy.onnx_file import export_onnx
from limbeck.deploy.student import Deployed, used
from limbeck.engine.check import build_parts
from limbeck.errors import UserError, reason
from limbeck.models import load_weights, save_weights
from limbeck.plan.copies import flags_kept
from limbeck.plan.kinds import Value
from limbeck.plan.taps import Tap
from limbeck.tasks.predictions import predict

if TYPE_CHECKING:
    from limbeck.runs.sources import Sources


def proved(sources: "Sources") -> list[str]:
    """Ask the teacher and what will be deployed for everything that a run needs of them after training.

    Networks of our own are known to work and are not asked. Returns a sentence for each thing that the run will go without.

    Raises:
        UserError: what no run can go without: an answer in evaluation, weights that can be kept.
    """
    key = _key(sources)
    if key not in sources.shared.proved:
        with flags_kept([sources.cast]), _with_parts(sources), torch.random.fork_rng(devices=[]):
            sources.shared.proved[key] = [*_still(sources), *_teacher(sources), *_student(sources)]
    return sources.shared.proved[key]


def _key(sources: "Sources") -> str:
    recipe = sources.recipe
    roles = [role.model_dump_json() for role in (recipe.teacher, recipe.student, *recipe.roles.values())]
    return str((roles, sorted(sources.learning()), str(sources.method.deployed), recipe.onnx, sources.data.name))


@contextmanager
def _with_parts(sources: "Sources") -> Iterator[None]:
    """The method's learned parts are in the cast inside."""
    cast, before = sources.cast, set(sources.cast)
    if sources.method.parts:
        build_parts(sources.method, cast, sources.streams()(("train",), 0))
    try:
        yield
    finally:
        for part in set(cast) - before:
            del cast[part]


def _still(sources: "Sources") -> list[str]:
    """What came frozen and stays so, of the roles that are trained."""
    notes = []
    for role in [name for name in sources.learning() if name in sources.cast]:
        frozen, whole = len(sources.cast.as_given[role].frozen), len(dict(sources.cast[role].named_parameters()))
        if frozen:
            notes.append(f"{role}: {frozen} of {whole} parameter tensors came frozen (requires_grad = False) and are not trained")
    return notes


def _teacher(sources: "Sources") -> list[str]:
    if not sources.judges("teacher") or sources.built_in("teacher"):
        return []
    return _answers(sources, "teacher", Deployed(sources.cast, Tap("teacher")))


def _student(sources: "Sources") -> list[str]:
    names = [name for name in used(sources.method.deployed) if name not in sources.method.parts]
    missing = any(name not in sources.cast for name in used(sources.method.deployed))  # a role that is made later
    if missing or all(map(sources.built_in, names)):
        return []
    deployed = Deployed(sources.cast, sources.method.deployed)
    notes = _answers(sources, "student", deployed)
    with tempfile.TemporaryDirectory() as folder:
        notes += _kept(sources, deployed, Path(folder) / "student.safetensors")
        if sources.recipe.onnx:
            inputs = next(_few(sources))["inputs"]
            notes += _tried("", lambda: export_onnx(deployed, inputs, Path(folder) / "student.onnx", metadata={}))
    return notes


def _few(sources: "Sources") -> Iterator[Mapping[str, Value]]:
    return Batches(sources.data["train"], sources.data, size=2, seed=0).ordered()


def _answers(sources: "Sources", who: str, entry: Deployed) -> list[str]:
    """An answer in evaluation, which must be one that the task can judge, and the time of a single one."""
    entry.eval()
    batch = next(_few(sources))
    try:
        predict(entry, [batch], sources.data.task)
    except UserError as error:
        raise UserError(f"{who}: {error}") from error
    except Exception as error:
        raise UserError(f"{who} fails in evaluation ({reason(error)}); correct its forward") from error
    one = first_of(batch["inputs"])

    if entry.fed != "inputs":  # answers are looked up
        return []

    def once() -> None:
        module_latency(entry, one, warm_up=0, repeats=1, seconds=0.0)

    return _tried(f"the latency of the {who} cannot be measured: one sample alone", once)


def first_of(inputs: Value) -> Value:
    """The first sample of a batch of inputs, as a batch of one.

    >>> first_of({"ids": torch.zeros(3, 5)})["ids"].shape
    torch.Size([1, 5])
    """
    if isinstance(inputs, Tensor):
        return inputs[:1]
    if isinstance(inputs, Mapping):
        return {key: first_of(value) for key, value in inputs.items()}
    return type(inputs)(map(first_of, inputs)) if isinstance(inputs, tuple | list) else inputs


def _kept(sources: "Sources", deployed: Deployed, file: Path) -> list[str]:
    """Weights as they will be saved, and put into networks that are made again by name."""
    try:
        save_weights(deployed.cast, file)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the student's weights cannot be saved ({reason(error)}); keep tensors only in its parameters, buffers and state"
        ) from error
    roles = [role for role in deployed.cast if role in sources.cast and role not in sources.method.parts]
    if any(role in sources.given.modules or sources.built_in(role) for role in roles):
        return []

    def again() -> None:
        for role in roles:
            load_weights(sources.role(role)[0], file, who=role)

    return _tried("the student cannot be loaded again by its name", again)


def _tried(what: str, do: Callable[[], object]) -> list[str]:
    """Nothing, or the sentence that says why this will be missing."""
    try:
        do()
    except UserError as error:
        return [f"{what}: {error}" if what else str(error)]
    except Exception as error:
        return [f"{what} fails ({reason(error)})"]
    return []
