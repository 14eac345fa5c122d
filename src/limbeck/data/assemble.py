"""From what a reader found to partitions: numbered, limited, split, checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset

from limbeck.data.columns import Column
from limbeck.data.core import Data, Partition, checked, statistics
from limbeck.data.splits import size_of, stratified
from limbeck.data.streamed import sampled
from limbeck.data.tokens import Text, Tokens
from limbeck.errors import UserError
from limbeck.plan.kinds import Value
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.task import Task

ORDER = ("train", "validation", "test", "unlabelled")


@dataclass
class Raw:
    """What a reader found.

    Attributes:
        parts: "train", "validation" and "test" where the source has them, and parts of the user's own: (inputs, labels),
            labels None where there are none.
        classes: names of the classes.
        kind: "image", "table" or "other".
        mean, std: as published, else empty.
        test_share: of all samples to hold out where the source has no test part; 0 for none.
        test_seed: seed of that split where it shall not follow the user's.
        notes: sentences.
        task: what is to be answered about a sample. words: of the numbers in the inputs of a text.
        labels_from: where the labels were found, in words. columns: of a table, how their cells are features.
        ids: names of the samples of each part, {} where the source has none.
        tokens: of a text that a tokenizer numbered, how. texts: by part, what the numbers were made of.
        sound: of recordings, samples per second and samples of each.
        held_out: the reader made the test part itself, as the settings say.
    """

    parts: Mapping[str, tuple[Value, Tensor | None]]
    classes: tuple[str, ...]
    kind: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    test_share: float = 0.2
    test_seed: int | None = None
    notes: list[str] = field(default_factory=list)
    task: Task = CLASSIFY
    words: tuple[str, ...] = ()
    labels_from: str = ""
    columns: tuple[Column, ...] = ()
    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tokens: Tokens | None = None
    texts: Mapping[str, Sequence[Text]] = field(default_factory=dict)
    sound: tuple[int, int] | None = None
    held_out: bool = False


def assemble(name: str, raw: Raw, *, validation: float, labelled: int | None, limit: int | None, split_seed: int) -> Data:
    """Make `Data` of what a reader found; the arguments are those of `limbeck.data.load`."""
    notes = list(raw.notes)
    parts = _numbered(name, raw)
    counts = {part: len(each) for part, each in parts.items()}
    ids = tuple(one for part in counts for one in raw.ids.get(part, ()))
    seed = split_seed if raw.test_seed is None else raw.test_seed
    parts, told = cut(
        name, parts, raw.task, test=raw.test_share, test_seed=seed, validation=validation, limit=limit, split_seed=split_seed
    )
    notes += told
    if raw.task.headless and "unlabelled" in parts:
        more = parts.pop("unlabelled")
        parts["train"] = joined(parts["train"], more)
        notes.append(f"{len(more):,} unlabelled samples are training samples like the others")
    mean, std = raw.mean, raw.std
    if not mean and raw.kind != "text":
        inputs = parts["train"].inputs
        some = inputs if isinstance(inputs, Tensor) else sampled(inputs, len(parts["train"]))
        mean, std = statistics(some, raw.kind)
    ordered = parts if labelled is None else hidden(name, parts, labelled, split_seed, raw.task)
    shape = tuple(raw.parts["train"][0].shape[1:])
    known = parts["train"].labels
    task = raw.task if known is None else raw.task.learned(known)
    return Data(
        name,
        raw.kind,
        raw.classes,
        shape,
        mean,
        std,
        ordered,
        tuple(notes),
        split_seed,
        task,
        raw.words,
        raw.labels_from,
        raw.columns,
        counts,
        ids,
        raw.tokens,
        tuple(one for part in counts for one in raw.texts.get(part, ())),
        raw.sound,
    )


def joined(first: Partition, second: Partition) -> Partition:
    """Two parts as one, under the name of the first."""
    assert first.labels is not None and second.labels is not None
    labels, index = torch.cat([first.labels, second.labels]), torch.cat([first.index, second.index])
    if isinstance(first.inputs, Tensor) and isinstance(second.inputs, Tensor):
        return Partition(first.name, torch.cat([first.inputs, second.inputs]), labels, index)
    return Partition(first.name, ConcatDataset([first.inputs, second.inputs]), labels, index)  # type: ignore[list-item]


def cut(
    name: str,
    parts: Mapping[str, Partition],
    task: Task,
    *,
    test: float,
    test_seed: int,
    validation: float,
    limit: int | None,
    split_seed: int,
) -> tuple[dict[str, Partition], list[str]]:
    """Parts in their order, those held out that the source lacks and the training part limited; what was done, in sentences."""
    parts, notes = dict(parts), []
    if "test" not in parts and test:
        count = size_of(test, len(parts["train"]), "test")
        parts["train"], parts["test"] = _split(parts["train"], count, "test", test_seed, task)
        notes.append(f"no test part at the source: {count} samples were held out, stratified, split seed {test_seed}")
    if limit is not None:
        _positive("limit", limit)
    if limit is not None and limit < len(parts["train"]):
        notes.append(f"limited to {limit} of {len(parts['train'])} training samples, stratified")
        parts["train"] = _split(parts["train"], limit, "limit", split_seed, task)[1]
    if validation and "validation" not in parts:
        count = size_of(validation, len(parts["train"]), "validation")
        parts["train"], parts["validation"] = _split(parts["train"], count, "validation", split_seed, task)
    return {n: parts[n] for n in sorted(parts, key=rank)}, notes


def hidden(name: str, parts: Mapping[str, Partition], labelled: int, split_seed: int, task: Task) -> dict[str, Partition]:
    """Parts in their order, with all labels but so many of the training part hidden."""
    if task.headless:
        return {**parts, "train": _veiled(parts["train"], labelled, split_seed, task)}
    if "unlabelled" in parts:
        raise UserError(f"{name} has an unlabelled part of its own, so no labels are hidden; leave out data.labelled")
    shown, rest = _hide(parts["train"], labelled, split_seed, task)
    found = {**parts, "train": shown, "unlabelled": rest}
    return {n: found[n] for n in sorted(found, key=rank)}


def _numbered(name: str, raw: Raw) -> dict[str, Partition]:
    if len(raw.classes) < raw.task.fewest:
        raise UserError(f"{name} has {len(raw.classes)} {raw.task.item}; at least {raw.task.fewest} are needed")
    parts = numbered(name, {part: raw.parts[part] for part in sorted(raw.parts, key=rank)}, len(raw.classes), raw.task)
    shape = raw.parts["train"][0].shape[1:]
    for part, (inputs, _) in raw.parts.items():
        if inputs.shape[1:] != shape:
            raise UserError(
                f"{name}: {part} inputs are {tuple(inputs.shape[1:])} but train inputs {tuple(shape)}; make them equal"
            )
    return parts


def numbered(name: str, found: Mapping[str, tuple[Value, Tensor | None]], classes: int, task: Task) -> dict[str, Partition]:
    """Checked partitions whose samples are numbered on from part to part, in the order given.

    found: inputs (a tensor or a Dataset) and labels by name; the labels of a Dataset are always known.
    """
    parts, start = {}, 0
    for part, (inputs, labels) in found.items():
        if isinstance(inputs, Tensor):
            checked(f"{name} {part}", inputs, labels, classes, task)
        elif labels is not None:
            task.check_labels(f"{name} {part}", labels, len(labels), classes)
        count = len(inputs if labels is None else labels)
        parts[part] = Partition(part, inputs, labels, torch.arange(start, start + count))
        start += count
    return parts


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes, each once: whole numbers by their value, all else by the alphabet.

    >>> in_order(["10", "2", "1"]), in_order(["b", "10", "2"])
    (('1', '2', '10'), ('10', '2', 'b'))
    """
    found = sorted(set(names))
    return tuple(sorted(found, key=int)) if all(name.isascii() and name.isdigit() for name in found) else tuple(found)


