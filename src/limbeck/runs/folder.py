"""The folder of a run: which one it is, the settings and curves in it, and whether it is done."""

import contextlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

import limbeck
from limbeck import processes
from limbeck.errors import UserError
from limbeck.files import add_line, atomic_write, json_text, write_json
from limbeck.files.locks import contents, taken
from limbeck.plan import Method
from limbeck.runs.recipes import dump, load, make
from limbeck.runs.settings import Recipe

CURVES, ENVIRONMENT, RECIPE, DRAWING, INPUTS = "metrics.jsonl", "environment.json", "recipe.toml", "method.svg", "inputs.json"
BEGUN = {ENVIRONMENT, DRAWING, INPUTS}  # what is written before the recipe: a folder that has no more is begun again
Environment = dict[str, str | int]  # versions by package, and the machine


@contextlib.contextmanager
def open_folder(path: Path | None, recipe: Recipe, resume: bool) -> Iterator[Path]:
    """The run's folder, for this run alone until the block ends: a fresh one, or an unfinished one to continue. Nothing is ever
    overwritten.

    Of several processes the first one chooses. Raises `UserError` if another run has it, it exists and is not to be resumed, or
    it holds another recipe.
    """
    with contextlib.ExitStack() as kept:
        yield processes.agreed(lambda: _open_folder(kept, path, recipe, resume), cpu=recipe.device == "cpu")


def _open_folder(kept: contextlib.ExitStack, path: Path | None, recipe: Recipe, resume: bool) -> Path:
    if path is not None and not resume and (path / RECIPE).exists():
        raise UserError(f"run folder {path} exists already; add --resume to continue it, or give another folder with --out")
    path = kept.enter_context(taken(path, f"{Path(recipe.data.name).stem}-{'auto' if recipe.method.why else recipe.method.name}"))
    mine = path / RECIPE
    if mine.exists() and not resume:
        raise UserError(f"run folder {path} exists already; add --resume to continue it, or give another folder with --out")
    if not mine.exists() and {one.name for one in contents(path)} - BEGUN:
        raise UserError(f"folder {path} exists and is not a run; give another folder with --out")
    if mine.exists() and dump(make(load(mine), str(mine)).undecided()) != dump(recipe.undecided()):
        raise UserError(
            f"run folder {path} has other settings (see its recipe.toml); resume with those, or give another folder with --out"
        )
    return path


def environment() -> Environment:
    """What a reader needs to know of the machine and the versions."""
    from importlib.metadata import version

    return {
        "limbeck": limbeck.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{package: version(package) for package in ("numpy", "scikit-learn", "onnxruntime")},
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
    }


def read_environment(folder: Path) -> Environment:
    """What a run's folder says of machine and versions; nothing where it does not. Raises `UserError` if it is damaged."""
    path = folder / ENVIRONMENT
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; remove it, or take it from a copy") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} is no JSON object; remove it, or take it from a copy")
    return {key: value for key, value in found.items() if isinstance(value, str | int)}


def write_settings(folder: Path, recipe: Recipe, method: Method) -> None:
    """Environment and the method's drawing, and last the recipe, which makes the folder a run: whatever is not there yet."""
    if not processes.first():
        return
    if not (folder / ENVIRONMENT).exists():
        write_json(folder / ENVIRONMENT, environment())
    write_drawing(folder, method)
    if not (folder / RECIPE).exists():
        with atomic_write(folder / RECIPE, text=True) as file:
            file.write(dump(recipe))


def write_drawing(folder: Path, method: Method) -> None:
    """The method's drawing, unless it is there."""
    from limbeck.catalogue.diagram import svg

    if not (folder / DRAWING).exists():
        with atomic_write(folder / DRAWING, text=True) as file:
            file.write(svg(method))


def add_to_curve(folder: Path, who: str, record: Mapping[str, object]) -> None:
    if processes.first():
        add_line(folder / CURVES, json_text({"who": who, **record}))


def keep_curve(folder: Path, who: str, history: Sequence[Mapping[str, object]]) -> None:
    """Make `history` all that the curves say of `who`; a line that a crash cut off is dropped."""
    path, mine = folder / CURVES, json.dumps({"who": who})[:-1]
    old = lines_of(path)
    kept = [line for line in old if line.endswith("}") and not line.startswith(mine)]
    kept += [json_text({"who": who, **record}) for record in history]
    if kept != old and processes.first():
        with atomic_write(path, text=True) as file:
            file.write("".join(line + "\n" for line in kept))


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
