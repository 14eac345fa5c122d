"""A decision tree as a role: fitted by scikit-learn, kept as tensors, so that it is saved, exported and
measured like any network. It learns by `fit`, not by gradient."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.roles import Cast
from limbeck.taps import Scene


class Tree(nn.Module):
    """A binary tree of at most `depth` levels over flattened inputs (n, ...); returns log-probabilities (n, C).

    Until it is fitted every class is equally likely.
    """

    feature: Tensor
    threshold: Tensor
    branches: Tensor
    probability: Tensor

    def __init__(self, classes: int, shape: Sequence[int] = (), *, depth: int = 8, min_leaf: int = 1):
        super().__init__()
        if not 1 <= depth <= 20:
            raise UserError(f"a tree needs a depth of 1 to 20, not {depth}")
        nodes = 2 ** (depth + 1) - 1
        self.depth, self.min_leaf = depth, min_leaf
        self.register_buffer("feature", torch.zeros(nodes, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(nodes))
        self.register_buffer("branches", torch.zeros(nodes, 2, dtype=torch.int64))
        self.register_buffer("probability", torch.full((nodes, classes), 1.0 / classes))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(1)
        node = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        for _ in range(self.depth):
            seen = rows.gather(1, self.feature[node][:, None])[:, 0]
            right = (seen > self.threshold[node]).long()
            node = self.branches[node].gather(1, right[:, None])[:, 0]
        return self.probability[node].clamp_min(1e-7).log()

    def fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Fit to class probabilities (n, C): several outputs, splits by reduction of squared error."""
        from sklearn.tree import DecisionTreeRegressor

        model = DecisionTreeRegressor(max_depth=self.depth, min_samples_leaf=self.min_leaf, random_state=0)
        model.fit(inputs.flatten(1).cpu().numpy(), targets.double().cpu().numpy())
        tree = model.tree_
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        children = np.stack([np.where(leaf, own, tree.children_left), np.where(leaf, own, tree.children_right)], 1)
        count = tree.node_count
        self.branches[:count] = torch.from_numpy(children)
        self.feature[:count] = torch.from_numpy(np.where(leaf, 0, tree.feature))
        self.threshold[:count] = torch.from_numpy(tree.threshold).float()
        self.probability[:count] = torch.from_numpy(tree.value[:, :, 0]).float()


def whole_train(cast: Cast, draw: Callable[..., Mapping[str, Any]], generator: torch.Generator) -> Mapping[str, Any]:
    """All training samples, unaugmented, as one batch."""
    return draw(("train",), whole=True)


def fit_tree(
    cast: Cast,
    trains: tuple[str, ...],
    batch: Mapping[str, Any],
    scene: Scene,
    terms: Sequence[tuple[Any, float]],
    *,
    temperature: float = 1.0,
) -> None:
    """Fit the tree role to what its term compares it with: the teacher's probabilities, or the labels."""
    tree = cast.find(trains[0])
    if not isinstance(tree, Tree):
        raise UserError(f"role {trains[0]!r} is fitted as a decision tree, but is a {type(tree).__name__}; give model 'tree'")
    (term, _), *_ = terms
    if "labels" in term.inputs:
        classes = tree.probability.shape[1]
        targets = torch.nn.functional.one_hot(scene(term.inputs["labels"]), classes).float()
    else:
        targets = (scene(term.inputs["teacher"]) / temperature).softmax(-1)
    inputs = batch["inputs"]
    prepare = cast.adapter_of(trains[0]).prepare
    tree.fit(inputs if prepare is None else prepare(inputs), targets)
