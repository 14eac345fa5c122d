"""`inputs.json`: what a run was begun with, so that it is only continued with the same: data, weights, code."""

import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from typing_extensions import TypedDict

import limbeck
from limbeck.catalogue.describe import describe
from limbeck.errors import UserError
from limbeck.files import read_json, write_json
from limbeck.plan import Method
from limbeck.plan.taps import Source
from limbeck.runs.casting import learners
from limbeck.runs.folder import INPUTS as FILE
from limbeck.runs.sources import Sources
from limbeck.store.identity import code_of, identity, state_of, written

VERSION = 1


class OtherInputs(UserError):
    """What a run, or runs that are compared, were begun with is not there any more."""


class RoleInputs(TypedDict):
    """A role at the start: hashes of its weights ("" where the run makes or trains them) and of everything else it is."""

    weights: str
    code: str


class InputsFile(TypedDict):
    """What inputs.json holds: fingerprint of the data, versions, hashes of limbeck's files, of the method and of each role."""

    version: int
    data: str
    torch: str
    limbeck: str
    code: str
    method: str
    roles: dict[str, RoleInputs]


class SharedInputs(TypedDict):
    """What the runs of a comparison or search have in common: fingerprint of the data, hash of the teacher's weights, "" where it
    is not known yet."""

    version: int
    data: str
    teacher: str


def inputs_of(sources: Sources) -> InputsFile:
    """The same for sources that were just opened."""
    roles = {role: _role(sources, role) for role in sources.cast if role not in sources.method.parts}
    return {
        "version": VERSION,
        "data": sources.data.fingerprint,
        "torch": torch.__version__,
        "limbeck": limbeck.__version__,
        "code": _own_code(),
        "method": _method(sources.method),
        "roles": roles,
    }


def keep_inputs(folder: Path, sources: Sources, among: Path | None = None) -> None:
    """Write them where nothing is kept yet; else refuse to go on with others.

    among: the folder of a comparison or search, whose runs have data and teacher in common.

    Raises `OtherInputs` saying what differs.
    """
    found = inputs_of(sources)
    if among is not None:
        _keep_shared(among, found)
    if not (folder / FILE).exists():
        write_json(folder / FILE, found)
        return
    why = next(_differences(read_json(folder / FILE, InputsFile, VERSION), found), "")
    if why:
        raise OtherInputs(f"run folder {folder} was begun with other inputs: {why} changed; put that back, or begin a new folder")


def _keep_shared(among: Path, found: InputsFile) -> None:
    given = found["roles"]["teacher"]["weights"] if "teacher" in found["roles"] else ""
    now = SharedInputs(version=VERSION, data=found["data"], teacher=given)
    kept = read_json(among / FILE, SharedInputs, VERSION) if (among / FILE).exists() else now
    changed = "the data has" if kept["data"] != now["data"] else ""
    if kept["teacher"] and given and kept["teacher"] != given:
        changed = changed or "the weights of the teacher have"
    if changed:
        raise OtherInputs(f"{changed} changed since the first runs of {among}; put that back, or give another folder")
    if not (among / FILE).exists() or given and not kept["teacher"]:
        write_json(among / FILE, kept | {"teacher": given or kept["teacher"]})


def data_of_runs(folders: Iterable[Path]) -> set[str]:
    """The fingerprints of the data with which runs were begun, as far as they are kept."""
    kept = (read_json(folder / FILE, InputsFile, VERSION) for folder in folders if (folder / FILE).exists())
    return {found["data"] for found in kept}


def _differences(old: InputsFile, new: InputsFile) -> Iterator[str]:
    if old["data"] != new["data"]:
        yield "the data has"
    for name in sorted(set(old["roles"]) & set(new["roles"])):
        if old["roles"][name]["weights"] != new["roles"][name]["weights"]:
            yield f"the weights of the {name} have"
    for key in ("torch", "limbeck"):
        if old[key] != new[key]:  # type: ignore[literal-required]
            yield f"{key}, then {old[key]} and now {new[key]}, has"  # type: ignore[literal-required]
    for name in sorted(set(old["roles"]) | set(new["roles"])):
        if old["roles"].get(name) != new["roles"].get(name):
            yield f"the code or settings of the {name} have"
    if old["method"] != new["method"]:
        yield "the code of the method has"
    if old["code"] != new["code"]:
        yield "limbeck's own code has"


def _role(sources: Sources, role: str) -> RoleInputs:
    module = sources.cast[role]
    if role in sources.given.modules and role in learners(sources.method):  # a checkpoint has its weights and counters
        return {"weights": "", "code": written(module)}
    weights = state_of(module) if sources.has_weights(role) else ""
    return {"weights": weights, "code": identity(sources.cast, role, weights=False)}


def _method(method: Method) -> str:
    """A hash of a method's description and of the code of its functions."""
    total = hashlib.sha256(describe(method).encode())
    for _, _, term in method.terms():
        sources: list[Source] = [*term.sources]
        total.update("".join(map(code_of, sources)).encode())
    return total.hexdigest()


@functools.cache
def _own_code() -> str:
    """A hash of all of limbeck's modules."""
    total = hashlib.sha256()
    place = Path(limbeck.__file__).parent
    for path in sorted(place.rglob("*.py")):
        total.update(str(path.relative_to(place)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
