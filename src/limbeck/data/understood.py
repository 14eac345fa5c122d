"""One line that says, before anything is trained, how data were understood."""

from collections.abc import Sequence

import torch
from torch import Tensor

from limbeck.data.columns import alike, listed
from limbeck.data.core import Data

NAMED = 12  # classes that are listed one by one
LONG = 40  # characters of a name
EXACT = 2**24  # up to which float32 holds every whole number


def understood(data: Data) -> str:
    """Kind, shape, samples of each part, classes with their counts, where labels come from, what was dropped or converted.

    >>> from limbeck.data import load
    >>> understood(load("digits", limit=100))[:78]
    'digits: images of shape (1, 8, 8); 90 train, 10 validation, 539 test samples; '
    """
    kind = {"image": "images", "table": "rows", "text": "texts"}.get(data.kind, "inputs")
    shape = f"of shape {tuple(data.shape)}" if data.shape else "that are mappings"
    parts = ", ".join(f"{len(part):,} {name}" for name, part in data.partitions.items())
    said = [f"{kind} {shape}", f"{parts} samples", _classes(data)]
    said += [f"labels: {data.labels_from}"] if data.labels_from else []
    return f"{data.name}: " + "; ".join([*said, *_alike(data), *_absent(data), *_rounded(data), *data.notes])


def _classes(data: Data) -> str:
    names, counts = data.classes, _counts(data, "train")
    if not names:
        return "no labels" if data.task.headless else f"{data.outputs:,} {_several(data, data.outputs)} to choose from"
    what = f"{len(names):,} {_several(data, len(names))}"
    if len(names) > NAMED:
        each = "" if not counts else f", {min(counts):,} to {max(counts):,} training {data.task.counted} each"
        return what + each
    if not counts:
        return f"{what}: {_listed(names)}"
    each = ", ".join(f"{_short(name)} ({count:,})" for name, count in zip(names, counts, strict=True))
    return f"{what} with their training {data.task.counted}: {each}"


def _alike(data: Data) -> list[str]:
    """Classes whose names are so near that one may be a slip of the other."""
    groups = [" and ".join(repr(name[:LONG]) for name in group[:3]) for group in alike(data.classes)]
    if not groups:
        return []
    return [f"{_several(data, 2)} that differ in case or spaces alone were kept apart: {listed(groups, 3)}"]


def _absent(data: Data) -> list[str]:
    """Classes that no model can learn here, because no training sample has them."""
    known = _counts(data, "train")
    if not known or data.task.searched:
        return []
    rest = [found for name in data.partitions if name != "train" and (found := _counts(data, name))]
    met = [sum(counts[k] for counts in rest) for k in range(len(known))]
    lacking = [name for name, count, other in zip(data.classes, known, met, strict=True) if not count and other]
    nowhere = [name for name, count, other in zip(data.classes, known, met, strict=True) if not count and not other]
    one, several = data.task.item, _several(data, 2)
    said = []
    if lacking:
        which = f"{one if len(lacking) == 1 else several} {_listed(lacking)}"
        said.append(f"no training sample of the {which}, which other parts have: no model learns it")
    if nowhere:
        gap = ": labels are counted from 0" if nowhere[0] == "0" else ""
        said.append(f"no sample at all of the {one if len(nowhere) == 1 else several} {_listed(nowhere)}{gap}")
    return said


def _rounded(data: Data) -> list[str]:
    inputs = data["train"].inputs
    whole = isinstance(inputs, Tensor) and inputs.dtype == torch.int64 and bool((inputs.abs() > EXACT).any())
    return [f"whole numbers beyond {EXACT:,} are rounded to float32"] if whole else []


def _counts(data: Data, part: str) -> list[int]:
    labels = data.partitions[part].labels
    counts = None if labels is None else data.task.occurrences(labels, len(data.classes))
    return counts if counts is not None and len(counts) == len(data.classes) else []


def _several(data: Data, count: int) -> str:
    item = data.task.item
    return item if count == 1 else item + ("es" if item.endswith("s") else "s")


def _listed(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(_short, names[:most])) + more


def _short(name: str) -> str:
    """A class name within a line: a name of a file or of a cell can be anything."""
    plain = " ".join(str(name).split())
    return plain if len(plain) <= LONG else plain[: LONG - 3] + "..."
