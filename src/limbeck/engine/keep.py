"""What a checkpoint of a running plan holds, and how the plan is continued from one, to the same bits."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor

from limbeck.engine import checkpoint
from limbeck.engine.state import EpochRecord, RunState
from limbeck.engine.step import Learner, NonFinite
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.plan import Method
from limbeck.plan.kinds import Value
from limbeck.plan.roles import Cast, role_of


def newest(folder: Path | None) -> str:
    """Half a sentence that names the last good checkpoint, or nothing."""
    kept = checkpoint.existing(folder)[:1] if folder is not None else []
    return f"; the last good checkpoint is {kept[0]}" if kept else ""


def changing(method: Method) -> set[str]:
    """Roles that the plan changes; the others are the caller's and stay as they came."""
    roles = set(method.parts)
    for stage in method.stages:
        roles |= {role_of(path) for path in stage.trains}
        roles |= {action.role for action in (*stage.before, *stage.after_step) if hasattr(action, "role")}
    return roles


def weights_of(cast: Cast, method: Method) -> dict[str, Tensor]:
    """The state of all roles that the plan changes."""
    roles = changing(method)
    return {key: value for key, value in cast.state_dict().items() if role_of(key) in roles}


def need_finite(weights: Mapping[str, Tensor], state: RunState, folder: Path | None) -> None:
    """Refuse weights that are no longer finite: the last good checkpoint stays the newest."""
    for key, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            wrong = f"after step {state.done} the weight {key!r} is not finite; lower the learning rate"
            raise NonFinite(wrong + newest(folder))


def save(folder: Path, weights: Mapping[str, Tensor], state: RunState, learners: Sequence[Learner]) -> None:
    """Write one checkpoint: weights, optimisers and schedules of the running stage, counters, random states."""
    tensors = {f"cast/{key}": value for key, value in weights.items()}
    meta: dict[str, Value] = {"state": vars(state), "optimizers": {}, "schedules": {}}
    for index, learner in enumerate(learners if state.step else ()):
        if learner.optimizer is not None:
            packed, numbers = checkpoint.pack_optimizer(learner.optimizer, f"optimizer/{index}")
            tensors |= packed
            meta["optimizers"][str(index)] = numbers
            meta["schedules"][str(index)] = _plain(learner.schedule.state_dict()) if learner.schedule else None
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors |= {f"random/cuda{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    checkpoint.save(folder, state.done, tensors, meta)


def best_of(history: Sequence[EpochRecord], stage: str) -> EpochRecord | None:
    """The epoch of a stage with the highest score on validation, the first of equals; None where none has a score."""
    known = [record for record in history if record["stage"] == stage and "score" in record.get("validation", {})]
    return max(known, key=lambda record: record["validation"]["score"], default=None)


@dataclass
class Best:
    """The weights of the best epoch so far: beside the checkpoints, where they outlast a stop, or in memory without a folder.

    The last two are kept, for a run that was stopped may go on from a checkpoint before the newest.
    """

    folder: Path | None
    kept: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def put(self, step: int, weights: Mapping[str, Tensor]) -> None:
        whole = {key: value.detach().cpu().clone() for key, value in weights.items()}
        if self.folder is None:
            self.kept = {step: whole}
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._file(step)) as file:
            file.write(serialise(whole))
        for old in sorted(self.folder.glob("best-*.safetensors"))[:-2]:
            old.unlink(missing_ok=True)

    def back(self, cast: Cast, step: int) -> None:
        """Put back the weights of a step. Raises `UserError` if they are gone."""
        if self.folder is not None and not self._file(step).exists():
            raise UserError(f"{self._file(step)} is gone, which held the best weights; begin the run again in a new folder")
        cast.load_state_dict(self.kept[step] if self.folder is None else load_file(self._file(step)), strict=False)

    def _file(self, step: int) -> Path:
        assert self.folder is not None
        return self.folder / f"best-{step:09d}.safetensors"


def load_weights(cast: Cast, method: Method, tensors: Mapping[str, Tensor], folder: Path | None) -> None:
    """Put a checkpoint's weights and random states back; the cast must have the same roles by now."""
    wanted = set(weights_of(cast, method))
    saved = {key[5:]: value for key, value in tensors.items() if key.startswith("cast/")}
    if wanted != set(saved):
        odd = ", ".join(sorted(wanted ^ set(saved))[:3])
        raise UserError(f"checkpoint in {folder} belongs to another plan (differs at {odd}); use a new folder")
    cast.load_state_dict(saved, strict=False)
    torch.set_rng_state(tensors["random/cpu"])
    cuda = [tensors[key] for key in sorted(tensors) if key.startswith("random/cuda")]
    if cuda and torch.cuda.device_count() == len(cuda):
        torch.cuda.set_rng_state_all(cuda)


def load_learners(learners: Sequence[Learner], tensors: Mapping[str, Tensor], meta: Mapping[str, Value]) -> None:
    """Put the optimisers and schedules of the running stage back."""
    for index, learner in enumerate(learners):
        if learner.optimizer is not None:
            checkpoint.unpack_optimizer(learner.optimizer, f"optimizer/{index}", tensors, meta["optimizers"][str(index)])
        if learner.schedule is not None:
            learner.schedule.load_state_dict(meta["schedules"][str(index)])


def _plain(state: Mapping[str, Value]) -> dict[str, Value]:
    """A scheduler's state without what cannot be JSON (it is rebuilt by construction)."""
    kept = {}
    for key, value in state.items():
        try:
            if json.loads(json.dumps(value)) == value:
                kept[key] = value
        except (TypeError, ValueError):
            continue
    return kept
