"""Raw files as a student takes them, and its outputs in words: numpy, and Pillow for pictures.

What is here travels as source text into `predict.py` beside exported files (`deploy/alone.py`), so it calls nothing of ours but
what travels with it. Letters: n samples, c channels, h and w pixels, C classes.
"""

import csv
import io
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.data.columns import features
from limbeck.data.readers.csv import _text, rows_of
from limbeck.data.readers.images import DEEP, eight_bits, is_turned, opaque
from limbeck.data.text import LONGEST
from limbeck.data.words import words
from limbeck.errors import UserError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
AT_ONCE = 256  # samples


def samples(facts: Mapping[str, Any], given: Sequence[Any]) -> Iterator[tuple[list[str], np.ndarray]]:
    """Names and inputs of what lies at the paths, at most 256 at a time.

    Args:
        facts: of the student: kind, shape, and columns or words. given: files or folders; of texts also the sentences themselves,
            after "text:".

    Raises:
        UserError: a file that is not there, or that this student cannot take.
    """
    kind = {"image": pictures, "table": rows, "text": sentences}.get(str(facts["kind"]), facts.get("heard") or arrays)
    for one in given:
        path = Path(str(one)).expanduser()
        if str(one).startswith("text:") and kind is not sentences:
            raise UserError(f"this student takes {facts['kind']} data and no sentences; give files")
        if not str(one).startswith("text:") and not path.exists():
            raise UserError(f"{path} does not exist; give a file or folder that does")
        found = arrays if path.suffix.lower() == ".npy" else kind
        yield from batched(found(facts, path if not str(one).startswith("text:") else str(one)))


def batched(found: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[list[str], np.ndarray]]:
    names: list[str] = []
    inputs: list[np.ndarray] = []
    for name, sample in found:
        if len(names) == AT_ONCE or (inputs and inputs[0].shape != sample.shape):  # texts differ in length
            yield names, np.stack(inputs)
            names, inputs = [], []
        names.append(name)
        inputs.append(sample)
    if names:
        yield names, np.stack(inputs)


