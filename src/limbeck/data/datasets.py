"""Data by name or path."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from limbeck.data import find, made, own, published
from limbeck.data.assemble import Raw, assemble
from limbeck.data.core import Data
from limbeck.data.own import Cuts
from limbeck.data.reader import MEMORY, How
from limbeck.data.readers import masks, named, readers, recognised, recordings, sentences
from limbeck.data.tables import LabelColumns
from limbeck.data.text import TextColumns
from limbeck.data.unlabelled import judged
from limbeck.errors import UserError, unknown
from limbeck.files.programs import is_program
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.registry import task_of


def names() -> list[str]:
    """Return the names that `load` knows, sorted."""
    return sorted({*published.NAMES, *(reader.name for reader in readers()), *made.NAMES, "fsdd", "sst2"})


def load(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    validation: float = 0.1,
    test: float | None = None,
    labelled: int | None = None,
    limit: int | None = None,
    split_seed: int = 0,
    size: Sequence[int] | None = None,
    tile: int | None = None,
    void: int | None = None,
    task: str | None = None,
    label: str | int | Sequence[str | int] | None = None,
    id: str | None = None,
    text: str | Sequence[str] | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    longest: int | None = None,
    download: bool = True,
    memory_gb: float = MEMORY,
    arguments: Mapping[str, object] | None = None,
    on_progress: find.OnProgress | None = None,
) -> Data:
    """Load data by name, or by the path where it lies.

    Args:
        name: digits, photographs, mnist, fashion_mnist, kmnist, cifar10, cifar100; fsdd and sst2 (spoken digits, sentences
            about films; not downloaded); translation, strings, moving (see `arguments`); the name of a reader with a `path`
            (`names` lists all); a path, whose reader is chosen by what lies there; or `package.module:function`, called with
            `arguments` (see `limbeck.data.own`).
        path: the file or folder; without it the cache folder and then the network are tried.
        cache: the cache folder, else `$LIMBECK_DATA`, else the system's.
        validation: share (0 to below 1) or number of the training samples to hold out, stratified; unused where
            the source has a validation part.
        test: share or number of samples to hold out for the end where the source has no test part; None for 0.2, or
            what such data is usually given.
        labelled: how many training samples keep their labels (stratified); the others become "unlabelled".
        limit: use at most so many training samples (with validation), stratified; the test part stays whole.
        split_seed: what the random splits depend on.
        size: (height, width) that the images of folders are scaled to; None for as they are, or `folder`'s own choice.
        tile: side of the square tiles to cut images and masks into, after the splits; None for whole images.
        void: mask value to ignore, besides 255.
        task: what the labels of a table are: classify (the default), numbers, tags, or a name that a package registered; or
            embed for any data, whose labels may be missing and otherwise only judge.
        label: the column of a table that is to be predicted, or several; None for the usual one (see `limbeck.data.tables`).
        id: the column of a table that names its samples; it is no feature, and answers of a teacher are matched by it.
        text: the column of a table that holds the texts, or two of a pair; None for the usual one.
        tokenizer: folder of a tokenizer of transformers that numbers the texts; None for words of the training part.
        longest: most tokens of a text; None for as many as the tokenizer's model reads.
        download: False forbids the network.
        memory_gb: GiB of pictures that are held in memory; those of a larger folder are read from their files when a batch asks.
        arguments: of data that is made: `translation` (source, target, longest, vocabulary: line-aligned files at `path`),
            `strings` (of, least, most, gap, ...: sequences one after another, to be transcribed), `moving` (of, frames, ...:
            pictures that become videos). `of` is the data that they are made of, loaded with the other arguments here.
        on_progress: called with (file name, bytes so far, bytes in all or None) while downloading.

    Raises:
        UserError: unknown name, files that are not there or damaged, empty data, labels out of range, ...

    >>> {k: len(v) for k, v in load("digits").partitions.items()}
    {'train': 1132, 'validation': 126, 'test': 539}
    """
    place = Path(path).expanduser() if path is not None else None
    if name in made.NAMES:
        if labelled is not None and name == "translation":
            raise UserError("data 'translation' has no labels that could be hidden; leave out data.labelled")
        other = partial(load, path=path, cache=cache, size=size, download=download, on_progress=on_progress)
        other = partial(other, validation=validation, test=test, labelled=labelled, limit=limit, split_seed=split_seed)
        if task is not None:
            raise UserError(f"data {name!r} is made for a task of its own, so data.task = {task} cannot be used; leave it out")
        return made.make(name, place, arguments or {}, limit, split_seed, other)
    if is_program(name):
        if path is not None:
            raise UserError(f"data {name!r} is a function, which takes no path; give it as an argument: data.arguments.path")
        cuts = Cuts(validation, test, labelled, limit, split_seed)
        return own.made(name, arguments or {}, cuts, None if task is None else task_of(task))
    if arguments:
        known = f"those are for {', '.join(made.NAMES)}"
        raise UserError(f"data {name!r} takes no arguments, got {', '.join(arguments)}; {known}")
    headless = task is not None and task_of(task).headless
    asked = label is not None or id is not None or (task is not None and not headless)
    columns = LabelColumns(task or CLASSIFY.name, _listed(label), id or "") if asked or headless else None
    how = How(None if size is None else (int(size[0]), int(size[1])), void, columns or LabelColumns())
    columns_of_texts = TextColumns("" if tokenizer is None else str(tokenizer), longest, _listed(text))
    how = replace(how, unlabelled=headless, memory=memory_gb, texts=columns_of_texts, test=test, split_seed=split_seed)
    raw, name = _read(name, place, find.cache_folder(cache), download, on_progress, how)
    if asked and raw.kind not in ("table", "text"):
        raise UserError(f"data.task, data.label and data.id name columns of a table, but {name} is not a table; remove them")
    if test is not None and "test" in raw.parts and not raw.held_out:
        raw.notes.append("data.test is not used, for the source has a test part")
    elif test is not None and not raw.held_out:
        raw.test_share = test
    raw = judged(raw) if headless else raw
    data = assemble(name, raw, validation=validation, labelled=labelled, limit=limit, split_seed=split_seed)
    return data if tile is None else masks.tiled(data, tile)


def _read(
    name: str, place: Path | None, cache: Path, download: bool, on_progress: find.OnProgress | None, how: How
) -> tuple[Raw, str]:
    """Return what lies there and the name of the data."""
    if name in published.NAMES:
        return _unused(how, published.read(name, place, cache, download, on_progress)), name
    if name == "fsdd":
        return _unused(how, _spoken_digits(place or cache / name)), name
    if name == "sst2":
        return _unused(how, _sst2(place or cache / name, how)), name
    reader = named(name, place or Path())
    if reader is not None:
        if place is None or not place.exists():
            where = "no path was given" if place is None else f"{place} does not exist"
            raise UserError(f"data {name!r} needs a path, and {where}; give the path of the file or folder")
        return _unused(how, reader.read(place, how), reader.takes), place.stem
    if place is None and Path(name).expanduser().exists():
        place = Path(name).expanduser()
        return _whatever(place, how), place.resolve().name.partition(".")[0] or place.resolve().name
    if place is None and any(c in name for c in "/\\."):
        raise UserError(f"data {name!r} does not exist; give a path that does, or one of: {', '.join(names())}")
    raise unknown("data", name, names(), "or give the path of a file or folder")


def _whatever(path: Path, how: How) -> Raw:
    """Read what lies at a path, whichever layout it has."""
    reader = recognised(path, how)
    if reader is None:
        layouts = ", ".join(dict.fromkeys(reader.layout for reader in readers()))
        raise UserError(f"{path} holds no data of a known layout; expected one of: {layouts}")
    return _unused(how, reader.read(path, how), reader.takes)


def _unused(how: How, raw: Raw, takes: Sequence[str] = ()) -> Raw:
    """What was read, with a note of each setting that such data does not use."""
    asked: dict[str, object] = {"size": how.size, "void": how.void}
    if raw.kind != "text":
        asked |= {"text": how.texts.columns or None, "longest": how.texts.longest}
    elif raw.tokens is None:
        asked |= {"longest": how.texts.longest}
    raw.notes += [
        f"data.{name} is not used by such data" for name, value in asked.items() if value is not None and name not in takes
    ]
    return raw


def _listed(names: str | int | Sequence[str | int] | None) -> tuple[str, ...]:
    """Column names; a table without a header numbers its columns from 1."""
    return () if names is None else (str(names),) if isinstance(names, str | int) else tuple(map(str, names))


def _spoken_digits(place: Path) -> Raw:
    if not place.exists() or recordings.find(place) is None:
        wanted = "its recordings (https://github.com/Jakobovski/free-spoken-digit-dataset), as a folder or a .tar"
        raise UserError(f"fsdd is not in {place}; put {wanted} there, or give the path where they are")
    return recordings.read(place)


def _sst2(place: Path, how: How) -> Raw:
    if not place.exists():
        raise UserError(f"sst2 is not in {place}; put its train.tsv and dev.tsv (gluebenchmark.com) there, or give the path")
    return sentences.read(place, "sst2", how.texts)
