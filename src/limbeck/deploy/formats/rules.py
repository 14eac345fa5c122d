"""A decision tree as plain JSON: a table of nodes that any language walks in ten lines."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from limbeck.deploy.formats.format import Format, Opened
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.models.tree import Tree
from limbeck.plan.roles import Adapter, Normalise


class Rules(Format):
    """A table of nodes as JSON, for students that are one decision tree."""

    name = "rules"
    endings = (".rules.json",)
    runtime = "numpy"
    searched = False

    def write(
        self, module: nn.Module, example: Tensor, path: Path, *, metadata: Mapping[str, object], calibration: Tensor | None
    ) -> int | None:
        write_rules(module, path, metadata=metadata)
        return None

    @staticmethod
    def opened(path: str, threads: int, memory: Callable[[], int]) -> Opened:
        import json

        import numpy as np

        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            rules = json.load(file)
        before = memory()
        feature, threshold = np.array(rules["feature"]), np.array(rules["threshold"], np.float32)
        mean, std = (np.array(rules[name], np.float32) for name in ("mean", "std"))
        branches, answers = np.array(rules["branches"]), np.array(rules["log_probability"], np.float32)

        def answer(x: Any) -> Any:
            rows, node = (x.reshape(len(x), len(mean), -1) - mean[:, None]) / std[:, None], np.zeros(len(x), np.int64)
            rows = rows.reshape(len(x), -1)
            every = np.arange(len(x))
            for _ in range(rules["depth"]):
                node = branches[node, (rows[every, feature[node]] > threshold[node]).astype(np.int64)]
            return answers[node]

        return answer, "numpy " + np.__version__, before

    def example(self, path: Path) -> np.ndarray:
        return np.zeros((1, *json.loads(path.read_text(encoding="utf-8"))["limbeck"]["shape"]), np.float32)


def write_rules(module: nn.Module, path: str | os.PathLike[str], *, metadata: Mapping[str, object]) -> None:
    """Write a tree student as JSON. The inputs of a sample are flattened, in `len(mean)` channels of equal length, and
    in float32 each channel's mean is subtracted and its std divided by; then node k asks whether input `feature[k]` is
    above `threshold[k]` and goes to `branches[k][answer]`, from node 0 on, `depth` times: `log_probability[node]` is the
    answer. Nodes that the tree does not have are left out.

    Raises `UserError` if the student is no tree.
    """
    tree, prepare = _tree(module)
    count = int(tree.branches.max()) + 1
    answers = tree.probability.clamp_min(1e-7).log().tolist()[:count]
    rules = {
        "depth": tree.depth,
        "mean": list(prepare.mean_values) if prepare else [0.0],
        "std": list(prepare.std_values) if prepare else [1.0],
        "feature": tree.feature.tolist()[:count],
        "threshold": tree.threshold.tolist()[:count],
        "branches": tree.branches.tolist()[:count],
        "log_probability": [[round(v, 6) for v in row] for row in answers],
        "limbeck": dict(metadata),
    }
    with atomic_write(path, text=True) as file:
        json.dump(rules, file, default=str)


def _tree(module: nn.Module) -> tuple[Tree, Normalise | None]:
    found = [part for part in module.modules() if isinstance(part, Tree)]
    roles = list(module.cast) if isinstance(module, Deployed) else []
    if len(found) != 1 or (roles and (len(roles) != 1 or module.cast[roles[0]] is not found[0])):  # type: ignore[index, operator]
        raise UserError("the format rules is for a student that is one decision tree; use onnx, torch or executorch")
    adapter = module.cast.adapter_of(roles[0]) if roles else Adapter()  # type: ignore[operator, union-attr]
    prepare = adapter.prepare
    if prepare is not None and not isinstance(prepare, Normalise):
        raise UserError("the tree's preprocessing is more than a normalisation and has no form as rules; use onnx")
    return found[0], prepare
