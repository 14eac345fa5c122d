"""A decision tree as plain JSON: a table of nodes that any language walks in ten lines."""

import json
import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.files import atomic_write
from limbeck.models.tree import Tree
from limbeck.plan.roles import Adapter, Normalise


def write_rules(module: nn.Module, path: str | os.PathLike[str], *, metadata: Mapping[str, Any]) -> None:
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
