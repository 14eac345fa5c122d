"""`predict.py`: a script beside an exported ONNX file that answers raw files with numpy and ONNX Runtime alone."""

import inspect
import re
from pathlib import Path

from limbeck.data import columns, text, words
from limbeck.data.readers import csv, images
from limbeck.deploy import raw
from limbeck.files import atomic_write
from limbeck.tasks.next_token import NextToken

FILE = "predict.py"
HEAD = '''"""Answer raw files with the exported student beside this script; needs numpy, onnxruntime, and Pillow for pictures.

    python predict.py FILE_OR_FOLDER ... [--model student.onnx] [--out answers.csv] [--json]

Made by limbeck out of its own functions, so that inputs are prepared as they were for training.
"""

from __future__ import annotations

import argparse
import codecs
import csv
import io
import json
import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np


class UserError(ValueError):
    """What cannot be used."""

'''
MAIN = """
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--model", default=str(Path(__file__).with_name("student.onnx")))
    parser.add_argument("--out", default="")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    import onnxruntime

    session = onnxruntime.InferenceSession(chosen.model, providers=["CPUExecutionProvider"])
    kept = session.get_modelmeta().custom_metadata_map
    facts = {key: json.loads(kept[key]) for key in ("classes", "shape", "task", "columns", "words", "tile") if key in kept}
    facts["kind"] = kept["kind"]
    taken = session.get_inputs()[0]
    kind = np.int64 if "int64" in taken.type else np.float32
    found = []
    for names, inputs in samples(facts, chosen.inputs):
        outputs = session.run(None, {taken.name: inputs.astype(kind)})[0]
        found += [{"input": name, **one} for name, one in zip(names, told(facts, outputs))]
    if not found:
        raise UserError("nothing to answer in " + ", ".join(chosen.inputs) + "; give at least one sample")
    write(found, chosen.out, chosen.json)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"predict: {error}")
"""
CONSTANTS = {
    "MISSING": columns.MISSING,
    "ONE_HOT": columns.ONE_HOT,
    "LONGEST": text.LONGEST,
    "SEPARATORS": csv.SEPARATORS,
    "TEXT": csv.TEXT,
    "_PEEK": csv._PEEK,
    "DEEP": images.DEEP,
    "ORIENTATION": images.ORIENTATION,
    "PICTURES": raw.PICTURES,
    "TABLES": raw.TABLES,
    "AT_ONCE": raw.AT_ONCE,
}
PIECES = (
    columns.number, columns.missing, columns.Column, columns.features,
    words.words,
    csv.rows_of, csv._bare, csv._text, csv._separator, csv._splits,
    images.is_turned, images.opaque, images.eight_bits,
    raw.samples, raw.batched, raw.pictures, raw.packed_pictures, raw.picture,
    raw.rows, raw.table, raw.sentences, raw.sentence,
    raw.arrays, raw.told, raw.named, raw.write, raw.mask_file,
)  # fmt: skip


def script() -> str:
    """The text of the script."""
    lines = [f"{name} = {value!r}" for name, value in CONSTANTS.items()]
    lines.append(f"_WORD = re.compile({words._WORD.pattern!r})")
    pieces = [re.sub(r"  # (?:type|noqa): ?\S.*$", "", inspect.getsource(piece), flags=re.M).rstrip() for piece in PIECES]
    return HEAD + "\n" + "\n".join(lines) + "\n\n\n" + "\n\n\n".join(pieces) + "\n\n" + MAIN


def write_script(folder: Path, task: str) -> Path | None:
    """Put the script into a folder; none for a language model, which goes on with texts by more than one forward."""
    if task == NextToken.name:
        return None
    with atomic_write(folder / FILE) as file:
        file.write(script().encode())
    return folder / FILE
