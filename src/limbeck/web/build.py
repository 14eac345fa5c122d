"""The folder of the page: page, script, models, facts, and onnxruntime-web from the npm registry."""

import base64
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import platformdirs
import torch
from torch import Tensor, nn

from limbeck.cards.schema import ModelEntry, read_card
from limbeck.data import Data
from limbeck.deploy.measure import sizes
from limbeck.deploy.onnx_file import export_onnx
from limbeck.deploy.shipment import some, some_labels
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.files import atomic_write, write_json
from limbeck.plan.taps import Tap
from limbeck.runs.sources import reopened

HERE = Path(__file__).parent
PACKAGE = "onnxruntime-web@1.30.0"
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PAGE = ("index.html", "web.css", "web.js")
SAMPLES, MEASURED = 12, 256  # pictures: to try, and by which the data's background is measured


def build(run: Path, out: Path, runtime: Path | None = None, trust: bool = False) -> Path:
    """Make the folder of a run's page and return it.

    Args:
        run: folder of a finished run on images. out: where the page goes; files of an earlier one are replaced.
        runtime: a folder that holds onnxruntime-web's files; without it they come from the user's cache or from npm. trust: let
            models that the run names run their code.

    Raises `UserError` if the run has no images, or the runtime cannot be had.
    """
    sources = reopened(run, trust)
    method, data, cast = sources.method, sources.data, sources.cast
    if data.kind != "image" or len(data.shape) != 3 or data.shape[0] not in (1, 3):
        shape = tuple(data.shape)
        raise UserError(f"the page shows images, but {data.name} has inputs of shape {shape}; use measure and evaluate")
    if data.task.name != "classify":
        raise UserError(f"the page shows one class per image, but the task of {data.name} is {data.task.name}")
    place = runtime_files(runtime)
    out.mkdir(parents=True, exist_ok=True)
    models = {"student": Deployed(cast, method.deployed)}
    models |= {"teacher": Deployed(cast, Tap("teacher"))} if "teacher" in cast and cast.fed("teacher") == "inputs" else {}
    card = read_card(run)["models"] if (run / "card.json").exists() else {}
    found = [_model(name, module.eval(), data, out, card.get(name, ModelEntry())) for name, module in models.items()]
    write_json(out / "facts.json", {**_facts(data), "models": found, "method": method.name})
    for source in (*(HERE / name for name in PAGE), *(place / name for name in RUNTIME)):
        with atomic_write(out / source.name) as file:
            file.write(source.read_bytes())
    return out


def _model(name: str, module: nn.Module, data: Data, out: Path, card: ModelEntry) -> dict[str, object]:
    example = some(data["train"], data, 2)
    export_onnx(module, example, out / f"{name}.onnx", metadata={"classes": list(data.classes)})
    return {
        "name": name,
        "file": f"{name}.onnx",
        "bytes": (out / f"{name}.onnx").stat().st_size,
        "parameters": card.get("parameters") or sizes(module)["parameters"],
        "accuracy": card.get("figures", {}).get("accuracy"),
    }


def _facts(data: Data) -> dict[str, object]:
    """Classes, shape, how a drawing is fitted in, and some test pictures to try."""
    part = data.judged
    pixels = (some(part, data, SAMPLES) * 255).round().clamp(0, 255).to(torch.uint8)
    labels = some_labels(part, SAMPLES).tolist()
    height = data.shape[1]
    paper, ink = levels(some(data["train"], data, MEASURED))
    return {
        "data": data.name,
        "classes": list(data.classes),
        "shape": list(data.shape),
        "margin": round(height / 7) if height >= 20 else 0,  # MNIST's digits fill 20 of 28 pixels, the small ones all of 8
        "paper": paper,
        "ink": ink,
        "samples": [
            {"label": data.classes[label], "pixels": base64.b64encode(picture.numpy().tobytes()).decode()}
            for picture, label in zip(pixels, labels, strict=True)
        ],
    }


def levels(pictures: Tensor) -> tuple[float, float]:
    """The brightness of what is drawn on and drawn with, on 0 .. 1: the median of the edges of pictures (n, c, h, w), and
    of the brightest pixel of each, or the darkest where the edges are bright. Black and white where these are too near.

    >>> levels(torch.ones(4, 1, 8, 8).index_fill(3, torch.tensor([3, 4]), 0.0))
    (1.0, 0.0)
    """
    edges = [pictures[..., 0, :], pictures[..., -1, :], pictures[..., 0], pictures[..., -1]]
    paper = float(torch.cat([edge.flatten() for edge in edges]).median())
    flat = pictures.flatten(1)
    ink = float((flat.amin(1) if paper > 0.5 else flat.amax(1)).median())
    return (round(paper, 4), round(ink, 4)) if abs(ink - paper) > 0.1 else (0.0, 1.0)


def runtime_files(given: Path | None) -> Path:
    """A folder with onnxruntime-web's files: the given one, the cache, or a cache filled from npm."""
    if given is not None:
        places = [given, given / "dist", given / "package" / "dist", given / "node_modules" / "onnxruntime-web" / "dist"]
        found = next((place for place in places if all((place / name).is_file() for name in RUNTIME)), None)
        if found is None:
            raise UserError(f"{given} does not hold {', '.join(RUNTIME)}; give the folder of the npm package {PACKAGE}")
        return found
    cache = Path(platformdirs.user_cache_dir("limbeck")) / PACKAGE.replace("@", "-")
    if not all((cache / name).is_file() for name in RUNTIME):
        _fetch(cache)
    return cache


def _fetch(cache: Path) -> None:
    """npm checks the package against the registry's checksum; nothing of it is installed or run."""
    npm = shutil.which("npm")
    advice = f"install npm, or download the package {PACKAGE} and give its folder with --runtime"
    if npm is None:
        raise UserError(f"onnxruntime-web is not installed, and neither is npm to download it; {advice}")
    with tempfile.TemporaryDirectory() as folder:
        words = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts", "--pack-destination", folder]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            raise UserError(f"npm did not deliver {PACKAGE} within 5 minutes; {advice}") from None
        packed = next(Path(folder).glob("*.tgz"), None)
        if done.returncode or packed is None:
            why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:160]
            raise UserError(f"npm could not download {PACKAGE} ({why}); {advice}")
        with tarfile.open(packed) as archive:
            for name in RUNTIME:
                content = archive.extractfile(f"package/dist/{name}")
                assert content is not None, name
                with atomic_write(cache / name) as file:
                    shutil.copyfileobj(content, file)
