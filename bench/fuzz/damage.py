"""How it is damaged: bytes, lines, numbers, names and JSON; everything follows from a `random.Random`."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

ODD = [
    "nan", "inf", "-inf", "-1", "0", "1e308", "1e-320", "99999999999999999999", "0x10", "true", "false", "null", "none", "[]", "{}", "''",
    "a b", "../../x", "/dev/null", "\x1b[31mred", "é漢字", "x" * 400, "1,2", "[1,2,3]", "{a=1}", "0.5", "1", "2", "-0.0", "'\"", "%s", "{0}",
    "[nan]", "[inf, inf]", "[[1]]", "subprocess:run", "os:system", "nets:five", "resnet8", "cnn", "crop:99", "mixup:-1", "flip:2", "\n",
]  # fmt: skip
NUMBERS = [
    "-1",
    "0",
    "1",
    "2",
    "3",
    "1000",
    "0.5",
    "1e-9",
    "1e9",
    "1e-320",
    "1e308",
    "-0.5",
    "nan",
    "inf",
    "99999999999999999999",
    "2.5",
]
CELLS = [
    "",
    "nan",
    "NaN",
    "inf",
    "-1",
    "1e400",
    "1,5",
    '"',
    "'",
    "a\tb",
    "\x00",
    "9" * 40,
    "True",
    "None",
    "-",
    "?",
    " ",
    "0x1F",
    "é",
    "1;2",
]


def data(rng: random.Random, path: Path) -> str:
    """Damage a file, or some file of a folder; says how."""
    if path.is_file():
        return file(rng, path)
    ways = [_one_inside, _one_inside, _one_inside, _rename, _remove, _empty_folder, _strange_name, _link, _nest]
    return rng.choice(ways)(rng, path)


def file(rng: random.Random, path: Path) -> str:
    ways = [_cut, _flip, _insert, _empty, _noise, _double]
    text = path.suffix in (".csv", ".tsv", ".jsonl", ".json", ".toml", ".xml", ".en", ".de", ".txt")
    if text:
        ways += [_cell, _cell, _cell, _line, _line, _bom, _encoding, _long]
    if path.suffix == ".json":
        ways += [structure] * 12
    return rng.choice(ways)(rng, path)


def _cut(rng: random.Random, path: Path) -> str:
    raw = path.read_bytes()
    path.write_bytes(raw[: rng.randrange(max(1, len(raw)))])
    return "cut"


def _flip(rng: random.Random, path: Path) -> str:
    raw = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 3, 20))):
        if raw:
            raw[rng.randrange(min(len(raw), rng.choice((64, len(raw)))))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(raw))
    return "bits"


def _insert(rng: random.Random, path: Path) -> str:
    raw = path.read_bytes()
    at = rng.randrange(len(raw) + 1)
    path.write_bytes(raw[:at] + rng.randbytes(rng.choice((1, 4, 100))) + raw[at:])
    return "inserted"


def _empty(rng: random.Random, path: Path) -> str:
    path.write_bytes(b"")
    return "empty"


def _noise(rng: random.Random, path: Path) -> str:
    path.write_bytes(rng.randbytes(rng.choice((1, 16, 2000))))
    return "noise"


def _double(rng: random.Random, path: Path) -> str:
    path.write_bytes(path.read_bytes() * 2)
    return "doubled"


def _cell(rng: random.Random, path: Path) -> str:
    by = "\t" if path.suffix == ".tsv" else ","
    lines = path.read_bytes().decode("utf-8", "replace").split("\n")
    for _ in range(rng.choice((1, 1, 4))):
        row = rng.choice((0, 1, rng.randrange(len(lines)))) if len(lines) > 1 else 0
        cells = lines[row].split(by)
        cells[rng.randrange(len(cells))] = rng.choice(CELLS)
        lines[row] = by.join(cells)
    path.write_bytes("\n".join(lines).encode())
    return "cell"


def _line(rng: random.Random, path: Path) -> str:
    lines = path.read_bytes().decode("utf-8", "replace").split("\n")
    at = rng.randrange(len(lines))
    what = rng.choice(("gone", "twice", "moved", "blank", "wider", "narrower"))
    line = lines.pop(at)
    extra = {"twice": [line, line], "blank": ["", line], "wider": [line + ",1,2"], "narrower": [line[: len(line) // 2]]}
    lines[at:at] = extra.get(what, [])
    if what == "moved":
        lines.insert(0, line)
    path.write_bytes("\n".join(lines).encode())
    return f"line {what}"


def _bom(rng: random.Random, path: Path) -> str:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    return "byte-order mark"


def _encoding(rng: random.Random, path: Path) -> str:
    kind = rng.choice(("utf-16", "latin-1", "utf-32"))
    path.write_bytes(path.read_bytes().decode("utf-8", "replace").replace("a", "ä").encode(kind, "replace"))
    return kind


def _long(rng: random.Random, path: Path) -> str:
    path.write_bytes(path.read_bytes().replace(b",", b"," + b"z" * 3000, 1))
    return "a long cell"


def structure(rng: random.Random, path: Path) -> str:
    """Change one place of a JSON document."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return _cut(rng, path)
    places: list[tuple[Any, Any]] = []
    _places(document, places)
    if not places:
        return _cut(rng, path)
    inside, key = rng.choice(places)
    odd = [
        None,
        True,
        -1,
        0,
        10**30,
        1e308,
        "",
        "x",
        "<b>x</b>",
        [],
        {},
        [[]],
        {"a": {}},
        "../x",
        float("nan"),
        "\x1b[2J",
        "z" * 2000,
    ]
    if rng.random() < 0.35:
        del inside[key]
    else:
        inside[key] = rng.choice(odd)
    path.write_text(json.dumps(document))
    return f"JSON at {str(key)[:40]}"


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        _places(value[key], found)


