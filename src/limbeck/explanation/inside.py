"""What the layers hold: how alike they are to the teacher's, and how much of the input can be read back from them.

Everything is computed from Gram matrices K = X Xᵀ of a layer's features X, so that wide layers cost nothing more.
Letters: n samples, d features, p and q layers.
"""
# ruff: noqa: F722, F821

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.data import Batches
from limbeck.deploy.student import Deployed, used
from limbeck.explanation.schema import Inside, LayerKeeps, Similarity
from limbeck.explanation.subject import Subject
from limbeck.plan.kinds import Value
from limbeck.tasks.figure import finite
from limbeck.transforms.draws import order

SAMPLES, FEW, MANY = 480, 4, 14  # samples asked; layers at least (else one level deeper) and at most
STRENGTHS = tuple(10.0**power for power in range(-6, 3))  # of the ridge, for features of mean square 1


def places(module: nn.Module) -> dict[str, nn.Module]:
    """A network's layers by name: its children; where they are few, the children of those that have some."""
    level = dict(module.named_children())
    while 0 < len(level) < FEW and any(any(True for _ in part.children()) for part in level.values()):
        deeper: dict[str, nn.Module] = {}
        for name, part in level.items():
            inner = {f"{name}.{key}": child for key, child in part.named_children()}
            deeper |= inner or {name: part}
        level = deeper
    names = list(level)
    if len(names) > MANY:
        names = [names[round(k * (len(names) - 1) / (MANY - 1))] for k in range(MANY)]
    return {name: level[name] for name in names}


@torch.no_grad()
def layer_grams(module: nn.Module, forward: Callable[[], object], count: int) -> dict[str, Float[Tensor, "n n"]]:
    """The Gram matrix, columns centred, of every layer that ran once and gave one row for each sample, in order of running."""
    found: dict[str, Tensor] = {}
    calls: dict[str, int] = {}

    def listen(name: str) -> Callable[..., None]:
        def record(_module: nn.Module, _inputs: object, output: object) -> None:
            calls[name] = calls.get(name, 0) + 1
            value = _first_tensor(output)
            if value is not None and value.dim() > 1 and len(value) == count and value.is_floating_point():
                found[name] = gram(value)

        return record

    hooks = [part.register_forward_hook(listen(name)) for name, part in places(module).items()]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: value for name, value in found.items() if calls[name] == 1}


def _first_tensor(value: object) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((t for t in map(_first_tensor, inner) if t is not None), None)


def gram(features: Float[Tensor, "n *d"]) -> Float[Tensor, "n n"]:
    """Inner products of the samples' features, each feature centred; in double precision."""
    flat = features.detach().cpu().flatten(1).double()
    centred = flat - flat.mean(0)
    return centred @ centred.T


def cka(first: Float[Tensor, "n n"], second: Float[Tensor, "n n"]) -> float:
    """Linear CKA of two centred Gram matrices: <K, L> / (|K| |L|), from 0 to 1; nan for a layer that says nothing.

    |YᵀX|² / (|XᵀX| |YᵀY|) of features X and Y, unchanged by rotation and scale. Kornblith et al. 2019, arXiv 1905.00414.

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    >>> round(cka(gram(x), gram(3 * x)), 6)
    1.0
    """
    norm = float(first.norm() * second.norm())
    return float((first * second).sum()) / norm if norm > 0 else float("nan")