def rank(part: str) -> int:
    """The order of parts, in which samples are numbered too; a user's own come last, as they were given."""
    return ORDER.index(part) if part in ORDER else len(ORDER)


def _split(part: Partition, count: int, name: str, seed: int, task: Task) -> tuple[Partition, Partition]:
    if part.labels is None:
        raise AssertionError("only labelled partitions are split")
    drawn, rest = stratified(task.strata(part.labels), count, seed, name)
    return part.select(rest), part.select(drawn, name if name != "limit" else part.name)


def _veiled(part: Partition, labelled: int, seed: int, task: Task) -> Partition:
    """The part with all labels but so many unknown: no sample leaves it, for all of them teach."""
    known = Partition(part.name, part.inputs, part.labels, torch.arange(len(part)))
    assert part.labels is not None
    if not (part.labels != task.unknown).any():
        raise UserError("data.labelled hides labels, and the data has none; leave it out")
    shown, _ = _hide(known.select((part.labels != task.unknown).nonzero()[:, 0]), labelled, seed, task)
    labels = torch.full_like(part.labels, int(task.unknown))
    labels[shown.index] = part.labels[shown.index]
    return Partition(part.name, part.inputs, labels, part.index)


def _hide(part: Partition, labelled: int, seed: int, task: Task) -> tuple[Partition, Partition]:
    _positive("labelled", labelled)
    assert part.labels is not None
    groups = task.strata(part.labels)
    present = len(torch.unique(groups))
    if not present <= labelled < len(part):
        raise UserError(
            f"labelled must be between {present} (one for each class) and {len(part) - 1} (some stay unlabelled), got {labelled}"
        )
    shown, hidden = stratified(groups, labelled, seed, "labelled")
    return part.select(shown), part.select(hidden, "unlabelled", labelled=False)


def _positive(what: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{what} must be a whole number of samples, at least 1, got {value!r}")