def _files(path: Path) -> list[Path]:
    return sorted(one for one in path.rglob("*") if one.is_file())


def _one_inside(rng: random.Random, path: Path) -> str:
    found = _files(path)
    if not found:
        return "nothing there"
    one = rng.choice(found)
    return f"{one.suffix} {file(rng, one)}"


def _rename(rng: random.Random, path: Path) -> str:
    one = rng.choice(sorted(path.rglob("*")))
    new = rng.choice(("", "x.png", "train", ".hidden.png", "A.PNG", "y.jpg", "0", "labels", "masks", "z.xml", "é" * 60))
    if not new or one.with_name(new).exists():
        return "kept"
    one.rename(one.with_name(new))
    return f"renamed to {new[:12]}"


def _remove(rng: random.Random, path: Path) -> str:
    one = rng.choice(sorted(path.rglob("*")))
    shutil.rmtree(one) if one.is_dir() else one.unlink()
    return f"removed {one.name[:20]}"


def _empty_folder(rng: random.Random, path: Path) -> str:
    where = rng.choice([path, *(one for one in path.rglob("*") if one.is_dir())])
    (where / rng.choice(("new", "bird", "train", "test", "unlabelled"))).mkdir(exist_ok=True)
    return "an empty folder"


def _strange_name(rng: random.Random, path: Path) -> str:
    one = rng.choice(sorted(path.rglob("*")))
    name = rng.choice((b"\xff\xfe", b"a\nb", b"a b", b"-rf", b"\x1b[31m", b"'\""))
    one.rename(one.with_name(os.fsdecode(name)))
    return "a strange name"


def _link(rng: random.Random, path: Path) -> str:
    one = rng.choice(sorted(path.rglob("*")))
    new = one.with_name("linked" + one.suffix)
    if new.exists():
        return "kept"
    new.symlink_to(rng.choice((one, path, Path("/nowhere"), new, Path("/etc/passwd"))))
    return "a link"


def _nest(rng: random.Random, path: Path) -> str:
    inner = path / "a" / "b"
    inner.mkdir(parents=True, exist_ok=True)
    for one in list(path.iterdir()):
        if one.name != "a":
            shutil.move(str(one), inner / one.name)
    return "nested"