def similarity(learner: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Similarity:
    """CKA of every layer with every layer of the teacher's, and what it is if the samples are mixed up (its floor)."""
    table = [[cka(k, other) for other in teacher.values()] for k in learner.values()]
    count = len(next(iter(teacher.values())))
    mixed = order(0, count, "cka floor")
    floor = [cka(k, other[mixed][:, mixed]) for k in learner.values() for other in teacher.values()]
    known = [v for v in floor if v == v]
    return {
        "rows": list(learner),
        "columns": list(teacher),
        "cka": [[None if v != v else round(v, 4) for v in row] for row in table],
        "floor": max(known) if known else None,
    }


def read_back(kernel: Float[Tensor, "n n"], target: Float[Tensor, "n k"]) -> Float[Tensor, "m k"]:
    """Held-out predictions of `target` by ridge regression on a layer: fitted on 60 %, its strength chosen on 20 %.

    Returns those of the last fifth of the samples.
    """
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.preprocessing import KernelCenterer

    count = len(kernel)
    fit, choose = round(0.6 * count), round(0.8 * count)
    scaled = (kernel / (kernel.diag().mean().clamp_min(1e-30))).numpy()
    centre = KernelCenterer().fit(scaled[:fit, :fit])
    inside, outside = centre.transform(scaled[:fit, :fit].copy()), centre.transform(scaled[fit:, :fit].copy())
    goal = target.double().numpy()
    mean = goal[:fit].mean(0)
    best, kept = float("inf"), None
    for strength in STRENGTHS:
        model = KernelRidge(alpha=strength * fit, kernel="precomputed").fit(inside, goal[:fit] - mean)
        said = model.predict(outside) + mean
        error = float(((said[: choose - fit] - goal[fit:choose]) ** 2).sum())
        if error < best:
            best, kept = error, said[choose - fit :]
    assert kept is not None
    return torch.from_numpy(kept)


def kept_of_input(kernel: Float[Tensor, "n n"], inputs: Float[Tensor, "n k"]) -> float:
    """R² of the input read back: 1 all of it, 0 no better than the mean image; of held-out samples, over all values."""
    count = len(inputs)
    rest = inputs[round(0.8 * count) :].double()
    base = inputs[: round(0.6 * count)].double().mean(0)
    spread = float((rest - base).square().sum())
    return 1 - float((read_back(kernel, inputs) - rest).square().sum()) / spread if spread > 0 else float("nan")


def kept_of_label(kernel: Float[Tensor, "n n"], labels: Int[Tensor, "n"], classes: int) -> float:
    """Accuracy of the label read back from a layer the same way."""
    said = read_back(kernel, F.one_hot(labels, classes).double()).argmax(1)
    return float((said == labels[round(0.8 * len(labels)) :]).double().mean())


def small(inputs: Tensor, scale: Tensor | None) -> Float[Tensor, "n k"]:
    """What is to be read back: images of at most 8 x 8 pixels, columns of a table in units of their spread."""
    values = inputs.float()
    if values.dim() == 4:
        values = F.adaptive_avg_pool2d(values, (min(8, values.shape[-2]), min(8, values.shape[-1])))
    elif scale is not None and values.dim() == 2:
        values = values / scale
    return values.flatten(1)


def look_inside(subject: Subject) -> Inside:
    """Similarity of the layers, and how much of input and label each keeps; empty where no layers can be read."""
    judged = subject.data.judged
    part = judged.select(order(0, len(judged), "explain layers")[:SAMPLES])  # in random order: the split is by place
    asked = Batches(part, subject.data, size=len(part), seed=0).whole()
    inputs, labels = asked["inputs"], asked["labels"]
    grams = {who: _of(entry, inputs, len(labels)) for who, entry in subject.entries.items()}
    found: Inside = {"samples": len(labels)}
    if grams["teacher"]:
        pairs = {w: similarity(g, grams["teacher"]) for w, g in grams.items() if g and w != "teacher"}
        found["similarity"] = pairs
    if isinstance(inputs, Tensor) and subject.data.kind != "text":
        scale = torch.tensor(subject.data.std) if subject.data.std and inputs.dim() == 2 else None
        goal, classes = small(inputs, scale), len(subject.data.classes)
        keeps = {who: [_kept(n, k, goal, labels, classes) for n, k in g.items()] for who, g in grams.items() if g}
        found["keeps"] = keeps
        found["input_itself"] = _kept("input", gram(inputs), goal, labels, classes)
    return found


def _kept(name: str, kernel: Tensor, goal: Tensor, labels: Tensor, classes: int) -> LayerKeeps:
    return {
        "layer": name,
        "input": finite(round(kept_of_input(kernel, goal), 4)),
        "label": finite(round(kept_of_label(kernel, labels, classes), 4)),
    }


def _of(entry: Deployed, inputs: Value, count: int) -> dict[str, Tensor]:
    """The layers of a deployed role; of the first one where several answer together."""
    return layer_grams(entry.cast[used(entry.source)[0]], lambda: entry(inputs), count)
