"""A quantised student in as many bits as it needs: codes without gaps, scales and levels, nothing else in the file.

What lies where follows from the model, which `student.json` can rebuild: the file is the tensors of `quantise.stored`, in
order of their names, one after another.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from limbeck.connectors.quantise import quantisers, stored
from limbeck.deploy.student import Deployed, filled, named, rebuild
from limbeck.deploy.student_file import FILE, PackedFile, StudentFile, read_student_file
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.models.trust import need_trust
from limbeck.plan.kinds import Value

NAME = "student.packed"


def save_packed(folder: Path, deployed: Deployed) -> PackedFile | None:
    """Write `student.packed` and return what `student.json` keeps of it; None if nothing in the student is quantised."""
    if not any(True for _ in quantisers(deployed.cast)):
        return None
    kept = stored(deployed.cast)
    data = b"".join(_bytes(kept[name]) for name in sorted(kept))
    with atomic_write(folder / NAME) as file:
        file.write(data)
    return {"file": NAME, "bytes": len(data), "blake2b": hashlib.blake2b(data, digest_size=16).hexdigest()}


def load_packed(folder: Path, trust: bool = False) -> Deployed:
    """The student out of its packed file, as a plain module: its weights are those that the quantised one answers with.

    trust: let models that the folder names run their code.

    Raises `UserError` if the run has no such file, or it is damaged.
    """
    info = read_student_file(folder)
    need_trust(named(info), folder / FILE, trust)
    return _opened(folder, info)


def _opened(folder: Path, info: StudentFile) -> Deployed:
    facts = info.get("packed")
    if facts is None:
        raise UserError(f"there is no packed student in {folder}: its method does not quantise")
    try:
        data = (folder / facts["file"]).read_bytes()
    except OSError:
        raise UserError(f"there is no packed student in {folder}: {facts['file']} is missing") from None
    if hashlib.blake2b(data, digest_size=16).hexdigest() != facts["blake2b"]:
        raise UserError(f"{folder / facts['file']} is damaged: its checksum is not the one in student.json")
    deployed = rebuild(info, folder)
    _unpack(deployed.cast, _split(data, stored(deployed.cast)))
    return deployed.eval()


def same_predictions(folder: Path, inputs: Value) -> bool:
    """Whether the packed file of a run that was just made answers as `student.safetensors` does, to the bit."""
    info = read_student_file(folder)
    with torch.no_grad():
        return torch.equal(_opened(folder, info)(inputs), filled(info, folder)(inputs))


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _split(data: bytes, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found, start = {}, 0
    for name in sorted(like):
        size = like[name].numel() * like[name].element_size()
        piece = torch.frombuffer(bytearray(data[start : start + size]), dtype=torch.uint8)
        found[name] = piece.view(like[name].dtype).reshape(like[name].shape)
        start += size
    if start != len(data):
        raise UserError(f"a packed student of {len(data)} bytes does not fit its model, which takes {start}; was it edited?")
    return found


def _unpack(cast: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give every layer the weight that its codes stand for, and take its quantiser away."""
    weights = {}
    for name, quantiser, weight in quantisers(cast):
        head = f"{name}.weight."
        pieces = {key[len(head) :]: value for key, value in tensors.items() if key.startswith(head)}
        weights[name] = quantiser.restored(pieces, weight.shape)
    for name, weight in weights.items():
        module = cast.get_submodule(name)
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
        del module.weight  # a buffer where only levels were learned
        module.weight = nn.Parameter(weight)
    rest = {key: value for key, value in tensors.items() if not any(key.startswith(f"{name}.weight.") for name in weights)}
    cast.load_state_dict(rest, strict=False)
