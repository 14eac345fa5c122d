"""A decision tree as a role: fitted by scikit-learn, kept as tensors, so that it is saved, exported and
measured like any network. It learns by `fit`, not by gradient."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.models.fitted import Fitted


class Tree(Fitted):
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
        self.classes, self.depth, self.min_leaf = classes, depth, min_leaf
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
