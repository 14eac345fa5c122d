"""What is damaged: small valid data of every kind, and the folders that commands leave."""

import io
import json
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np

TINY = [
    "--epochs",
    "1",
    "--batch",
    "16",
    "--teacher",
    "mlp",
    "--student",
    "mlp",
    "--set",
    "student.width=4",
    "--set",
    "onnx=false",
]


def make(place: Path) -> dict[str, Path]:
    """Every kind of data, by name; each is a file or a folder."""
    rng = np.random.default_rng(0)
    made = {
        "table.csv": _text(place / "table.csv", _table(rng, ",")),
        "table.tsv": _text(place / "table.tsv", _table(rng, "\t")),
        "text.csv": _text(
            place / "text.csv", "text,label\n" + "".join(f"the word {i % 7} is {i},{'ab'[i % 2]}\n" for i in range(40))
        ),
        "rows.jsonl": _text(place / "rows.jsonl", _jsonl()),
        "arrays.npz": _arrays(place / "arrays.npz", rng),
        "pictures": _pictures(place / "pictures", rng),
        "masks": _masks(place / "masks", rng),
        "boxes": _boxes(place / "boxes", rng),
        "sounds": _sounds(place / "sounds", rng),
        "pairs": _pairs(place / "pairs"),
    }
    made["pictures.zip"] = _zipped(place / "pictures.zip", made["pictures"])
    made["sounds.tar.gz"] = _packed(place / "sounds.tar.gz", made["sounds"])
    made["rows.parquet"] = _parquet(place / "rows.parquet", rng)
    return {name: path for name, path in made.items() if path.exists()}


def folders(place: Path, limbeck: "object") -> dict[str, Path]:
    """A finished run, one with ONNX and exports, a comparison and an explanation, made by the commands themselves."""
    run = place / "run"
    calls = {
        "run": ["distill", *TINY[:-2], "--set", "data.limit=120", "--quiet", "--out", str(run)],
        "exported": ["export", str(run), "--format", "onnx"],
        "measured": ["measure", str(run)],
        "explained": ["explain", str(run)],
        "compared": [
            "compare",
            "--methods",
            "kd",
            *TINY,
            "--set",
            "data.limit=120",
            "--seeds",
            "2",
            "--quiet",
            "--out",
            str(place / "compared"),
        ],
    }
    for name, words in calls.items():
        code = limbeck(words)  # type: ignore[operator]
        if code:
            raise RuntimeError(f"the {name} folder cannot be made: exit {code}: {(place / 'said.err').read_text()}")
    return {"run": run, "compared": place / "compared"}


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _table(rng: np.random.Generator, by: str) -> str:
    rows = [by.join([*(f"{v:.3f}" for v in rng.normal(size=3)), ["red", "blue"][i % 2], str(i % 3)]) for i in range(45)]
    return by.join(["a", "b", "c", "colour", "label"]) + "\n" + "\n".join(rows) + "\n"


def _jsonl() -> str:
    return "".join(json.dumps({"text": f"say {i % 5} and {i}", "label": "xy"[i % 2]}) + "\n" for i in range(40))


def _arrays(path: Path, rng: np.random.Generator) -> Path:
    x = rng.integers(0, 256, (48, 8, 8), dtype=np.uint8)
    np.savez(path, x_train=x[:32], y_train=np.arange(32) % 3, x_test=x[32:], y_test=np.arange(16) % 3)
    return path


def _png(path: Path, pixels: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def _pictures(path: Path, rng: np.random.Generator) -> Path:
    for i in range(36):
        part = "train" if i < 24 else "test"
        _png(path / part / ["cat", "dog"][i % 2] / f"{i}.png", rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return path


def _masks(path: Path, rng: np.random.Generator) -> Path:
    for i in range(16):
        part = "train" if i < 12 else "test"
        _png(path / part / "images" / f"{i}.png", rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        _png(path / part / "masks" / f"{i}.png", rng.integers(0, 2, (16, 16), dtype=np.uint8))
    return path


def _boxes(path: Path, rng: np.random.Generator) -> Path:
    for i in range(16):
        part = "train" if i < 12 else "test"
        _png(path / part / f"{i}.png", rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        name = ["cat", "dog"][i % 2]
        box = "<xmin>4</xmin><ymin>4</ymin><xmax>20</xmax><ymax>20</ymax>"
        (path / part / f"{i}.xml").write_text(
            f"<annotation><filename>{i}.png</filename><size><width>32</width><height>32</height><depth>3</depth></size>"
            f"<object><name>{name}</name><bndbox>{box}</bndbox></object></annotation>"
        )
    return path


def _sounds(path: Path, rng: np.random.Generator) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for i in range(24):
        with wave.open(str(path / f"{i % 3}_ann_{i}.wav"), "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
            file.writeframes((rng.normal(size=1600) * 8000).astype("<i2").tobytes())
    return path


def _pairs(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        for language in ("en", "de"):
            (path / f"{part}.{language}").write_text("".join(f"{language} word {i % 6}\n" for i in range(24)))
    return path


def _zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for one in sorted(folder.rglob("*.png")):
            file.write(one, one.relative_to(folder))
    return path


def _packed(path: Path, folder: Path) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for one in sorted(folder.rglob("*.wav")):
            data = one.read_bytes()
            info = tarfile.TarInfo(f"recordings/{one.name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def _parquet(path: Path, rng: np.random.Generator) -> Path:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return path
    columns = {"a": rng.normal(size=40), "b": rng.normal(size=40), "label": np.arange(40) % 2}
    pq.write_table(pa.table(columns), path)
    return path