def pictures(facts: Mapping[str, Any], path: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The pictures of a file, folder or .zip as (c, h, w) float32 on 0 .. 1, scaled as for training: the middle of the size that
    the student takes."""
    shape = facts["shape"]
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(f"this student takes inputs of shape {tuple(shape)}, which no picture has; give a .npy file")
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.suffix.lower() in PICTURES and f.is_file())
        if not files:
            raise UserError(f"{path} holds no pictures ({', '.join(PICTURES[:3])}, ...)")
        for file in files:
            yield str(file), picture(file.read_bytes(), str(file), shape, facts.get("tile"))
    elif path.suffix.lower() == ".zip":
        for name, content in packed_pictures(path):
            yield f"{path}/{name}", picture(content, name, shape, facts.get("tile"))
    else:
        yield str(path), picture(path.read_bytes(), str(path), shape, facts.get("tile"))


def packed_pictures(path: Any) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the pictures of a .zip file, without what macOS and others hide in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.lower().endswith(PICTURES))
            for name in names:
                if not any(part.startswith((".", "__MACOSX")) for part in name.split("/")):
                    yield name, archive.read(name)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:  # damaged, or locked by a password
        raise UserError(f"{path} cannot be unpacked ({str(error)[:80]}); pack it again without a password") from None


def picture(content: bytes, name: str, shape: Sequence[int], tile: Any = None) -> np.ndarray:
    """One picture as (c, h, w) float32 on 0 .. 1. tile: the side of the tiles that the student was trained on, if it was."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content))
        if is_turned(image, content):
            ImageOps.exif_transpose(image, in_place=True)
        plain = eight_bits(name, image) if image.mode in DEEP else opaque(image)
        plain = plain.convert("L" if shape[0] == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = "of no format that Pillow knows" if isinstance(error, UnidentifiedImageError) else str(error)[:80]
        raise UserError(f"{name} is not a readable picture ({why}); replace or remove it") from None
    size = (shape[2], shape[1])
    if tile and plain.size != size:
        raise UserError(
            f"{name} has {plain.size[1]} x {plain.size[0]} pixels; this student knows tiles of {tile} x {tile}; cut it"
        )
    pixels = np.asarray(plain if plain.size == size else ImageOps.fit(plain, size))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def rows(facts: Mapping[str, Any], path: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The rows of a table as features (f,), by the columns of the training data; others, such as labels, are left alone."""
    columns = facts.get("columns") or []
    if not columns:
        many = facts["shape"][0]
        raise UserError(f"this student takes {many} numbers and knows no columns; give a .npy file of shape (n, {many})")
    bare = all(str(facts["name"]).isdigit() for facts in columns)  # of a table without a header
    found = table(path, header=not bare)
    for start in range(0, len(found), AT_ONCE):
        block = features(found[start : start + AT_ONCE], columns, start)
        for at, row in enumerate(block):
            yield f"{path}:{start + at + 1}", row


def table(path: Any, header: bool = True) -> list[dict[str, str]]:
    """The rows of a .csv, .tsv or .jsonl file as mappings from column to cell; without a header columns count from 1."""
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        try:
            objects = [json.loads(line) for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
        except ValueError as error:
            raise UserError(f"{path} is not JSON Lines ({str(error)[:80]}); write an object on each line") from None
        odd = next((k for k, one in enumerate(objects) if not isinstance(one, dict)), None)
        if odd is not None:
            raise UserError(f"{path}: line {odd + 1} is no object; write {{column: value, ...}} on each line")
        return [{k: "" if v is None else str(v) for k, v in one.items()} for one in objects]
    if path.suffix.lower() not in TABLES:
        raise UserError(f"{path} is no table; give one of {', '.join(TABLES)}")
    cells = rows_of(path, [])
    if not header:
        cells.insert(0, [str(k + 1) for k in range(len(cells[0]))])
    odd = next((k for k, row in enumerate(cells) if len(row) != len(cells[0])), None)
    if odd is not None:
        raise UserError(f"{path}: row {odd} has {len(cells[odd])} cells where the header has {len(cells[0])}; correct it")
    return [dict(zip(cells[0], row)) for row in cells[1:]]  # noqa: B905  just checked, and strict= is of Python 3.10


def sentences(facts: Mapping[str, Any], path: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The lines of a text file, the column of texts of a table, or a sentence itself, as numbers of words (32,) int64."""
    known = {word: k for k, word in enumerate(facts.get("words") or [])}
    encode = facts.get("encode") or (lambda line: sentence(line, known))
    if not known and not facts.get("encode"):
        raise UserError(
            "this student reads tokens, not words: limbeck predict encodes texts for it; or give a .npy file of tokens"
        )
    if isinstance(path, str):
        yield path[5:], encode(path[5:])
        return
    if path.suffix.lower() in TABLES:
        found = table(path)
        names = list(found[0]) if found else []
        column = next((name for name in ("text", "sentence", *(names if len(names) == 1 else ())) if name in names), None)
        if column is None:
            raise UserError(f"{path} has no column called text or sentence; name it so")
        lines = [row[column] for row in found]
    else:
        lines = [line.strip() for line in _text(path, []).split("\n")]
    for k, line in enumerate(lines):
        if line:
            yield f"{path}:{k + 1}", encode(line)


def sentence(text: str, known: Mapping[str, int]) -> np.ndarray:
    """A sentence as numbers of words (32,), between <cls> and <sep>, 0 behind the end."""
    numbers = [2, *(known.get(word, 1) for word in words(text)[: LONGEST - 2]), 3]
    return np.array(numbers + [0] * (LONGEST - len(numbers)), np.int64)


def arrays(facts: Mapping[str, Any], path: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The rows of a .npy file of inputs as the student takes them; whole pictures (uint8) become 0 .. 1."""
    if not hasattr(path, "suffix") or path.suffix.lower() != ".npy":
        shape = ", ".join(str(size) for size in facts["shape"])
        raise UserError(
            f"{path} cannot be answered: this student takes inputs of shape ({shape}), such as spectrograms, from .npy files "
            f"(n, {shape}) only; prepare them as for training"
        )
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is not a .npy file of numbers ({str(error)[:80]})") from None
    if list(found.shape[1:]) != list(facts["shape"]):
        raise UserError(f"{path} holds inputs of shape {found.shape[1:]}, and this student takes {tuple(facts['shape'])}")
    if found.dtype.kind not in "iufb" or not np.isfinite(found).all():
        raise UserError(f"{path} holds values that are no finite numbers; correct or remove those rows")
    found = found.astype(np.float32) / np.float32(255) if found.dtype == np.uint8 and facts["kind"] == "image" else found
    for k, row in enumerate(found):
        yield f"{path}:{k + 1}", row if row.dtype.kind in "iu" else row.astype(np.float32)


def told(facts: Mapping[str, Any], outputs: np.ndarray) -> list[dict[str, Any]]:
    """Outputs in words, a mapping for each sample: class and probabilities, labels, values, an embedding, or a mask (h, w) of
    class numbers."""
    task, classes = facts["task"]["name"], list(facts["classes"])
    if task == "segment":
        return [{"mask": mask} for mask in outputs.argmax(-1).astype(np.int32)]
    if task == "embed":
        return [named(row, [f"e{k}" for k in range(len(row))], "{}") for row in outputs.astype(np.float64)]
    if task not in ("classify", "tags", "numbers"):
        raise UserError(f"answers of the task {task} are put into words by limbeck predict only")
    values = outputs.astype(np.float64).reshape(len(outputs), -1)
    if task == "numbers":
        return [named(row, classes, "{}") for row in values]
    if task == "tags":
        shares = 1 / (1 + np.exp(-values))
        return [{"labels": [classes[k] for k in np.flatnonzero(row > 0.5)], **named(row, classes, "p({})")} for row in shares]
    shares = np.exp(values - values.max(1, keepdims=True))
    shares = shares / shares.sum(1, keepdims=True)
    best = shares.argmax(1)
    return [
        {"class": classes[k], "probability": round(float(row[k]), 6), **named(row, classes, "p({})")}
        for k, row in zip(best, shares)
    ]


def named(row: np.ndarray, classes: Sequence[str], form: str) -> dict[str, float]:
    return {form.format(name): float(f"{value:.6g}") for name, value in zip(classes, row)}


def write(found: Sequence[Mapping[str, Any]], out: str, as_json: bool) -> None:
    """Answers as CSV or JSON, to a file or, without one, to the screen; masks as .png files beside that file."""
    plain = []
    for place, one in enumerate(found):
        plain.append({k: mask_file(v, out, place) if isinstance(v, np.ndarray) else v for k, v in one.items()})
    if as_json or out.endswith(".json"):
        text = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    else:
        stream = io.StringIO(newline="")
        names = list(dict.fromkeys(key for one in plain for key in one))
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in one.items()} for one in plain)
        text = stream.getvalue()
    if not out:
        sys.stdout.write(text)
        return
    aside = Path(out + ".part")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {out} ({error.strerror}); give another place") from None


def mask_file(mask: np.ndarray, out: str, number: int) -> str:
    """A mask as a .png of class numbers in the folder OUT.masks; its path."""
    from PIL import Image

    if not out:
        raise UserError("masks are written as pictures beside a file; give one with --out")
    if mask.max() > 255:
        raise UserError("masks of more than 256 classes cannot be written as pictures")
    folder = Path(out + ".masks")
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{number + 1:06d}.png"
    Image.fromarray(mask.astype(np.uint8)).save(place)
    return str(place)
